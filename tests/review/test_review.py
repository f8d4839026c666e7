from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sidecar.drafting.engine import DraftSection, Statement
from sidecar.review import FindingCode, Verdict, review, review_plain
from sidecar.review.grounding import CHECKS

if TYPE_CHECKING:
    from sidecar.review import ReviewPolicy
    from tests.review.conftest import Draft, NoteOf

SOURCE = "HPI: She came with a cough. Potassium 5.9.\nPLAN: Give ceftriaxone 1 g. She walks well."


def test_a_draft_of_the_notes_own_sentences_is_clean(draft: Draft) -> None:
    reviewed = draft(SOURCE, "She came with a cough.", "Potassium 5.9.", "Give ceftriaxone 1 g.")
    assert reviewed.verdict == "clean"
    assert [statement.text for statement in reviewed.statements] == [
        "She came with a cough.",
        "Potassium 5.9.",
        "Give ceftriaxone 1 g.",
    ]
    assert reviewed.removed == ()


def test_a_wrong_statement_is_removed_and_the_draft_is_flagged(draft: Draft) -> None:
    reviewed = draft(SOURCE, "She came with a cough.", "Potassium 6.9.")
    assert reviewed.verdict == "flagged"
    assert [statement.text for statement in reviewed.removed] == ["Potassium 6.9."]


def test_half_removed_is_flagged_and_more_than_half_is_blocked(draft: Draft) -> None:
    assert draft(SOURCE, "She walks well.", "Potassium 6.9.").verdict == "flagged"
    assert draft(SOURCE, "She walks well.", "Potassium 6.9.", "Potassium 7.9.").verdict == "blocked"


def test_nothing_left_is_blocked(draft: Draft) -> None:
    assert draft(SOURCE).verdict == "blocked"
    assert draft(SOURCE, "Potassium 6.9.").verdict == "blocked"


def test_something_not_carried_over_is_at_least_flagged(draft: Draft) -> None:
    reviewed = draft(SOURCE + "\nALLERGIES: Sulfa.", "She came with a cough.")
    assert reviewed.verdict == "flagged"
    assert reviewed.removed == ()


def test_marks_and_hidden_characters_of_an_engine_do_not_reach_the_draft(draft: Draft) -> None:
    reviewed = draft(SOURCE, "She came\u202e with a\u200b cough\x07. [3]")
    assert [statement.text for statement in reviewed.statements] == ["She came with a cough."]


def test_a_policy_runs_only_its_checks(note_of: NoteOf, policy: ReviewPolicy) -> None:
    section = DraftSection("S", (Statement("Potassium 6.9.", ()),))
    silent = type(policy)(("laterality",), policy.critical)
    assert review(note_of(SOURCE), (section,), silent).verdict == "clean"
    assert review(note_of(SOURCE), (section,), policy).verdict == "blocked"
    assert set(policy.checks) == set(CHECKS)


def test_a_note_without_sentences_supports_nothing(draft: Draft) -> None:
    assert draft("", "She came with a cough.").verdict == "blocked"


def test_text_review_points_into_both_texts(note_of: NoteOf, policy: ReviewPolicy) -> None:
    drafted = "- She came with a cough.\n- Per the note: Potassium 6.9. [2]\n"
    reviewed = review_plain(note_of(SOURCE), note_of(drafted), policy)
    texts = [drafted[slice(*statement.span)] for statement in reviewed.statements]
    assert texts == ["She came with a cough.", "Potassium 6.9."]
    (finding,) = reviewed.statements[1].findings
    assert finding.code is FindingCode.NUMBER
    assert finding.draft_span is not None
    assert finding.source_span is not None
    assert (drafted[slice(*finding.draft_span)], SOURCE[slice(*finding.source_span)]) == ("6.9", "5.9")
    assert reviewed.verdict == "flagged"


@given(st.lists(st.text(max_size=40), max_size=6))
def test_every_statement_is_kept_or_removed_never_both_never_lost(draft: Draft, texts: list[str]) -> None:
    reviewed = draft(SOURCE, *texts)
    assert len(reviewed.statements) + len(reviewed.removed) == len(texts)
    assert all(statement.verdict is Verdict.SUPPORTED for statement in reviewed.statements)
    assert all(statement.findings for statement in reviewed.removed)
