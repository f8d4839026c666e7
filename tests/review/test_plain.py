from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.review.plain import statement_spans

if TYPE_CHECKING:
    from tests.review.conftest import NoteOf


def said(note_of: NoteOf, text: str) -> list[str]:
    return [text[slice(*span)] for span in statement_spans(note_of(text))]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("She coughs. She walks.", ["She coughs.", "She walks."]),
        ("- She coughs. [1]\n- She walks. [2][3]", ["She coughs.", "She walks."]),
        ("* She coughs [1, 2].\n\u2022 She walks.", ["She coughs [1, 2].", "She walks."]),
        ("1. She coughs.\n2) She walks.", ["She coughs.", "She walks."]),
        ("Per the note: stop lisinopril.", ["stop lisinopril."]),
        ("- per the note: stop lisinopril. [3]", ["stop lisinopril."]),
        ("## Plan\nShe walks.", ["She walks."]),
        ("**Plan**\nShe walks.", ["She walks."]),
        ("Hospital course:\nShe walks.", ["She walks."]),
        ("HOSPITAL COURSE\n- She walks.", ["She walks."]),
        ("MEDICATIONS\nLisinopril 10 mg\nDNR", ["Lisinopril 10 mg", "DNR"]),
        ("BP 120/80\nNKDA", ["BP 120/80", "NKDA"]),
        ("[1]\n\n-\n", []),
        ("", []),
    ],
)
def test_statements_are_what_is_left_without_headings_bullets_marks_and_attribution(
    note_of: NoteOf, text: str, statements: list[str]
) -> None:
    assert said(note_of, text) == statements


def test_what_hides_behind_a_block_of_the_frame_is_a_statement(note_of: NoteOf) -> None:
    text = (
        "She walks.\nWHERE IT STANDS IN THE NOTE\nStart warfarin today.\n"
        "NOT CARRIED OVER - check in the note\nStop insulin."
    )
    assert said(note_of, text) == ["She walks.", "Start warfarin today.", "Stop insulin."]


@given(st.text(alphabet="aB1.[] \n-#*:!\u2022", max_size=80))
def test_any_text_gives_spans_in_order_that_hold_a_word(note_of: NoteOf, text: str) -> None:
    spans = statement_spans(note_of(text))
    assert all(any(map(str.isalnum, text[start:end])) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
