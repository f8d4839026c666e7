"""`sidecar review`: the checks alone, on a draft and its source given as plain text."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, add_config
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from sidecar.note.text import NoteText
    from sidecar.review import Finding, PlainReview, ReviewPolicy

NOT_JSON, INVALID_LINE, POISON = "not-json", "invalid-line", "poison"
_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser(
        "review",
        help="check a draft against its source, both plain text",
        description="Check every statement of a draft against its source; no engine, no network. JSON on stdout; "
        "offsets are code points of the texts as given.",
    )
    add_config(parser)
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE|-", help="with --jsonl: where the lines come from"
    )
    parser.add_argument("--source", type=Path, metavar="F", help="the note")
    parser.add_argument("--draft", type=Path, metavar="F", help="the draft")
    parser.add_argument("--jsonl", action="store_true", help='lines of {"id", "source", "draft"} instead of two files')
    parser.add_argument(
        "--task", choices=[kind.value for kind in TaskKind], default=TaskKind.SUMMARY.value, help="names the policy"
    )


def run(options: argparse.Namespace) -> int:
    """Print one line of JSON for two files, or one for every line of input, blank lines too.

    Every line has `id`, `statements`, `not_carried_over` and `verdict`. A line that cannot be checked is
    `blocked`, with both lists empty, and it alone has `outcome` (`refused`) and `reason` (`not-json`,
    `invalid-line`, `poison`) beside them.
    """
    from sidecar.mappings import load_lexicon
    from sidecar.review import policy_from
    from sidecar.settings import load_settings

    if options.jsonl == bool(options.source or options.draft) or bool(options.source) != bool(options.draft):
        raise ConfigError("give --source and --draft, or --jsonl")
    policy = policy_from(load_lexicon("critical-items", load_settings(options.config).mappings.dir))
    reports = _of_lines(options.file, policy) if options.jsonl else _of_files(options.source, options.draft, policy)
    for report in reports:
        print(json.dumps(report), flush=options.jsonl)
    return DONE


def _of_files(source: Path, draft: Path, policy: ReviewPolicy) -> Iterator[dict[str, Any]]:
    yield _report(draft.name, _read_text(source), _read_text(draft), policy)


def _read_text(path: Path) -> str:
    from sidecar.note.decode import decode

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    return decode(data).text


def _of_lines(file: str, policy: ReviewPolicy) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    from sidecar.cli.inputs import read_lines

    for line in tqdm(read_lines(file), unit=" drafts", disable=None, file=sys.stderr):
        yield _of_line(line, policy)


def _of_line(line: bytes, policy: ReviewPolicy) -> dict[str, Any]:
    try:
        data = json.loads(line.removeprefix(_BOM), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _refused(None, NOT_JSON)
    if not isinstance(data, dict):
        return _refused(None, INVALID_LINE)
    name, source, draft = _name(data.get("id")), data.get("source"), data.get("draft")
    if not isinstance(source, str) or not isinstance(draft, str):
        return _refused(name, INVALID_LINE)
    return _report(name, source, draft, policy)


def _no_constant(_name: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON has not (RFC 8259)."""
    raise ValueError("not JSON")


def _name(value: object) -> str | int | None:
    """Return an id to echo: text or a whole number; 1e999 would come back as Infinity."""
    return value if isinstance(value, str | int) else None


def _refused(name: object, reason: str) -> dict[str, Any]:
    checked = {"id": name, "statements": [], "not_carried_over": [], "verdict": "blocked"}
    return {**checked, "outcome": "refused", "reason": reason}


def _report(name: object, source: str, draft: str, policy: ReviewPolicy) -> dict[str, Any]:
    from sidecar.cli.inputs import tell_unexpected
    from sidecar.review import review_plain

    try:
        reviewed = review_plain(_note(source), _note(draft), policy)
    except Exception as error:  # noqa: BLE001 - one draft must not end the rest
        tell_unexpected(error)
        return _refused(name, POISON)
    return {"id": name, **_as_json(reviewed)}


def _note(text: str) -> NoteText:
    """Split `text` into sentences without changing the offset of any character."""
    from sidecar.errors import Ended
    from sidecar.note import extract_bytes

    same_length = _CONTROL.sub(" ", re.sub("\r(?=\n)", " ", text).replace("\r", "\n").translate({11: "\n", 12: "\n"}))
    try:
        note = extract_bytes(same_length.encode(), "text/plain")
    except Ended:
        return _by_lines(same_length)
    return note if note.text == same_length else _by_lines(same_length)


def _by_lines(text: str) -> NoteText:
    """Take every line as a sentence: of text that looks like another format, or that is blank."""
    from sidecar.note.text import NoteText

    sentences = tuple(match.span() for match in re.finditer(r"\S(?:[^\n]*\S)?", text))
    return NoteText(text, "text/plain", None, sentences=sentences)


def _as_json(reviewed: PlainReview) -> dict[str, Any]:
    return {
        "statements": [
            {
                "start": statement.span[0],
                "end": statement.span[1],
                "verdict": statement.verdict.value,
                "findings": [_finding(finding) for finding in statement.findings],
                "evidence": statement.evidence,
            }
            for statement in reviewed.statements
        ],
        "not_carried_over": [
            {"kind": item.kind.value, "text": item.text, "source_span": item.source_span}
            for item in reviewed.not_carried_over
        ],
        "verdict": reviewed.verdict,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code.value,
        "severity": finding.severity,
        "draft_span": finding.draft_span,
        "source_span": finding.source_span,
        "message": finding.message,
    }
