from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sidecar.drafting.answer import answer_schema, parse_answer
from sidecar.drafting.engine import DraftSection, Statement
from sidecar.drafting.task import TaskKind
from sidecar.errors import ParkEvent
from sidecar.mappings import Mappings

TASK = Mappings.load().tasks[TaskKind.SUMMARY]
FIRST, SECOND = TASK.sections[0].title, TASK.sections[1].title


def section(title: str, *statements: tuple[str, list[Any]]) -> dict[str, Any]:
    return {"title": title, "statements": [{"text": text, "sources": sources} for text, sources in statements]}


def answer(*sections: dict[str, Any]) -> str:
    return json.dumps({"sections": sections})


def test_sections_come_in_the_tasks_order_and_empty_ones_are_left_out() -> None:
    text = answer(section(SECOND, ("Anemia.", [3, 3, 4])), section(FIRST, ("Fever.", [1])), section(SECOND))
    assert parse_answer(text, TASK, 5).sections == (
        DraftSection(FIRST, (Statement("Fever.", (1,)),)),
        DraftSection(SECOND, (Statement("Anemia.", (3, 4)),)),
    )


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("I cannot help with that.", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "breaks type"),
        ('{"sections": [], "status": "final"}', "breaks additionalProperties"),
        (answer(section("TREATMENT ADVICE", ("Start it.", [1]))), "breaks enum"),
        (answer(section(FIRST, ("", [1]))), "breaks minLength"),
        (answer(section(FIRST, ("Fever.", []))), "breaks minItems"),
        (answer(section(FIRST, ("Fever.", [0]))), "breaks minimum"),
        (answer(section(FIRST, ("Fever.", [6]))), "breaks maximum"),
        (answer(section(FIRST, ("Fever.", ["1"]))), "breaks type"),
    ],
)
def test_what_breaks_the_schema_is_parked_with_the_place_and_not_the_words(text: str, detail: str) -> None:
    with pytest.raises(ParkEvent, match="engine-failed") as caught:
        parse_answer(text, TASK, 5)
    assert detail in caught.value.detail
    assert "Start" not in caught.value.detail


def test_the_schema_itself_is_valid() -> None:
    Draft202012Validator.check_schema(answer_schema(TASK, 10))


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_answer_is_read_or_parked(text: str) -> None:
    try:
        parse_answer(text, TASK, 3)
    except ParkEvent:
        return
