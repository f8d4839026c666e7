from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.cli import DONE, WRONG_USE, main
from tests.support import corpus
from tests.support.notes import attachment, document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = [
    "id",
    "outcome",
    "reason",
    "media_type",
    "charset",
    "text",
    "sections",
    "sentences",
    "duplicates",
    "warnings",
]


def run(*arguments: str) -> int:
    return main(["extract", *arguments])


@pytest.fixture
def extracted(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """Run the command and read its lines."""

    def read(*arguments: str) -> list[dict[str, Any]]:
        assert run(*arguments) == DONE
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return read


@pytest.fixture
def from_lines(
    extracted: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Send lines to standard input."""

    def read(*lines: object) -> list[dict[str, Any]]:
        raw = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        return extracted("--jsonl")

    return read


def bare(data: bytes, **more: Any) -> dict[str, Any]:
    return {"data": base64.b64encode(data).decode(), **more}


def test_a_text_file_gives_one_object_of_the_contract(
    extracted: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    file = tmp_path / "visit.txt"
    file.write_text("HPI: He fell. No fever.\n")
    assert extracted(str(file)) == [
        {
            "id": "visit.txt",
            "outcome": "ok",
            "reason": None,
            "media_type": "text/plain",
            "charset": "utf-8",
            "text": "HPI: He fell. No fever.\n",
            "sections": [{"title": "HPI", "code": "10164-2", "start": 0, "end": 24}],
            "sentences": [[5, 13], [14, 23]],
            "duplicates": [],
            "warnings": [],
        }
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason", "media_type"),
    [
        ("a.rtf", b"{\\rtf1 A note.}", "format-not-yet", "application/rtf"),
        ("a.pdf", b"%PDF-1.7", "format-not-yet", "application/pdf"),
        ("a.xml", b"<?xml version='1.0'?><ClinicalDocument/>", "format-not-yet", "application/cda+xml"),
        ("a.txt", b" \n", "no-text", None),
        ("a.html", b"<p> </p>", "no-text", None),
        ("a.txt", b"", "no-text", None),
        ("a.json", b"{", "not-json", None),
        ("a.json", b'{"resourceType": "Patient", "id": "p"}', "invalid-resource", None),
        ("a.json", b"[]", "invalid-resource", None),
        ("a.json", b'{"resourceType": "DocumentReference"}', "no-content", None),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_the_command_is_done(
    extracted: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    name: str,
    data: bytes,
    reason: str,
    media_type: str | None,
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    (line,) = extracted(str(file))
    assert list(line) == KEYS
    assert (line["outcome"], line["reason"], line["media_type"], line["text"]) == ("refused", reason, media_type, "")


def test_a_file_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(str(tmp_path / "none.txt")) == WRONG_USE
    assert capsys.readouterr().out == ""


def test_each_line_gives_one_line_in_order(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    found = from_lines(
        document("d1", "Seen by nurse."),
        b"{broken\n",
        bare(b"Bare note.", id="b", media_type="text/plain; charset=utf-8"),
        b"\n",
        document("d2", "   "),
        [1],
        {"id": "x", "data": 5},
        bare(b"No id."),
        b'{"id": "deep", "data": ' + b"[" * 100_000 + b"\n",
    )
    assert [(line["id"], line["outcome"], line["reason"]) for line in found] == [
        ("d1", "ok", None),
        (None, "refused", "not-json"),
        ("b", "ok", None),
        (None, "refused", "not-json"),
        ("d2", "refused", "no-text"),
        (None, "refused", "invalid-resource"),
        ("x", "refused", "invalid-resource"),
        (None, "ok", None),
        (None, "refused", "not-json"),
    ]
    assert all(list(line) == KEYS for line in found)


def test_status_and_type_are_not_looked_at(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    withdrawn = document("d1", "Seen.", status="entered-in-error", docStatus={"not": "a code"}, type=None)
    assert from_lines(withdrawn)[0]["outcome"] == "ok"


def test_a_diagnostic_report_is_read_from_its_presented_form(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "r1", "presentedForm": [attachment("No fracture.")]}
    assert (from_lines(report)[0]["id"], from_lines(report)[0]["text"]) == ("r1", "No fracture.")


@pytest.mark.parametrize(
    ("url", "full_url"),
    [
        ("Binary/b1", None),
        ("https://ehr.example/fhir/Binary/b1", None),
        ("Binary/b1/_history/2", None),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
    ],
)
def test_a_link_to_a_binary_of_the_bundle_is_followed(
    from_lines: Callable[..., list[dict[str, Any]]], url: str, full_url: str | None
) -> None:
    binary = {"resourceType": "Binary", "id": "b1", "contentType": "text/html", **bare(b"<p>Linked &amp; read.</p>")}
    source = document("d1", content=[{"attachment": {"url": url}}])
    entries = [{"resource": source}, {"fullUrl": full_url, "resource": binary}]
    (line,) = from_lines({"resourceType": "Bundle", "id": "bundle", "entry": entries})
    assert (line["id"], line["text"].strip()) == ("d1", "Linked & read.")


def test_a_link_to_anything_else_is_not_followed(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    source = document("d1", content=[{"attachment": {"url": "https://elsewhere.example/Binary/b1"}}])
    assert from_lines(source)[0]["reason"] == "no-content"


def test_repeats_are_kept_in_the_text_and_listed(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    sentence = "Continue the current dose of metoprolol for now."
    (line,) = from_lines(bare(f"{sentence}\n\n{sentence}\n".encode()))
    assert line["text"].count(sentence) == 2
    assert line["duplicates"] == [[[50, 98], [0, 48]]]


def test_offsets_count_code_points(from_lines: Callable[..., list[dict[str, Any]]]) -> None:
    (line,) = from_lines(bare("Äh \U0001f600ok. Fever.".encode()))
    assert [line["text"][start:end] for start, end in line["sentences"]] == ["Äh \U0001f600ok.", "Fever."]


@pytest.mark.parametrize("name", ["fhir-uscore", "fhir-cdex", "fhir-cumulus", "fhir-isik-de", "fhir-hl7-core/r4"])
def test_every_published_resource_ends_as_a_note_or_a_named_refusal(
    extracted: Callable[..., list[dict[str, Any]]], name: str
) -> None:
    named = {"no-content", "no-text", "format-not-yet", "content-mismatch", "invalid-resource", "not-json"}
    files = sorted((corpus.corpus_root() / name).glob("*.*json"))
    lines = [
        line for file in files for line in extracted(*(["--jsonl"] if file.suffix == ".ndjson" else []), str(file))
    ]
    assert len(lines) >= len(files) > 0
    assert all(line["outcome"] == "ok" or line["reason"] in named for line in lines)


def test_a_published_report_in_xhtml_is_read(extracted: Callable[..., list[dict[str, Any]]]) -> None:
    (line,) = extracted(str(corpus.corpus_root() / "fhir-uscore" / "DiagnosticReport-chest-xray-report.json"))
    assert (line["outcome"], line["media_type"]) == ("ok", "application/xhtml+xml")
    assert "INDICATION/CLINICAL QUESTION: Fever / Pneumonia" in line["text"]


def test_most_files_called_rtf_are_text_inside_and_are_read_as_such(
    extracted: Callable[..., list[dict[str, Any]]],
) -> None:
    folder = corpus.corpus_root() / "ctakes-apache"
    (text,) = extracted(str(folder / "OBGYN_MVAPrego_1.rtf"))
    (real,) = extracted(str(folder / "GenSurg_UmbilicalHernia_1.rtf"))
    assert (text["outcome"], text["warnings"]) == ("ok", ["media-type-mismatch"])
    assert (real["outcome"], real["reason"]) == ("refused", "format-not-yet")


def test_the_bulk_export_is_read_line_by_line(extracted: Callable[..., list[dict[str, Any]]]) -> None:
    file = corpus.corpus_root() / "synthea-bulk" / "DocumentReference.ndjson"
    ids = [json.loads(line)["id"] for line in file.read_text(encoding="utf-8").splitlines()]
    found = extracted("--jsonl", str(file))
    assert [line["id"] for line in found] == ids
    assert {line["outcome"] for line in found} == {"ok"}


def test_importing_the_command_imports_no_parser_of_documents() -> None:
    code = "import sidecar.cli.extract, sys; print([m for m in ('resiliparse', 'yaml', 'orjson') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
