"""What drafts carry of the golden notes: `cases.jsonl`, and `held-out.jsonl`, which no rule was tuned on.

A case lists words, in groups of alternatives, that a physician who read the note wants in its draft, and
words that a draft does without. Both were written by hand from the notes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sidecar.drafting.engine import DraftRequest
from sidecar.drafting.extractive import extract_draft
from sidecar.drafting.rules import Rules
from sidecar.drafting.task import Task, TaskKind
from sidecar.mappings import Mappings
from sidecar.note import NoteText, extract_bytes
from tests.support.corpus import corpus_root, notes

LOINC = "http://loinc.org"
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a file of cases; `loinc` is the document type of its note."""

    id: str
    must_carry: tuple[tuple[str, ...], ...]
    must_not_say: tuple[str, ...]
    note: NoteText
    loinc: str | None


@dataclass(frozen=True, slots=True)
class Carried:
    case: Case
    missing: tuple[tuple[str, ...], ...]
    said: tuple[str, ...]
    words: int

    @property
    def share(self) -> float:
        return 1 - len(self.missing) / len(self.case.must_carry)


def read_cases(name: str) -> list[Case]:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [_case(json.loads(line)) for line in lines]


def score(case: Case, *, typed: bool) -> Carried:
    """Draft the note by its document type, or as a bare one, and look for the words."""
    answer = extract_draft(DraftRequest(_task(case.loinc if typed else None), case.note), _rules())
    text = plain(" ".join(statement.text for section in answer.sections for statement in section.statements))
    return Carried(
        case,
        tuple(words for words in case.must_carry if not holds_one(text, words)),
        tuple(words for words in case.must_not_say if plain(words) in text),
        len(text.split()),
    )


def share_of(scores: list[Carried]) -> float:
    missing = sum(len(carried.missing) for carried in scores)
    return 1 - missing / sum(len(carried.case.must_carry) for carried in scores)


def holds_one(text: str, words: tuple[str, ...]) -> bool:
    return any(plain(alternative) in text for alternative in words)


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def _case(line: dict[str, Any]) -> Case:
    data, media_type, loinc = _source(line["note"])
    carry = tuple(tuple(words) for words in line["must_carry"])
    return Case(line["id"], carry, tuple(line["must_not_say"]), extract_bytes(data, media_type), loinc)


def _source(name: str) -> tuple[bytes, str, str | None]:
    """Return bytes, media type and document type of a bare note, or of a DocumentReference of synthea-bulk."""
    if not name.startswith("synthea-bulk/"):
        note = next(note for note in notes() if note.id == name)
        return note.data, note.media_type, note.loinc
    resource = _documents()[name.removeprefix("synthea-bulk/")]
    attachment = resource["content"][0]["attachment"]
    return base64.b64decode(attachment["data"]), attachment["contentType"], resource["type"]["coding"][0]["code"]


@cache
def _documents() -> dict[str, dict[str, Any]]:
    lines = (corpus_root() / "synthea-bulk" / "DocumentReference.ndjson").read_text(encoding="utf-8").splitlines()
    return {resource["id"]: resource for resource in map(json.loads, lines)}


@cache
def _mappings() -> Mappings:
    return Mappings.load()


@cache
def _rules() -> Rules:
    return Rules.load()


def _task(loinc: str | None) -> Task:
    found = _mappings().note_types.get((LOINC, loinc)) if loinc else None
    return found.task if found else _mappings().tasks[TaskKind.SUMMARY]
