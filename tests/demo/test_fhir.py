from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.demo.ehr import demo_ehr
from sidecar.demo.search import PARAMETERS
from sidecar.errors import ConfigError

from .conftest import note

if TYPE_CHECKING:
    import httpx

    from sidecar.demo.ehr import DemoEhr

IDENTIFIER = {"system": "urn:test", "value": "a|b,c"}
IF_NONE_EXIST = {"if-none-exist": "identifier=urn:test%7Ca%5C%7Cb%5C%2Cc"}


async def create(fhir: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await fhir.post("DocumentReference", json=note(**changes))
    assert answer.status_code == 201
    created: dict[str, Any] = answer.json()
    return created


def issue_codes(answer: httpx.Response) -> list[str]:
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    return [issue["code"] for issue in outcome["issue"]]


async def test_the_capability_statement_says_what_the_server_does(fhir: httpx.AsyncClient, ehr: DemoEhr) -> None:
    statement = (await fhir.get("metadata")).json()
    assert statement["fhirVersion"] == "4.0.1"
    assert "Demo EHR" in statement["software"]["name"]
    assert statement["implementation"]["url"] == ehr.base_url
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    assert resources.keys() == PARAMETERS.keys()
    documents = resources["DocumentReference"]
    assert (documents["conditionalCreate"], documents["conditionalUpdate"]) == (True, False)
    assert {"code": "create"} in documents["interaction"]
    for parameter in documents["searchParam"]:
        value = {"token": "x", "reference": "Patient/x", "date": "ge2026-01-01"}[parameter["type"]]
        answer = await fhir.get("DocumentReference", params={parameter["name"]: value})
        assert answer.status_code == 200, parameter["name"]


async def test_a_created_document_is_read_back_with_its_version(fhir: httpx.AsyncClient, ehr: DemoEhr) -> None:
    answer = await fhir.post("DocumentReference", json=note(id="chosen-by-the-client"))
    assert answer.status_code == 201
    created = answer.json()
    assert created["id"] != "chosen-by-the-client"
    assert answer.headers["location"] == f"{ehr.base_url}/DocumentReference/{created['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith("GMT")
    read = await fhir.get(f"DocumentReference/{created['id']}")
    assert read.json() == created
    assert read.headers["etag"] == 'W/"1"'
    assert created["meta"]["versionId"] == "1"
    assert created["content"] == note()["content"]


@pytest.mark.parametrize(
    ("prefer", "body"),
    [
        ("return=minimal", None),
        ("return=representation", "DocumentReference"),
        ("return=OperationOutcome", "OperationOutcome"),
    ],
)
async def test_prefer_decides_what_a_write_returns(fhir: httpx.AsyncClient, prefer: str, body: str | None) -> None:
    answer = await fhir.post("DocumentReference", json=note(), headers={"prefer": prefer})
    assert answer.status_code == 201
    assert "location" in answer.headers
    assert (answer.json()["resourceType"] if answer.content else None) == body


async def test_every_version_can_be_read(fhir: httpx.AsyncClient) -> None:
    first = await create(fhir)
    url = f"DocumentReference/{first['id']}"
    answer = await fhir.put(url, json={**first, "docStatus": "amended"})
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert (await fhir.get(f"{url}/_history/1")).json() == first
    assert (await fhir.get(f"{url}/_history/2")).json()["docStatus"] == "amended"
    assert (await fhir.get(f"{url}/_history/3")).status_code == 404
    assert (await fhir.get(f"{url}/_history/latest")).status_code == 404


async def test_conditional_create_writes_once_and_returns_the_match_after(fhir: httpx.AsyncClient) -> None:
    body = note(identifier=[IDENTIFIER])
    first = await fhir.post("DocumentReference", json=body, headers=IF_NONE_EXIST)
    again = await fhir.post("DocumentReference", json=body, headers=IF_NONE_EXIST)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()


async def test_conditional_create_refuses_several_matches(fhir: httpx.AsyncClient) -> None:
    for _ in range(2):
        await create(fhir, identifier=[IDENTIFIER])
    answer = await fhir.post("DocumentReference", json=note(identifier=[IDENTIFIER]), headers=IF_NONE_EXIST)
    assert answer.status_code == 412
    assert issue_codes(answer) == ["multiple-matches"]


async def test_twenty_conditional_creates_at_once_make_one_document(fhir: httpx.AsyncClient) -> None:
    body = note(identifier=[IDENTIFIER])
    answers = await asyncio.gather(
        *(fhir.post("DocumentReference", json=body, headers=IF_NONE_EXIST) for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (await fhir.get("DocumentReference")).json()["total"] == 1


@pytest.mark.parametrize("condition", ["", "?", "color=blue", "identifier="])
async def test_a_condition_that_means_nothing_writes_nothing(fhir: httpx.AsyncClient, condition: str) -> None:
    answer = await fhir.post("DocumentReference", json=note(), headers={"if-none-exist": condition})
    assert answer.status_code == 400
    assert (await fhir.get("DocumentReference")).json()["total"] == 0


async def test_a_stale_update_is_refused(fhir: httpx.AsyncClient) -> None:
    created = await create(fhir)
    url = f"DocumentReference/{created['id']}"
    assert (await fhir.put(url, json=created, headers={"if-match": 'W/"1"'})).status_code == 200
    stale = await fhir.put(url, json=created, headers={"if-match": 'W/"1"'})
    assert stale.status_code == 412
    assert issue_codes(stale) == ["conflict"]
    assert (await fhir.put(url, json=created, headers={"if-match": "latest"})).status_code == 400


async def test_of_parallel_updates_of_one_version_one_wins(fhir: httpx.AsyncClient) -> None:
    created = await create(fhir)
    url = f"DocumentReference/{created['id']}"
    answers = await asyncio.gather(*(fhir.put(url, json=created, headers={"if-match": 'W/"1"'}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_update_creates_nothing(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.put("DocumentReference/unknown", json=note(id="unknown"))
    assert answer.status_code == 404
    assert issue_codes(answer) == ["not-found"]


async def test_an_update_under_another_id_is_refused(fhir: httpx.AsyncClient) -> None:
    created = await create(fhir)
    answer = await fhir.put(f"DocumentReference/{created['id']}", json=note(id="other"))
    assert answer.status_code == 400


async def test_a_deleted_document_is_gone_for_reads_updates_and_searches(fhir: httpx.AsyncClient) -> None:
    created = await create(fhir)
    url = f"DocumentReference/{created['id']}"
    assert (await fhir.delete(url, headers={"if-match": 'W/"7"'})).status_code == 412
    assert (await fhir.delete(url)).status_code == 204
    assert (await fhir.delete(url)).status_code == 204
    for answer in (await fhir.get(url), await fhir.put(url, json=created), await fhir.get(f"{url}/_history/2")):
        assert answer.status_code == 410
        assert issue_codes(answer) == ["deleted"]
    assert (await fhir.get(f"{url}/_history/1")).json() == created
    assert (await fhir.get(f"{url}/_history/3")).status_code == 404
    assert (await fhir.get("DocumentReference")).json()["total"] == 0
    assert (await fhir.delete("DocumentReference/unknown")).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "draft"},
        {"status": None},
        {"docStatus": "signed"},
        {"docStatus": {"coding": [{"code": "final"}]}},
        {"content": []},
        {"content": None},
        {"content": [{}]},
        {"content": [{"format": {"code": "x"}}]},
        {"content": {"attachment": {}}},
        {"content": ["text"]},
        {"content": [{"attachment": {"data": "not base64!"}}]},
        {"content": [{"attachment": {"data": 5}}]},
        {"content": [{"attachment": {"size": -1}}]},
        {"content": [{"attachment": {"size": True}}]},
        {"subject": "Patient/p1"},
        {"subject": {"reference": "p1"}},
        {"author": {"reference": "Practitioner/1"}},
        {"date": "2026-11-25"},
        {"date": "2026-11-25T10:00:00"},
        {"type": "11506-3"},
        {"identifier": [{"value": 7}]},
        {"context": {"encounter": {"reference": "Encounter/1"}}},
        {"relatesTo": [{"code": "summarizes", "target": {"reference": "DocumentReference/1"}}]},
        {"meta": []},
    ],
)
async def test_an_invalid_document_is_refused_with_the_place_of_the_fault(
    fhir: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    answer = await fhir.post("DocumentReference", json=note(**changes))
    assert answer.status_code == 422
    assert set(issue_codes(answer)) <= {"value", "required"}
    (name,) = changes
    assert all(issue["expression"][0].startswith(f"DocumentReference.{name}") for issue in answer.json()["issue"])


@pytest.mark.parametrize("status", ["preliminary", "final", "amended", "entered-in-error"])
async def test_every_doc_status_of_r4_is_kept(fhir: httpx.AsyncClient, status: str) -> None:
    assert (await create(fhir, docStatus=status))["docStatus"] == status


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b'{"resourceType":"Patient"}', b'{"a": NaN}', b"\xff"])
async def test_a_body_that_is_no_resource_of_the_type_is_refused(fhir: httpx.AsyncClient, body: bytes) -> None:
    answer = await fhir.post("DocumentReference", content=body)
    assert answer.status_code == 400
    assert issue_codes(answer) == ["structure"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/fhir+xml", ""])
async def test_a_body_of_another_type_is_refused(fhir: httpx.AsyncClient, content_type: str) -> None:
    answer = await fhir.post("DocumentReference", json=note(), headers={"content-type": content_type})
    assert answer.status_code == 415
    assert issue_codes(answer) == ["not-supported"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Observation/1", 404),
        ("GET", "DocumentReference/unknown", 404),
        ("PATCH", "DocumentReference/1", 405),
        ("POST", "", 404),
        ("GET", "a/b/c/d/e/f", 404),
    ],
)
async def test_what_the_server_does_not_have_is_refused_with_an_outcome(
    fhir: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await fhir.request(method, path)
    assert answer.status_code == status
    assert issue_codes(answer)[0] in {"not-found", "not-supported"}


async def test_a_binary_is_raw_unless_fhir_is_asked_for(fhir: httpx.AsyncClient) -> None:
    body = {"resourceType": "Binary", "contentType": "text/html; charset=utf-8", "data": "PGI+aGk8L2I+"}
    created = (await fhir.post("Binary", json=body)).json()
    raw = await fhir.get(f"Binary/{created['id']}", headers={"accept": "text/html"})
    assert raw.content == b"<b>hi</b>"
    assert raw.headers["content-type"] == "text/html; charset=utf-8"
    assert raw.headers["content-security-policy"] == "sandbox"
    resource = await fhir.get(f"Binary/{created['id']}", headers={"accept": "application/fhir+json"})
    assert resource.json() == created
    assert (await fhir.get("Binary", params={"_id": created["id"]})).json()["total"] == 1


@pytest.mark.parametrize("content_type", ["text", "text/plain\r\nx: y", "text/plain; name=\u00e9", None])
async def test_a_binary_needs_a_media_type(fhir: httpx.AsyncClient, content_type: str | None) -> None:
    answer = await fhir.post("Binary", json={"resourceType": "Binary", "contentType": content_type, "data": ""})
    assert answer.status_code == 422


async def test_device_and_provenance_are_kept_beside_a_document(fhir: httpx.AsyncClient) -> None:
    device = {
        "resourceType": "Device",
        "deviceName": [{"name": "engine", "type": "model-name"}],
        "version": [{"value": "1"}],
    }
    made = await fhir.post("Device", json=device)
    assert made.status_code == 201
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "DocumentReference/9/_history/1"}],
        "recorded": "2026-11-25T10:00:00Z",
        "agent": [{"who": {"reference": f"Device/{made.json()['id']}"}}],
        "entity": [{"role": "source", "what": {"reference": "DocumentReference/1/_history/4"}}],
    }
    assert (await fhir.post("Provenance", json=provenance)).status_code == 201
    found = await fhir.get("Provenance", params={"target": "DocumentReference/9"})
    assert found.json()["total"] == 1
    refused = await fhir.post("Provenance", json={**provenance, "agent": [{}]})
    assert refused.status_code == 422


async def test_a_broken_chart_entry_does_not_show_its_content_in_the_answer(
    ehr: DemoEhr, fhir: httpx.AsyncClient
) -> None:
    await ehr.load({"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "secret!"})
    answer = await fhir.get("Binary/b")
    assert answer.status_code == 500
    assert issue_codes(answer) == ["exception"]
    assert "secret" not in answer.text


async def test_loading_gives_the_id_asked_for_and_the_next_version(ehr: DemoEhr, fhir: httpx.AsyncClient) -> None:
    for version in ("1", "2"):
        await ehr.load(note(id="given", docStatus={"not": "valid"}))
        assert (await fhir.get("DocumentReference/given")).json()["meta"]["versionId"] == version


async def test_a_taken_port_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            async with demo_ehr(port=port):
                pass


async def test_the_chart_survives_a_restart(tmp_path: Any) -> None:
    async with demo_ehr(tmp_path / "ehr.db") as ehr:
        await ehr.load(note(id="kept"))
    async with demo_ehr(tmp_path / "ehr.db") as ehr:
        version = ehr.store.read("DocumentReference", "kept")
        assert version.number == 1
        assert ehr.store.pending_events(10) == []
