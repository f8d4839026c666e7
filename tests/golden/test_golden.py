"""The extractive drafts of hand-read notes carry what a physician wants of them."""

from __future__ import annotations

import pytest

from tests.golden.coverage import Carried, Case, holds_one, plain, read_cases, score, share_of

TUNED = read_cases("cases")
HELD_OUT = read_cases("held-out")


def describe(scores: list[Carried]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    return [(carried.case.id, carried.missing) for carried in scores if carried.missing]


@pytest.mark.parametrize("typed", [True, False], ids=["by type", "bare"])
@pytest.mark.parametrize(("cases", "least"), [(TUNED, 0.95), (HELD_OUT, 0.90)], ids=["tuned", "held out"])
def test_drafts_carry_what_they_must(cases: list[Case], least: float, typed: bool) -> None:
    scores = [score(case, typed=typed) for case in cases]
    assert share_of(scores) >= least, describe(scores)


@pytest.mark.parametrize("typed", [True, False], ids=["by type", "bare"])
@pytest.mark.parametrize(("cases", "least"), [(TUNED, 0.8), (HELD_OUT, 0.7)], ids=["tuned", "held out"])
def test_no_note_loses_much(cases: list[Case], least: float, typed: bool) -> None:
    assert [carried for carried in (score(case, typed=typed) for case in cases) if carried.share < least] == []


@pytest.mark.parametrize("typed", [True, False], ids=["by type", "bare"])
@pytest.mark.parametrize("case", TUNED + HELD_OUT, ids=lambda case: case.id)
def test_noise_is_left_out(case: Case, typed: bool) -> None:
    assert not score(case, typed=typed).said


@pytest.mark.parametrize("case", TUNED + HELD_OUT, ids=lambda case: case.id)
def test_a_case_asks_for_words_of_its_note(case: Case) -> None:
    text = plain(case.note.text)
    assert [words for words in case.must_carry if not holds_one(text, words)] == []
    assert [words for words in case.must_not_say if plain(words) not in text] == []
    assert 6 <= len(case.must_carry) <= 14


def test_the_cases_cover_every_kind_of_note() -> None:
    kinds = {"18842-5", "11488-4", "34117-2", "11506-3", "11504-8", "28570-0", "34111-5"}
    assert kinds == {case.loinc for case in TUNED + HELD_OUT}
    assert len(TUNED) + len(HELD_OUT) >= 24
    assert 2 * len(TUNED) <= 5 * len(HELD_OUT), "about a third is held out"
