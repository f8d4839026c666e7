from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from sidecar.chart.bindings import NotADraft
from sidecar.chart.client import FhirClient, Receipt, resolve_link
from sidecar.errors import (
    EhrNotFound,
    EhrRefused,
    EhrUnavailable,
    ParkEvent,
    VersionConflict,
    WriteUnknown,
)
from sidecar.http import Http, open_client

BASE = "https://ehr.example/fhir"
DRAFT: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "status": "current",
    "docStatus": "preliminary",
    "subject": {"reference": "Patient/1"},
    "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
}
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> FhirClient:
    return FhirClient(Http(open_client(BASE, transport=httpx.MockTransport(handler))), BASE)


def answering(status: int, **options: Any) -> FhirClient:
    return client(lambda _request: httpx.Response(status, **options))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, EhrUnavailable),
        (403, EhrUnavailable),
        (404, EhrNotFound),
        (410, EhrNotFound),
        (400, EhrRefused),
        (422, EhrRefused),
        (302, EhrUnavailable),
        (429, EhrUnavailable),
        (500, EhrUnavailable),
        (503, EhrUnavailable),
    ],
)
async def test_each_status_of_a_read_means_one_thing(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answering(status).read("DocumentReference/1")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, WriteUnknown),
        (502, WriteUnknown),
        (504, WriteUnknown),
        (503, WriteUnknown),
        (408, WriteUnknown),
        (403, EhrUnavailable),
        (302, EhrUnavailable),
        (429, EhrUnavailable),
        (409, VersionConflict),
        (412, VersionConflict),
        (422, EhrRefused),
    ],
)
async def test_each_status_of_a_create_says_whether_it_may_exist(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answering(status).create(DRAFT)


async def test_a_connection_that_breaks_after_sending_is_unknown_for_a_create_and_harmless_for_a_read() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("patient John Doe", request=request)

    with pytest.raises(WriteUnknown) as unknown:
        await client(broken).create(DRAFT)
    with pytest.raises(EhrUnavailable):
        await client(broken).read("DocumentReference/1")
    assert "John" not in str(unknown.value)


async def test_a_connection_that_was_never_made_wrote_nothing() -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(EhrUnavailable):
        await client(refused).create(DRAFT)


async def test_retry_after_travels_on_the_exception() -> None:
    with pytest.raises(EhrUnavailable) as caught:
        await answering(429, headers={"Retry-After": "7"}).read("Patient/1")
    assert caught.value.retry_after == 7
    with pytest.raises(EhrUnavailable) as caught:
        await answering(503, headers={"x-ms-retry-after-ms": "1500"}).read("Patient/1")
    assert caught.value.retry_after == 1.5


async def test_a_refusal_keeps_codes_and_no_text_of_the_server() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "invalid", "diagnostics": "John Doe 1970"}]}
    with pytest.raises(EhrRefused) as caught:
        await answering(422, json=outcome).read("Patient/1")
    assert str(caught.value) == "HTTP 422 invalid"


async def test_an_html_page_with_status_200_is_not_fhir() -> None:
    with pytest.raises(EhrUnavailable):
        await answering(200, text="<html>maintenance</html>").read("Patient/1")


@pytest.mark.parametrize(
    ("headers", "body", "receipt"),
    [
        ({"Location": f"{BASE}/DocumentReference/9/_history/2"}, b"", Receipt("DocumentReference/9", "2")),
        ({"Location": "DocumentReference/9"}, b"", Receipt("DocumentReference/9", None)),
        ({"Location": "DocumentReference/9", "ETag": 'W/"3"'}, b"", Receipt("DocumentReference/9", "3")),
        (
            {},
            orjson.dumps({"resourceType": "DocumentReference", "id": "9", "meta": {"versionId": "1"}}),
            Receipt("DocumentReference/9", "1"),
        ),
    ],
)
async def test_receipts_come_from_location_etag_or_body(headers: dict[str, str], body: bytes, receipt: Receipt) -> None:
    assert await answering(201, headers=headers, content=body).create(DRAFT) == receipt


async def test_a_201_that_says_nothing_is_unknown() -> None:
    with pytest.raises(WriteUnknown):
        await answering(201).create(DRAFT)


async def test_a_201_with_an_outcome_in_place_of_the_draft_is_unknown() -> None:
    with pytest.raises(WriteUnknown):
        await answering(201, json={"resourceType": "OperationOutcome", "id": "o1"}).create(DRAFT)


@pytest.mark.parametrize(
    "reference", ["http://evil.example/Encounter/?x", "//evil.example/Encounter/1", "../Encounter/1"]
)
async def test_a_reference_that_leads_elsewhere_is_never_requested(reference: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(EhrRefused, match="outside-base-url"):
        await client(fail).read(reference)


async def test_conditional_create_sends_the_query_only() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, headers={"Location": "DocumentReference/1"})

    await client(handler).create(DRAFT, "identifier=s|v")
    assert seen[0].headers["If-None-Exist"] == "identifier=s|v"
    assert seen[0].url == f"{BASE}/DocumentReference"


async def test_only_a_condition_that_had_its_match_is_told_as_found() -> None:
    location = {"Location": "DocumentReference/9/_history/2"}
    assert (await answering(200, headers=location).create(DRAFT, "identifier=s|v")).found
    assert not (await answering(201, headers=location).create(DRAFT, "identifier=s|v")).found
    assert not (await answering(200, headers=location).create(DRAFT)).found


async def test_an_update_goes_to_its_own_id_and_over_one_version_only() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers={"ETag": 'W/"4"'})

    receipt = await client(handler).update({**DRAFT, "id": "9"}, "3")
    assert receipt == Receipt("DocumentReference/9", "4")
    (request,) = seen
    assert (request.method, request.url) == ("PUT", f"{BASE}/DocumentReference/9")
    assert request.headers["If-Match"] == 'W/"3"'
    assert orjson.loads(request.content)["id"] == "9"


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"ETag": '"4"'}, b"", "4"),
        ({"Location": f"{BASE}/DocumentReference/9/_history/4"}, b"", "4"),
        ({}, orjson.dumps({"resourceType": "DocumentReference", "id": "9", "meta": {"versionId": "4"}}), "4"),
        ({}, b"", None),
    ],
)
async def test_an_updates_version_comes_from_etag_location_or_body(
    headers: dict[str, str], body: bytes, version: str | None
) -> None:
    answer = answering(200, headers=headers, content=body)
    assert await answer.update({**DRAFT, "id": "9"}, "3") == Receipt("DocumentReference/9", version)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, EhrNotFound),
        (410, EhrNotFound),
        (409, VersionConflict),
        (412, VersionConflict),
        (429, EhrUnavailable),
        (401, EhrUnavailable),
        (408, WriteUnknown),
        (503, WriteUnknown),
        (500, WriteUnknown),
        (504, WriteUnknown),
        (405, EhrRefused),
        (422, EhrRefused),
    ],
)
async def test_each_status_of_an_update_says_whether_it_may_have_been_written(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await answering(status).update({**DRAFT, "id": "9"}, "3")


async def test_a_search_is_never_answered_from_a_cache_and_filters_other_types() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        entries = [
            {"resource": {"resourceType": kind, "id": "1"}} for kind in ("DocumentReference", "OperationOutcome")
        ]
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": entries})

    found = await client(handler).search("DocumentReference", {"identifier": "s|v"})
    assert [item["resourceType"] for item in found] == ["DocumentReference"]
    assert seen[0].headers["Cache-Control"] == "no-cache"
    assert seen[0].url.params["identifier"] == "s|v"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fhir/Binary/1",
        "https://ehr.example.evil.example/fhir/Binary/1",
        "http://ehr.example/fhir/Binary/1",
        "https://ehr.example:444/fhir/Binary/1",
        "https://user@ehr.example/fhir/Binary/1",
        "//evil.example/fhir/Binary/1",
        "/other/Binary/1",
        "../admin",
        "https://ehr.example/fhir/../admin",
        "https://ehr.example/fhir/%2e%2e/admin",
        "https://ehr.example/fhirevil/Binary/1",
        "file:///etc/passwd",
        "#contained",
        "https://[broken/fhir",
        "urn:oid:1.2.3",
    ],
)
async def test_links_outside_the_ehr_are_refused_without_a_request(url: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(ParkEvent, match="no-content"):
        await client(fail).read_binary(url, "text/plain", 1000)


@pytest.mark.parametrize("url", ["Binary/1", f"{BASE}/Binary/1", "/fhir/Binary/1", "Binary/1/_history/2"])
def test_links_inside_the_ehr_are_followed(url: str) -> None:
    target = resolve_link(BASE, url)
    assert target is not None
    assert target.startswith(f"{BASE}/Binary/1")


async def test_a_binary_comes_raw_or_as_a_resource() -> None:
    raw = await answering(200, content=b"text", headers={"Content-Type": "text/plain"}).read_binary(
        "Binary/1", None, 99
    )
    assert (raw.data, raw.media_type) == (b"text", "text/plain")
    resource = {"resourceType": "Binary", "contentType": "text/html", "data": "eA=="}
    answer = answering(200, content=orjson.dumps(resource), headers={"Content-Type": "application/fhir+json"})
    wrapped = await answer.read_binary("Binary/1", "text/html", 99)
    assert (wrapped.data, wrapped.media_type) == ("eA==", "text/html")


async def test_a_binary_over_the_limit_is_parked_before_it_is_read_whole() -> None:
    with pytest.raises(ParkEvent, match="no-content"):
        await answering(200, content=b"x" * 10_000, headers={"Content-Type": "text/plain"}).read_binary(
            "Binary/1", None, 99
        )


@pytest.mark.parametrize(
    "change",
    [
        {"docStatus": "final"},
        {"docStatus": "amended"},
        {"docStatus": None},
        {"status": "superseded"},
        {"authenticator": {"reference": "Practitioner/1"}},
        {"resourceType": "Condition"},
        {"resourceType": "MedicationRequest"},
        {"subject": None},
        {"content": []},
    ],
)
async def test_nothing_but_an_unsigned_draft_reaches_the_wire(change: dict[str, Any]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(NotADraft):
        await client(fail).create({**DRAFT, **change})
    with pytest.raises(NotADraft):
        await client(fail).update({**DRAFT, "id": "9", **change}, "3")
