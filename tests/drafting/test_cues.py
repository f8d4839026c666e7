"""Cues are whole words or stems, the longest wins, and words are split as clinicians write them."""

from __future__ import annotations

import pytest

from sidecar.drafting.cues import CueIndex, split_words
from sidecar.drafting.rules import plain_title, title_holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Lisinopril 10mg p.o. b.i.d.", ["lisinopril", "10", "mg", "p.o", "b.i.d"]),
        ("BP 120/80, K 5.9; WBC 1,200", ["bp", "120/80", "k", "5.9", "wbc", "1,200"]),
        ("A 56-year-old follow-up", ["a", "56", "year-old", "follow-up"]),
        ("s/p CABG (2019)", ["s/p", "cabg", "2019"]),
        ("", []),
    ],
)
def test_words_are_split_as_clinicians_write_them(text: str, words: list[str]) -> None:
    assert split_words(text) == words


INDEX = CueIndex({"follow-up": ["follow up"], "reason": ["follow up of"], "drug": ["metopro*"], "plan": ["will"]})


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("He is here for follow up of asthma", ["reason"]),
        ("He will follow up", ["plan", "follow-up"]),
        ("metoprolol", ["drug"]),
        ("follow", []),
        ("goodwill", []),
        ("follow upward", []),
    ],
)
def test_the_longest_cue_at_a_place_counts(text: str, topics: list[str]) -> None:
    assert list(INDEX.find(split_words(text))) == topics


@pytest.mark.parametrize(
    ("title", "phrase", "holds"),
    [
        ("DISCHARGE DIAGNOSES:", "diagnos", True),
        ("Assessment / Plan", "plan", True),
        ("BACKGROUND", "back", False),
        ("## Current   Medications", "medication", True),
        ("TRANSPLANT HISTORY", "plan", False),
    ],
)
def test_a_title_holds_a_phrase_from_the_start_of_a_word(title: str, phrase: str, holds: bool) -> None:
    assert title_holds(plain_title(title), phrase) is holds
