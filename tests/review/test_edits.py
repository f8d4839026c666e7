from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sidecar.review.edits import edits, same_places


def changed(mine: str, theirs: str) -> list[tuple[str, str]]:
    ours, others = mine.split(), theirs.split()
    return [
        (" ".join(ours[edit.mine.start : edit.mine.stop]), " ".join(others[edit.theirs.start : edit.theirs.stop]))
        for edit in edits(ours, others)
    ]


def test_a_word_that_differs_between_equal_words_is_an_edit() -> None:
    assert changed("pain in left knee", "pain in right knee") == [("left", "right")]


def test_a_word_that_only_one_text_has_is_an_edit() -> None:
    assert changed("does prevent walking", "does not prevent walking") == [("", "not")]


def test_texts_that_share_nothing_have_no_edits() -> None:
    assert changed("a b c", "d e f") == []


def test_at_an_end_two_words_have_to_agree() -> None:
    assert changed("left knee", "right knee") == []
    assert changed("left knee pain", "right knee pain") == [("left", "right")]


def test_numbers_between_the_same_words_are_in_the_same_place() -> None:
    assert list(same_places(["bp", "#", "pulse", "#"], ["bp", "#", "pulse", "#"])) == [(1, 1), (3, 3)]


def test_numbers_between_other_words_are_not() -> None:
    assert list(same_places(["lisinopril", "#", "metoprolol", "#"], ["metoprolol", "#", "lisinopril", "#"])) == []


words = st.lists(st.sampled_from(["a", "b", "c", "#"]), max_size=12)


@given(words, words)
def test_places_hold_numbers_and_edits_are_in_order(mine: list[str], theirs: list[str]) -> None:
    assert all(mine[at] == theirs[there] == "#" for at, there in same_places(mine, theirs))
    found = list(edits(mine, theirs))
    assert all(one.mine.stop <= two.mine.start for one, two in pairwise(found))


@given(words)
def test_a_text_has_no_edits_from_itself(mine: list[str]) -> None:
    assert list(edits(mine, mine)) == []
