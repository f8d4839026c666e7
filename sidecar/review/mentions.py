"""A number together with the words it stands beside, which say what it is a number of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidecar.review.quantities import Kind, Quantity, quantities
from sidecar.review.units import UNIT_WORDS, same_amount

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.note.text import Span
    from sidecar.review.words import Word

_NEAR = 2
_SAME_PLACE = 2.0


@dataclass(frozen=True, slots=True)
class Mention:
    """`left` and `right` are the keys of the nearest words of meaning, nearest first; `written` is the text."""

    quantity: Quantity
    written: str
    left: tuple[str, ...]
    right: tuple[str, ...]

    @property
    def span(self) -> Span:
        return self.quantity.span


def mentions(text: str, of_words: tuple[Word, ...]) -> tuple[Mention, ...]:
    """Return every number of `text`, soft ones included, with its neighbours."""
    found = quantities(text)
    neighbours = _meaning(text, of_words, found)
    return tuple(_mention(text, quantity, neighbours) for quantity in found)


def _meaning(text: str, of_words: tuple[Word, ...], found: tuple[Quantity, ...]) -> list[Word]:
    taken = [quantity.span for quantity in found if not quantity.soft]
    free = [word for word in of_words if word.is_content and not word.is_number]
    return [
        word
        for word in free
        if word.key == "heartra"
        or (
            text[word.start : word.end].lower() not in UNIT_WORDS
            and not any(start <= word.start < end for start, end in taken)
        )
    ]


def _mention(text: str, quantity: Quantity, neighbours: list[Word]) -> Mention:
    start, end = quantity.span
    left = [word.key for word in neighbours if word.end <= start][-_NEAR:]
    right = [word.key for word in neighbours if word.start >= end][:_NEAR]
    return Mention(quantity, text[start:end], tuple(reversed(left)), tuple(right))


def likeness(one: Mention, other: Mention) -> float:
    """Say how alike the places of two numbers are: the nearest word counts two, one farther off a half."""
    return _side(one.left, other.left) + _side(one.right, other.right)


def same_place(one: Mention, other: Mention) -> bool:
    """Say whether both numbers stand right beside the same word."""
    return likeness(one, other) >= _SAME_PLACE


def _side(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    if not one or not other:
        return 0.0
    rest = len(set(one[1:]) & set(other[1:])) / 2
    if one[0] == other[0]:
        return _SAME_PLACE + rest
    return len(set(one) & set(other)) / 2


def agree(claimed: Quantity, found: Quantity) -> bool:
    """Say whether `found` in the source supports `claimed` in the draft."""
    compare = _COMPARISONS.get((claimed.kind, found.kind))
    return compare is not None and compare(claimed, found)


def units_fit(claimed: Quantity, found: Quantity) -> bool:
    """Say whether the units are one, or one of them is not written."""
    return claimed.unit == found.unit or claimed.unit is None or found.unit is None


def _same(claimed: Quantity, found: Quantity) -> bool:
    return claimed.values == found.values and units_fit(claimed, found)


def _same_amounts(claimed: Quantity, found: Quantity) -> bool:
    if _same(claimed, found):
        return True
    if claimed.unit is None or found.unit is None:
        return False
    pairs = zip(claimed.values, found.values, strict=True)
    return all(same_amount(mine, claimed.unit, theirs, found.unit) for mine, theirs in pairs)


def _one_end(claimed: Quantity, found: Quantity) -> bool:
    """Compare a number with both ends of a range."""
    return any(_same_amounts(claimed, replace(found, kind="number", values=(value,))) for value in found.values)


def _dates(claimed: Quantity, found: Quantity) -> bool:
    year, month, day = claimed.values
    found_year, found_month, found_day = found.values
    return (month, day or found_day) == (found_month, found_day) and (not year or not found_year or year == found_year)


def _clocks(claimed: Quantity, found: Quantity) -> bool:
    return (claimed.values[0] - found.values[0]) % 720 == 0  # "8:30" and "8:30 pm"


def _labels(claimed: Quantity, found: Quantity) -> bool:
    """Take L4 and L4-5 as supported by L4-L5, but not L3-5."""
    if claimed.unit != found.unit:
        return False
    return claimed.values == found.values or (len(claimed.values) == 1 and claimed.values[0] in found.values)


def _part(claimed: Quantity, found: Quantity) -> bool:
    return claimed.values[0] in found.values


# What is written in two ways: 7/21 and July 21, systolic 120 and 120/80, 2008 and 3/2008, HR 72 and HR72.
_COMPARISONS: dict[tuple[Kind, Kind], Callable[[Quantity, Quantity], bool]] = {
    ("number", "number"): _same_amounts,
    ("number", "range"): _one_end,
    ("number", "ratio"): _part,
    ("number", "date"): _part,
    ("number", "label"): _part,
    ("range", "range"): _same_amounts,
    ("range", "ratio"): lambda claimed, found: claimed.values == found.values,
    ("ratio", "range"): lambda claimed, found: claimed.values == found.values,
    ("ratio", "ratio"): _same,
    ("ratio", "date"): lambda claimed, found: claimed.values == found.values[1:],
    ("date", "ratio"): lambda claimed, found: claimed.values[1:] == found.values,
    ("date", "date"): _dates,
    ("clock", "clock"): _clocks,
    ("frequency", "frequency"): _same,
    ("label", "label"): _labels,
}
