from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.demo import clinician
from sidecar.demo.evidence import HEADING
from sidecar.errors import EhrRefused, VersionConflict

from .conftest import note

if TYPE_CHECKING:
    import httpx

    from sidecar.demo.ehr import DemoEhr

    from .conftest import RecordingPublisher

SOURCE = "HISTORY: Fever for three days.\nPLAN: Rest."
DRAFT = f'AI DRAFT - NOT REVIEWED.\n- Fever. [1]\n\n{HEADING}\n[1] HISTORY: "Fever for three days."\nengine 1'
AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}


def attachment(text: str, media_type: str = "text/plain; charset=utf-8") -> list[dict[str, Any]]:
    return [{"attachment": {"contentType": media_type, "data": base64.b64encode(text.encode()).decode()}}]


def draft(**changes: Any) -> dict[str, Any]:
    return note(
        **{
            "id": "draft",
            "docStatus": "preliminary",
            "meta": {"security": [AIAST]},
            "content": attachment(DRAFT),
            "context": {"related": [{"reference": "DocumentReference/source/_history/1"}]},
            **changes,
        }
    )


@pytest.fixture
async def charted(ehr: DemoEhr) -> DemoEhr:
    """One patient with a note, an AI draft of it, and a colleague's own unsigned note."""
    await ehr.load({"resourceType": "Patient", "id": "p1", "name": [{"given": ["Ann"], "family": "Example"}]})
    await ehr.load(note(id="source", content=attachment(SOURCE)))
    await ehr.load(note(id="unfinished", docStatus="preliminary"))
    await ehr.load(draft())
    return ehr


def origin(ehr: DemoEhr) -> str:
    return ehr.inbox_url.removesuffix("/inbox")


async def act(client: httpx.AsyncClient, ehr: DemoEhr, action: str, **body: Any) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return await client.post(f"{ehr.inbox_url}/drafts/draft/{action}", json=body, headers=headers)


async def test_the_page_runs_only_its_own_script(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    root = await fhir.get(origin(charted) + "/")
    assert root.headers["location"] == "/inbox"
    page = await fhir.get(charted.inbox_url)
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Not for clinical use" in page.text
    for name in ("inbox.js", "inbox.css"):
        assert f"/inbox/assets/{name}" in page.text
        assert (await fhir.get(f"{charted.inbox_url}/assets/{name}")).status_code == 200
    assert (await fhir.get(f"{charted.inbox_url}/assets/..%2F..%2Fehr.py")).status_code == 404


async def test_the_list_holds_ai_drafts_only(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    (item,) = (await fhir.get(f"{charted.inbox_url}/drafts")).json()["drafts"]
    assert (item["id"], item["state"], item["patientName"]) == ("draft", "unsigned", "Ann Example")


async def test_a_draft_is_shown_beside_its_source_with_its_evidence(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    view = (await fhir.get(f"{charted.inbox_url}/drafts/draft")).json()
    assert view["text"] == DRAFT
    assert view["source"]["text"] == SOURCE
    assert view["source"]["changed"] is False
    (evidence,) = view["evidence"]
    assert SOURCE[evidence["start"] : evidence["end"]] == "Fever for three days."


async def test_a_source_that_changed_after_the_draft_is_marked(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    version = charted.store.read("DocumentReference", "draft")
    while charted.store.read("DocumentReference", "source").last_updated <= version.last_updated:
        await charted.load(note(id="source", status="superseded", content=attachment(SOURCE)))
    source = (await fhir.get(f"{charted.inbox_url}/drafts/draft")).json()["source"]
    assert (source["changed"], source["status"]) == (True, "superseded")


async def test_an_html_source_in_a_binary_is_shown_as_text(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    html = base64.b64encode(b"<p>Fever for <b>three</b> days.<script>alert(1)</script></p>").decode()
    await charted.load({"resourceType": "Binary", "id": "html", "contentType": "text/html", "data": html})
    link = [{"attachment": {"contentType": "text/html", "url": f"{charted.base_url}/Binary/html"}}]
    await charted.load(note(id="source", content=link))
    view = (await fhir.get(f"{charted.inbox_url}/drafts/draft")).json()
    assert view["source"]["text"].strip() == "Fever for three days."
    assert len(view["evidence"]) == 1


@pytest.mark.parametrize("related", [[], [{"reference": "DocumentReference/unknown"}]])
async def test_a_draft_without_its_source_is_still_shown(
    charted: DemoEhr, fhir: httpx.AsyncClient, related: list[dict[str, str]]
) -> None:
    await charted.load(draft(context={"related": related}, subject={"reference": "Patient/unknown"}))
    view = (await fhir.get(f"{charted.inbox_url}/drafts/draft")).json()
    assert (view["source"], view["evidence"], view["patientName"]) == (None, [], "Unknown patient")


async def test_signing_makes_the_document_final_and_tells_kafka(
    charted: DemoEhr, fhir: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await act(fhir, charted, "sign", version=1)
    assert answer.status_code == 200
    assert answer.json()["state"] == "signed"
    signed = (await fhir.get("DocumentReference/draft")).json()
    assert (signed["status"], signed["docStatus"], signed["meta"]["versionId"]) == ("current", "final", "2")
    assert signed["authenticator"]["reference"] == "Practitioner/demo-clinician"
    assert signed["content"] == draft()["content"]
    assert signed["meta"]["security"] == [AIAST]
    await charted.wait_published()
    assert publisher.values[-1] == signed


async def test_editing_and_signing_keeps_text_size_and_hash_together(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    answer = await act(fhir, charted, "edit-and-sign", version=1, text="Fieber \u00b0C")
    assert answer.json()["text"] == "Fieber \u00b0C"
    document = (await fhir.get("DocumentReference/draft")).json()
    stored = document["content"][0]["attachment"]
    data = base64.b64decode(stored["data"])
    assert data.decode() == "Fieber \u00b0C"
    assert stored["size"] == len(data)
    assert base64.b64decode(stored["hash"]) == hashlib.sha1(data, usedforsecurity=False).digest()
    assert document["docStatus"] == "final"


async def test_discarding_marks_the_draft_entered_in_error(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    assert (await act(fhir, charted, "discard", version=1)).json()["state"] == "discarded"
    document = (await fhir.get("DocumentReference/draft")).json()
    assert (document["status"], document["docStatus"]) == ("entered-in-error", "entered-in-error")


async def test_a_decision_over_an_old_version_is_refused(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    await charted.load(draft())
    assert (await act(fhir, charted, "sign", version=1)).status_code == 412
    assert (await fhir.get("DocumentReference/draft")).json()["docStatus"] == "preliminary"


async def test_what_is_decided_stays_decided(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    await act(fhir, charted, "sign", version=1)
    assert (await act(fhir, charted, "discard", version=2)).status_code == 409


@pytest.mark.parametrize(
    ("action", "content_type", "body", "status"),
    [
        ("sign", "text/plain", b'{"version": 1}', 415),
        ("sign", "application/json", b"{", 400),
        ("sign", "application/json", b"[]", 400),
        ("sign", "application/json", b'{"version": "1"}', 400),
        ("edit-and-sign", "application/json", b'{"version": 1, "text": 5}', 400),
        ("finalize", "application/json", b'{"version": 1}', 404),
    ],
)
async def test_a_malformed_decision_changes_nothing(
    charted: DemoEhr, fhir: httpx.AsyncClient, action: str, content_type: str, body: bytes, status: int
) -> None:
    url = f"{charted.inbox_url}/drafts/draft/{action}"
    answer = await fhir.post(url, content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert (await fhir.get("DocumentReference/draft")).json()["meta"]["versionId"] == "1"


async def test_a_withdrawn_draft_is_listed_as_such(charted: DemoEhr, fhir: httpx.AsyncClient) -> None:
    await charted.load(draft(status="superseded"))
    assert (await fhir.get(f"{charted.inbox_url}/drafts/draft")).json()["state"] == "withdrawn"


async def test_the_scripted_clinician_does_the_same_over_fhir(charted: DemoEhr) -> None:
    await charted.load(draft(id="second"))
    await charted.load(draft(id="third"))
    await clinician.sign(charted.base_url, "draft")
    await clinician.edit_and_sign(charted.base_url, "second", str.upper)
    await clinician.discard(charted.base_url, "third")
    signed, edited, discarded = (
        charted.store.read("DocumentReference", document_id).resource for document_id in ("draft", "second", "third")
    )
    assert (signed["docStatus"], signed["content"]) == ("final", draft()["content"])
    assert base64.b64decode(edited["content"][0]["attachment"]["data"]).decode() == DRAFT.upper()
    assert (edited["docStatus"], discarded["status"]) == ("final", "entered-in-error")


async def test_the_scripted_clinician_notices_a_write_in_between(charted: DemoEhr) -> None:
    def edit(text: str) -> str:
        charted.store.load(draft())
        return text

    with pytest.raises(VersionConflict):
        await clinician.edit_and_sign(charted.base_url, "draft", edit)
    with pytest.raises(EhrRefused):
        await clinician.sign(charted.base_url, "unknown")
