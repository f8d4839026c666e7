"""Words of a text with their offsets, folded so that a paraphrase meets its source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# A1c and H2O are words; HR72 is a word and a number.
_WORD = re.compile(r"[^\W\d_]+\d+[^\W\d_]+|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)?")

# As long as a stem needs to keep "hypertension" and "hypotension" apart and to join "hypertensive" to the former.
_STEM_LENGTH = 7

STOP = frozenset(
    re.findall(
        r"\w+",
        """
    a an and are as at be been being by can could did do does doing for from had has have having he her hers him his i
    in into is it its may me might mr mrs ms my of on or our she should so some such than that the their them then
    there these they this those to too up us was we were what when which while who will with would you your also
    patient patients pt per note
        """,
    )
)

# "hr" is an hour and "HR" the heart rate; sides are found whichever way they are written.
_SAME_AS = {"HR": "heartrate", "rt": "right", "Rt": "right", "lt": "left", "Lt": "left"}
_DIGITS_OF = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip


class Word(NamedTuple):
    """`key` is the folded form that two texts are compared by; offsets index the text it was read from."""

    key: str
    start: int
    end: int

    @property
    def is_content(self) -> bool:
        return self.key not in STOP

    @property
    def is_number(self) -> bool:
        return self.key[0].isdigit()

    @property
    def is_light(self) -> bool:
        """Say whether the word is a detail that checks compare: a number, a unit, a side, a negation.

        Where one is wrong, the statement must still find the sentence that its other words come from.
        """
        return self.is_number or self.key in _LIGHT


def words(text: str) -> tuple[Word, ...]:
    """Return the words and numbers of `text` in order."""
    return tuple(Word(fold(match.group()), match.start(), match.end()) for match in _WORD.finditer(text))


def fold(word: str) -> str:
    """Return `word` without case, plural, possessive and long endings; ``1,000`` becomes ``1000``."""
    if word[0].isdigit():
        return word.replace(",", "")
    lower = _SAME_AS.get(word, word.lower())
    if lower in STOP:
        return lower
    if is_denial(lower):
        lower = lower[3:]
    return _DIGITS_OF.get(lower) or _stem(re.sub(r"['\u2019].*", "", lower))


def is_denial(word: str) -> bool:
    """Say whether a lower-case word denies what it names: "nontender"; its key is that of "tender"."""
    return word.startswith("non") and len(word) > 6


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return _without_ending(word)[:_STEM_LENGTH]


def _without_ending(word: str) -> str:
    """Take "stopped" and "stopping" to "stop", "increased" and "increase" to "increas"."""
    for ending in ("ing", "ed", "e"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and root != "not":  # "noted" is no negation
            doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "ls"
            return root[:-1] if doubled and ending != "e" else root
    return word


def content_keys(text: str) -> frozenset[str]:
    """Return the keys of the words that carry meaning, numbers included."""
    return frozenset(word.key for word in words(text) if word.is_content)


_LIGHT = frozenset(
    word.key
    for word in words(
        """
        mg mcg g gm kg lb ml l dl cc cm mm meq mmol units bpm mmhg days weeks months years yr hours hr minutes tablets
        tab half left right both bilateral no not without denies never negative positive none daily bid tid qid
        twice once y o yo old january february april june july august september october november december
        jan feb apr jun jul aug sept oct nov dec
        """
    )
)


def are_about_the_same(one: Iterable[Word], other: Iterable[Word]) -> bool:
    """Say whether the shorter of two texts shares at least half of its words of meaning with the other."""
    mine, theirs = ({word.key for word in each if word.is_content} for each in (one, other))
    return 2 * len(mine & theirs) >= min(len(mine), len(theirs))
