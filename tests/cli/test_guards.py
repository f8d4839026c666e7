"""One output line per input line, whatever the line is, and a named end for input and output that fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import main
from tests.support.notes import DISCHARGE, attachment, document

BARE = json.dumps({"id": "x", "media_type": "text/plain", "data": attachment(DISCHARGE)["data"]}).encode()
REVIEW = json.dumps({"id": 7, "source": DISCHARGE, "draft": "Potassium was 5.9."}).encode()
SECRET = "Jane Roe, potassium 5.9"


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: str) -> Any:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(arguments) == 0
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize(("command", "good"), [("draft", BARE), ("extract", BARE), ("review", REVIEW)])
def test_a_blank_line_has_its_answer_and_a_final_newline_has_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, good: bytes
) -> None:
    lines, _ = run(capsys, monkeypatch, b"\n" + good + b"\n  \r\n" + good + b"\n", command, "--jsonl")
    assert [line.get("reason") for line in lines] == ["not-json", None, "not-json", None]


@pytest.mark.parametrize("command", ["draft", "extract", "review"])
def test_no_lines_give_no_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert run(capsys, monkeypatch, b"", command, "--jsonl")[0] == []


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError(SECRET)


@pytest.mark.parametrize("arguments", [("--jsonl",), ()])
@pytest.mark.parametrize(
    ("command", "broken", "outcome"),
    [
        ("draft", "sidecar.oneshot.draft_text", "dead-lettered"),
        ("draft", "sidecar.cli.inputs._of_bare_line", "dead-lettered"),
        ("extract", "sidecar.cli.inputs.read_attachment", "refused"),
        ("extract", "sidecar.cli.inputs._of_bare_line", "refused"),
    ],
)
def test_a_fault_of_our_own_is_an_output_line_and_quotes_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    broken: str,
    outcome: str,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setattr(broken, fail)
    (line,), err = run(capsys, monkeypatch, BARE, command, *arguments)
    assert (line["outcome"], line["reason"], line["text"]) == (outcome, "poison", "")
    assert "ZeroDivisionError" in err
    assert SECRET not in err
    assert "Traceback" not in err


def test_a_document_that_fails_does_not_end_the_rest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.oneshot.route", fail)
    lines, _ = run(capsys, monkeypatch, json.dumps(document()).encode() + b"\n" + BARE, "draft", "--jsonl")
    assert [(line["id"], line["outcome"]) for line in lines] == [("d1", "dead-lettered"), ("x", "drafted")]


@pytest.mark.parametrize("start", ["2026-11-19T10:00:00", "20261119", "", 20261119, None])
def test_an_odd_period_does_not_keep_a_note_from_its_draft(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, start: object
) -> None:
    odd = document(context={"encounter": [{"reference": "Encounter/e1"}], "period": {"start": start}})
    (line,), err = run(capsys, monkeypatch, json.dumps(odd).encode(), "draft", "--jsonl")
    assert (line["outcome"], err) == ("drafted", "")


REFUSED = {"statements": [], "not_carried_over": [], "verdict": "blocked", "outcome": "refused"}


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        (b'{"id": NaN, "source": "a", "draft": "b"}', None, "not-json"),
        (b'{"id": "x", "source": "a", "draft": "b", "more": [-Infinity]}', None, "not-json"),
        (b'{"id": 1e999, "source": "a"}', None, "invalid-line"),
        (b'{"id": ["x"], "source": "a"}', None, "invalid-line"),
        (b"[" * 100_000, None, "not-json"),
        (b'["a"]', None, "invalid-line"),
        (b'{"id": "x", "source": "a"}', "x", "invalid-line"),
    ],
)
def test_a_line_that_cannot_be_reviewed_is_blocked_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: bytes, name: str | None, reason: str
) -> None:
    lines, _ = run(capsys, monkeypatch, line + b"\n\xef\xbb\xbf" + REVIEW, "review", "--jsonl")
    assert lines[0] == {"id": name, "reason": reason, **REFUSED}
    assert set(lines[1]) == {"id", "statements", "not_carried_over", "verdict"}
    assert lines[1]["id"] == 7


def test_a_draft_that_the_checks_fail_on_is_blocked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.review.review_plain", fail)
    (line,), err = run(capsys, monkeypatch, REVIEW, "review", "--jsonl")
    assert line == {"id": 7, "reason": "poison", **REFUSED}
    assert SECRET not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("draft", "{}"),
        ("extract", "{}"),
        ("extract", "{}", "--jsonl"),
        ("review", "{}", "--jsonl"),
        ("review", "--source", "{}", "--draft", "{}"),
    ],
)
def test_input_that_cannot_be_read_is_wrong_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert main([argument.format(path) for argument in arguments]) == 2
        assert f"cannot read {path}: " in capsys.readouterr().err


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    path.write_bytes((BARE + b"\n") * 20)
    return path


@pytest.mark.parametrize("command", ["draft", "extract"])
@pytest.mark.parametrize("jsonl", [["--jsonl"], []])
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(lines: Path, command: str, jsonl: list[str]) -> None:
    arguments = [sys.executable, "-m", "sidecar", command, str(lines), *jsonl]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("jsonl", [["--jsonl"], []])
def test_a_full_disk_is_the_fault_of_the_environment(lines: Path, jsonl: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        arguments = [sys.executable, "-m", "sidecar", "extract", str(lines), *jsonl]
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == "sidecar: OSError: No space left on device\n"
