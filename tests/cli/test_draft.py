"""`sidecar draft`, as DESIGN's contract has it."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import main
from sidecar.note import extract_bytes
from sidecar.oneshot import cited
from tests.support.corpus import CorpusNote, notes
from tests.support.notes import DISCHARGE, attachment, document


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str, stdin: bytes = b"") -> list[dict[str, Any]]:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        assert main(arguments) == 0
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def one(self, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
        (line,) = self(*arguments, stdin=stdin)
        return line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(capsys, monkeypatch)


def test_a_bare_note_is_drafted_with_evidence_into_the_extracted_text(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(DISCHARGE)
    drafted, extracted = run.one("draft", str(path)), run.one("extract", str(path))
    assert (drafted["id"], drafted["outcome"], drafted["reason"], drafted["bundle"]) == (
        "note.txt",
        "drafted",
        None,
        None,
    )
    assert drafted["text"].startswith("AI DRAFT - NOT REVIEWED.")
    assert "lisinopril was stopped" in drafted["text"].replace("\n  ", " ")
    for statement in drafted["statements"]:
        assert statement["verdict"] == "supported"
        sources = " ".join(extracted["text"][start:end] for start, end in statement["evidence"])
        assert " ".join(statement["text"].split()).split(": ", 1)[-1] in " ".join(sources.split())


def test_a_document_reference_gives_the_resources_that_would_be_sent(run: Run) -> None:
    line = run.one("draft", stdin=json.dumps(document()).encode())
    kinds = [entry["resource"]["resourceType"] for entry in line["bundle"]["entry"]]
    assert kinds == ["Device", "DocumentReference", "Provenance"]
    sent = line["bundle"]["entry"][1]["resource"]
    assert (sent["docStatus"], sent["subject"]) == ("preliminary", {"reference": "Patient/p1"})
    assert base64.b64decode(sent["content"][0]["attachment"]["data"]).decode() == line["text"]


def test_a_bundle_gives_the_document_and_its_binary(run: Run) -> None:
    linked = document(content=[{"attachment": {"contentType": "text/plain", "url": "Binary/b"}}])
    binary = {"resourceType": "Binary", "id": "b", **attachment(DISCHARGE)}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": linked}, {"resource": binary}]}
    assert run.one("draft", stdin=json.dumps(bundle).encode())["outcome"] == "drafted"


LINES: list[tuple[Any, str, str]] = [
    (document(status="superseded"), "skipped", "not-current"),
    (document(docStatus="preliminary"), "skipped", "preliminary-source"),
    (document(type={"coding": [{"system": "http://loinc.org", "code": "69730-0"}]}), "skipped", "type-not-mapped"),
    (document(date="1999-01-01"), "drafted", "None"),
    (document(docStatus={"text": "final"}), "dead-lettered", "invalid-resource"),
    (document(subject=None), "parked", "patient-mismatch"),
    (document(content=[]), "parked", "no-content"),
    (document(content=[{"attachment": attachment("%PDF-1.7 x", "application/pdf")}]), "parked", "format-not-yet"),
    ({"id": "x", "media_type": "text/plain", "data": base64.b64encode(DISCHARGE.encode()).decode()}, "drafted", "None"),
    ({"id": "y", "media_type": "text/plain", "data": ""}, "skipped", "no-text"),
    ({"resourceType": "Patient", "id": "p"}, "dead-lettered", "invalid-resource"),
]


def test_every_line_has_its_answer_in_order_and_none_stops_the_rest(run: Run) -> None:
    data = b"{broken\n" + b"\n".join(json.dumps(value).encode() for value, _, _ in LINES)
    answers = run("draft", "--jsonl", stdin=data)
    assert [(line["outcome"], str(line["reason"])) for line in answers] == [
        ("dead-lettered", "not-json"),
        *((outcome, reason) for _, outcome, reason in LINES),
    ]
    keys = {"id", "outcome", "reason", "text", "statements", "not_carried_over", "proposals", "bundle"}
    assert all(set(line) == keys for line in answers)


def test_our_own_draft_is_skipped(run: Run) -> None:
    own = document(identifier=[{"system": "urn:ehr-draft-sidecar:draft", "value": "x"}])
    assert run.one("draft", stdin=json.dumps(own).encode())["reason"] == "own-draft"


def test_the_same_note_gives_the_same_draft(run: Run) -> None:
    data = json.dumps({"id": "x", "media_type": "text/plain", "data": attachment(DISCHARGE)["data"]}).encode()
    assert run("draft", "--jsonl", stdin=data) == run("draft", "--jsonl", stdin=data)


def test_a_missing_file_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "/no/such/note.txt"]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_task_without_a_mapping_is_wrong_use() -> None:
    assert main(["draft", "-", "--task", "glossary"]) == 2


ENTITLED = """DISCHARGE SUMMARY

REASON FOR ADMISSION: Fever.

MEDICATIONS:
1. Warfarin 5 mg daily.
2. Metoprolol 25 mg twice a day.

ALLERGIES: None. Her mother had a reaction to latex.

HOSPITAL COURSE: Right lower lobe pneumonia was treated with ceftriaxone 1 g daily. Potassium was 5.9.
"""


def test_a_title_that_a_statement_carries_is_in_its_evidence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(ENTITLED)
    found = {
        line["text"]: [ENTITLED[start:end] for start, end in line["evidence"]]
        for line in run.one("draft", str(path))["statements"]
    }
    assert found["ALLERGIES: None."] == ["ALLERGIES: None."]
    assert found["MEDICATIONS: Warfarin 5 mg daily."] == ["MEDICATIONS:\n1. Warfarin 5 mg daily."]
    assert found["Potassium was 5.9."] == ["Potassium was 5.9."]


@pytest.mark.parametrize(
    ("text", "evidence", "expected"),
    [
        ("MEDICATIONS: Metoprolol.", ["2. Metoprolol 25 mg"], ["MEDICATIONS", "2. Metoprolol 25 mg"]),
        ("ALLERGIES: None.", ["Fever.", "None."], ["Fever.", "ALLERGIES: None."]),
        ("Her mother had a reaction to latex.", ["Her mother"], ["Her mother"]),
        ("ALLERGIES: Warfarin 5 mg daily.", ["1. Warfarin 5 mg daily."], ["1. Warfarin 5 mg daily."]),
        ("Fever.", [], []),
    ],
)
def test_evidence_stays_in_order_and_takes_the_title_of_its_own_section_only(
    text: str, evidence: list[str], expected: list[str]
) -> None:
    note = extract_bytes(ENTITLED.encode(), "text/plain")
    spans = tuple((start, start + len(words)) for words in evidence for start in [note.text.index(words)])
    assert [note.slice(span) for span in cited(note, text, spans)] == expected


@pytest.mark.parametrize("note", notes()[::6], ids=lambda note: note.id)
def test_the_words_of_every_statement_stand_in_its_evidence(run: Run, note: CorpusNote) -> None:
    line, text = run.one("draft", str(note.path)), run.one("extract", str(note.path))["text"]
    assert line["outcome"] in {"drafted", "skipped"}
    for statement in line["statements"]:
        evidence = " ".join(text[start:end] for start, end in statement["evidence"])
        assert set(re.findall(r"\w+", statement["text"])) <= set(re.findall(r"\w+", evidence))
