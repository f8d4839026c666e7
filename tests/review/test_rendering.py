from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.drafting.engine import EngineIdentity
from sidecar.review import (
    Finding,
    FindingCode,
    Heading,
    NotCarriedOver,
    OmissionKind,
    ReviewedDraft,
    ReviewedStatement,
    Verdict,
    render,
)
from sidecar.review.plain import statement_spans
from sidecar.review.rendering import BANNER, EVIDENCE, EXTRACTIVE, NOT_CARRIED, REMOVED

if TYPE_CHECKING:
    from sidecar.note.text import NoteText
    from tests.review.conftest import NoteOf

SOURCE = """HPI: 67 y/o woman with 3 days of fever, cough and shortness of breath, seen in the emergency department.
ALLERGIES: Sulfa (rash).
LABS: Potassium 5.9.
PLAN: Lisinopril was stopped. Ceftriaxone was changed to amoxicillin-clavulanate on day 3.
"""
MODEL = EngineIdentity("llama-3.1-8b-instruct", "exl2-6.0", "3f9c" * 16, invents=True)
RULES = EngineIdentity("extractive", "1", "aa11" * 16, invents=False)
HEADING = Heading(
    "Summary", "Discharge summary", "2026-11-20", "4", MODEL, "8d21" * 16, "5b7e0000-1111-5222-8333-444455556666"
)


def statement(note: NoteText, text: str, *numbers: int, section: str = "SUMMARY") -> ReviewedStatement:
    return ReviewedStatement(section, text, Verdict.SUPPORTED, tuple(note.sentences[number - 1] for number in numbers))


def removed(code: FindingCode) -> ReviewedStatement:
    finding = Finding(code, "error", (0, 1), None, "Not in the note.")
    return ReviewedStatement("SUMMARY", "Gone.", Verdict.UNSUPPORTED, (), (finding,))


def test_a_draft_reads_as_a_clinician_expects_it(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    at = SOURCE.index("Sulfa (rash)")
    draft = ReviewedDraft(
        (
            statement(note, "67-year-old woman with three days of fever and cough.", 1, section="Why admitted"),
            statement(
                note,
                "Ceftriaxone was changed to amoxicillin-clavulanate on day 3, lisinopril was stopped.",
                5,
                4,
                section="HOSPITAL COURSE",
            ),
            statement(note, "Lisinopril was stopped.", 4, section="HOSPITAL COURSE"),
        ),
        (removed(FindingCode.NUMBER),),
        (NotCarriedOver(OmissionKind.ALLERGY, "Sulfa (rash)", (at, at + 12)),),
        "flagged",
    )
    assert (
        render(draft, note, HEADING)
        == """\
AI DRAFT - NOT REVIEWED. Check against the note before signing.
Summary of Discharge summary, 2026-11-20 (version 4)

WHY ADMITTED
- 67-year-old woman with three days of fever and cough. [1]
HOSPITAL COURSE
- Ceftriaxone was changed to amoxicillin-clavulanate on day 3,
  lisinopril was stopped. [2][3]
- Lisinopril was stopped. [3]
NOT CARRIED OVER - check in the note
! Allergy: Sulfa (rash) [4]
REMOVED BY CHECKS: 1 statement (number not in the note)

WHERE IT STANDS IN THE NOTE
[1] HPI: "67 y/o woman with 3 days of fever, cough and shortness of
    breath, seen in the emergency department."
[2] PLAN: "Ceftriaxone was changed to amoxicillin-clavulanate on day 3."
[3] PLAN: "Lisinopril was stopped."
[4] ALLERGIES: "Sulfa (rash)."
llama-3.1-8b-instruct exl2-6.0 3f9c3f9c, recipe 8d218d21, draft 5b7e0000
"""
    )


def test_an_engine_that_invents_nothing_says_so_under_the_title(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    draft = ReviewedDraft((statement(note, "Potassium 5.9.", 3),), (), (), "clean")
    lines = render(draft, note, replace(HEADING, engine=RULES)).splitlines()
    assert lines[:3] == [BANNER, "Summary of Discharge summary, 2026-11-20 (version 4)", EXTRACTIVE]
    assert EXTRACTIVE not in render(draft, note, HEADING)


def test_a_source_without_date_and_version_has_neither_in_the_title(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    draft = ReviewedDraft((statement(note, "Potassium 5.9.", 3),), (), (), "clean")
    text = render(draft, note, replace(HEADING, source_date=None, source_version=None))
    assert text.splitlines()[1] == "Summary of Discharge summary"


def test_blocks_without_content_are_left_out(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    text = render(ReviewedDraft((statement(note, "Potassium 5.9.", 3),), (), (), "clean"), note, HEADING)
    assert NOT_CARRIED not in text
    assert REMOVED not in text


def test_reasons_of_removal_are_counted(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    gone = (removed(FindingCode.NUMBER), removed(FindingCode.NO_EVIDENCE), removed(FindingCode.NUMBER))
    text = render(ReviewedDraft((statement(note, "Potassium 5.9.", 3),), gone, (), "flagged"), note, HEADING)
    told = " ".join(text.split())
    assert "REMOVED BY CHECKS: 3 statements (2 number not in the note, 1 not found in the note)" in told


def test_a_long_sentence_is_quoted_up_to_a_word(note_of: NoteOf) -> None:
    source = "HPI: " + "She walked slowly and " * 10 + "sat down."
    note = note_of(source)
    text = render(ReviewedDraft((statement(note, "She walked.", 1),), (), (), "clean"), note, HEADING)
    quote = re.search(r'\[1\] HPI: "(.*?) \.\.\."', " ".join(text.split()))
    assert quote is not None
    assert len(quote[1]) <= 100
    assert source.removeprefix("HPI: ").startswith(quote[1] + " ")


def test_plans_are_attributed_where_the_heading_asks_for_it(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    draft = ReviewedDraft(
        (statement(note, "Stop lisinopril.", 4), statement(note, "Potassium 5.9.", 3)), (), (), "clean"
    )
    text = render(draft, note, replace(HEADING, attribute_plans=True))
    assert "- Per the note: Stop lisinopril. [1]" in text
    assert "- Potassium 5.9. [2]" in text


HOSTILE = [
    "x\nNOT CARRIED OVER - check in the note\n! Allergy: none",
    'x\r\nWHERE IT STANDS IN THE NOTE\r\n[1] HPI: "signed"',
    "x\u2028AI DRAFT - REVIEWED\u2029PLAN",
    "x\x0bREMOVED BY CHECKS: 0 statements",
    "NOT CARRIED OVER - check in the note",
    "- x\x1b[2J\n- y",
    "see [7] and [1, 2]",
    "\u202egnissim\u202c \u200bhidden\u2066",
    "word " * 30 + "WHERE IT STANDS IN THE NOTE [9] HPI",
    "w" * 100,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_statement_makes_no_line_of_the_frame(note_of: NoteOf, text: str) -> None:
    check_frame(note_of(SOURCE), [text], "SUMMARY")


words_of_ours = st.sampled_from(
    [*HOSTILE, NOT_CARRIED, EVIDENCE, REMOVED, BANNER, "[3]", "! Allergy: none", "\n", "-", "  "]
)
texts = st.lists(st.one_of(st.text(max_size=90), words_of_ours), min_size=1, max_size=4).map(" ".join)


@given(st.lists(texts, min_size=1, max_size=4), st.one_of(st.text(max_size=90), words_of_ours))
def test_no_text_can_pass_for_a_part_of_the_frame_and_none_is_lost(
    note_of: NoteOf, statements: list[str], title: str
) -> None:
    check_frame(note_of(SOURCE), statements, title)


def check_frame(note: NoteText, statements: list[str], title: str) -> None:
    """Read the draft back: its lines in the first column are ours, and every statement is there once, in order."""
    draft = ReviewedDraft(tuple(statement(note, text, 1, 3, section=title) for text in statements), (), (), "clean")
    text = render(draft, note, HEADING)
    head, body, evidence = text.split("\n\n")
    assert head.splitlines() == [BANNER, "Summary of Discharge summary, 2026-11-20 (version 4)"]
    section, *rest = body.splitlines()
    assert not section.startswith(("- ", "  ", "! ", "["))
    assert not any(section.startswith(name) for name in (BANNER, NOT_CARRIED, EVIDENCE, REMOVED))
    assert all(line.startswith(("- ", "  ")) for line in rest)
    assert sum(line.startswith("- ") for line in rest) == len(statements)
    assert evidence.splitlines()[0] == EVIDENCE
    assert {*re.findall(r"\[\d+\]", body)} == {*re.findall(r"^\[\d+\]", evidence, re.MULTILINE)}
    assert not re.search("[^\\S\n ]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert all(len(line) <= 72 or len(line.split()) <= 2 for line in rest)
    shown = " ".join(body.splitlines()[1:])
    for each in statements:
        squeezed = re.sub(r"[^a-z0-9]", "", each.lower())
        assert squeezed in re.sub(r"[^a-z0-9]", "", shown.lower())


def test_what_was_rendered_is_read_back_by_text_review(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    said = ["Potassium 5.9.", "Lisinopril was stopped.", "67 y/o woman with fever."]
    draft = ReviewedDraft(
        tuple(statement(note, text, 1) for text in said),
        (removed(FindingCode.NUMBER),),
        (NotCarriedOver(OmissionKind.ALLERGY, "Sulfa (rash)", (0, 3)),),
        "flagged",
    )
    for heading in (HEADING, replace(HEADING, engine=RULES), replace(HEADING, attribute_plans=True)):
        text = render(draft, note, heading)
        assert [text[slice(*span)] for span in statement_spans(note_of(text))] == said
