"""The JSON that a language model must answer with, and its reading.

{"sections": [{"title": "PLAN", "statements": [{"text": "Follow up in 2 weeks.", "sources": [7]}]}]}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidecar.drafting.engine import DraftAnswer, DraftSection, Statement
from sidecar.errors import ParkEvent
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.drafting.task import Task

MAX_STATEMENT_CHARACTERS = 1000
MAX_SOURCES = 8


def answer_schema(task: Task, sentences: int) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an answer for `task` about a note of `sentences` sentences.

    It constrains a model while it writes and is checked again afterwards: section titles are the
    task's, and every statement names the source sentences, from 1, that it rests on.
    """
    number = {"type": "integer", "minimum": 1, "maximum": sentences}
    statement = _closed(
        text={"type": "string", "minLength": 1, "maxLength": MAX_STATEMENT_CHARACTERS},
        sources={"type": "array", "items": number, "minItems": 1, "maxItems": MAX_SOURCES},
    )
    most = max(section.max_statements for section in task.sections)
    section = _closed(
        title={"enum": [section.title for section in task.sections]},
        statements={"type": "array", "items": statement, "maxItems": most},
    )
    return _closed(sections={"type": "array", "items": section, "maxItems": len(task.sections)})


def parse_answer(text: str, task: Task, sentences: int) -> DraftAnswer:
    """Read a model's answer into sections in the task's order; empty ones are left out.

    Raises `ParkEvent(engine-failed)` with where it broke, never with what it said (PHI).
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - the extractive engine writes no JSON

    try:
        answer = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise ParkEvent(ParkReason.ENGINE_FAILED, "answer is not JSON") from None
    error = next(Draft202012Validator(answer_schema(task, sentences)).iter_errors(answer), None)
    if error is not None:
        place = "/".join(map(str, error.absolute_path))
        raise ParkEvent(ParkReason.ENGINE_FAILED, f"answer breaks {error.validator} at {place or 'the top'}")
    return DraftAnswer(_sections(answer["sections"], task))


def _sections(sections: list[Mapping[str, Any]], task: Task) -> tuple[DraftSection, ...]:
    statements: dict[str, list[Statement]] = {}
    for section in sections:
        found = [Statement(item["text"], tuple(dict.fromkeys(item["sources"]))) for item in section["statements"]]
        statements.setdefault(section["title"], []).extend(found)
    titles = [section.title for section in task.sections if statements.get(section.title)]
    return tuple(DraftSection(title, tuple(statements[title])) for title in titles)


def _closed(**properties: Any) -> dict[str, Any]:  # noqa: ANN401 - pieces of a JSON Schema
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
