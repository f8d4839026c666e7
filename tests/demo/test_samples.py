from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.demo.samples import BLANK_ID, SAMPLES, load_samples
from sidecar.demo.validate import check_resource
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from sidecar.demo.ehr import DemoEhr

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MAPPED = {"18842-5", "11506-3", "34117-2", "11488-4", "28570-0", "34111-5", "11504-8"}


def content(document: dict[str, Any], chart: dict[str, dict[str, Any]]) -> bytes:
    attachment = document["content"][0]["attachment"]
    data = attachment.get("data") or chart[attachment["url"]]["data"]
    return base64.b64decode(data)


def code(document: dict[str, Any]) -> str:
    found: str = document["type"]["coding"][0]["code"]
    return found


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {document["id"]: document for document in load_samples(now=NOW).documents}


@pytest.fixture(scope="module")
def chart() -> dict[str, dict[str, Any]]:
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in load_samples(now=NOW).chart}


async def test_every_sample_is_taken_by_the_server_and_makes_an_event(ehr: DemoEhr, fhir: httpx.AsyncClient) -> None:
    samples = load_samples()
    for resource in (*samples.chart, *samples.documents):
        check_resource(resource)
        await ehr.load(resource)
    answer = await fhir.get("DocumentReference", params={"status": "current", "_count": "100"})
    assert answer.json()["total"] == len(samples.documents) - 1


def test_references_resolve_and_agree_on_the_patient(
    documents: dict[str, dict[str, Any]], chart: dict[str, dict[str, Any]]
) -> None:
    for document in documents.values():
        subject = document["subject"]["reference"]
        assert chart[subject]["resourceType"] == "Patient"
        (encounter,) = document["context"]["encounter"]
        assert chart[encounter["reference"]]["subject"]["reference"] == subject
        assert chart[document["author"][0]["reference"]]["resourceType"] == "Practitioner"
        assert datetime.fromisoformat(document["date"]) <= NOW


def test_the_notes_to_draft_cover_the_kinds_and_fit_the_length(
    documents: dict[str, dict[str, Any]], chart: dict[str, dict[str, Any]]
) -> None:
    to_draft = [documents[sample.file.rsplit(".", 1)[0]] for sample in SAMPLES if not sample.changes]
    to_draft = [
        document
        for document in to_draft
        if code(document) in MAPPED and "rtf" not in document["content"][0]["attachment"]["contentType"]
    ]
    assert len(to_draft) == 11
    assert {code(document) for document in to_draft} == MAPPED
    assert all(document["status"] == "current" and document["docStatus"] == "final" for document in to_draft)
    assert all(150 <= len(content(document, chart).split()) <= 900 for document in to_draft)
    media_types = [document["content"][0]["attachment"]["contentType"] for document in to_draft]
    assert "text/html" in media_types
    assert any("url" in document["content"][0]["attachment"] for document in to_draft)
    subjects = [document["subject"]["reference"] for document in to_draft]
    assert len(set(subjects)) < len(subjects)


def test_the_other_samples_each_have_their_own_reason(documents: dict[str, dict[str, Any]]) -> None:
    assert documents["atrial-flutter-progress-note"]["status"] == "superseded"
    assert documents["nephrolithiasis-progress-note"]["docStatus"] == "preliminary"
    assert code(documents["school-physical-1"]) not in MAPPED
    assert documents["renal-disease-discharge-summary"]["meta"]["security"][0]["code"] == "R"
    assert documents["general-surgery-umbilical-hernia"]["content"][0]["attachment"]["contentType"] == "text/rtf"
    assert not base64.b64decode(documents[BLANK_ID]["content"][0]["attachment"]["data"]).strip()


def test_size_and_hash_are_those_of_the_bytes(
    documents: dict[str, dict[str, Any]], chart: dict[str, dict[str, Any]]
) -> None:
    for document in documents.values():
        attachment = document["content"][0]["attachment"]
        data = content(document, chart)
        assert attachment["size"] == len(data)
        assert base64.b64decode(attachment["hash"]) == hashlib.sha1(data, usedforsecurity=False).digest()


def test_every_note_file_is_attributed() -> None:
    folder = files("sidecar.demo").joinpath("notes")
    text = folder.joinpath("ATTRIBUTION.md").read_text()
    notes = {entry.name for entry in folder.iterdir()} - {"ATTRIBUTION.md", "LICENSE-Apache-2.0.txt"}
    assert notes == {sample.file for sample in SAMPLES}
    assert all(f"`{name}`" in text for name in notes)


def test_plain_files_get_an_invented_chart_and_a_type_by_name(tmp_path: Path) -> None:
    (tmp_path / "Discharge Summary (3).txt").write_bytes(b"caf\xe9")
    (tmp_path / "ed-visit.html").write_bytes(b"<p>x</p>")
    (tmp_path / "visit.rtf").write_bytes(b"{\\rtf1}")
    (tmp_path / "ignored.csv").write_bytes(b"1,2")
    samples = load_samples(tmp_path, now=NOW)
    found = {document["id"]: document for document in samples.documents}
    assert {note_id: code(document) for note_id, document in found.items()} == {
        "Discharge-Summary-3": "18842-5",
        "ed-visit": "34111-5",
        "visit": "11506-3",
    }
    attachment = found["Discharge-Summary-3"]["content"][0]["attachment"]
    assert (attachment["contentType"], base64.b64decode(attachment["data"])) == ("text/plain", b"caf\xe9")
    chart = {f"{resource['resourceType']}/{resource['id']}" for resource in samples.chart}
    for document in samples.documents:
        check_resource(document)
        assert document["subject"]["reference"] in chart
        assert document["context"]["encounter"][0]["reference"] in chart


def test_given_documents_are_kept_and_their_chart_is_made_up(tmp_path: Path) -> None:
    given = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "superseded",
        "subject": {"reference": "http://elsewhere/fhir/Patient/77"},
        "context": {"encounter": [{"reference": "Encounter/88"}]},
    }
    (tmp_path / "one.json").write_bytes(orjson.dumps(given))
    (tmp_path / "two.json").write_bytes(orjson.dumps({"resourceType": "DocumentReference"}))
    samples = load_samples(tmp_path, now=NOW)
    assert samples.documents[0] == given
    chart = {f"{resource['resourceType']}/{resource['id']}": resource for resource in samples.chart}
    assert chart["Encounter/88"]["subject"]["reference"] == "Patient/77"
    assert samples.documents[1]["subject"]["reference"] in chart


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("bad.json", b"{", "bad.json"),
        ("list.json", b"[]", "list.json"),
        ("patient.json", b'{"resourceType":"Patient"}', "patient.json"),
        ("x.csv", b"", "holds no"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        load_samples(tmp_path)


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("note.txt", "note.html"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match="note"):
        load_samples(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_samples(tmp_path / "nowhere")
