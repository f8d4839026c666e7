"""Measurements in the words of a sentence, and whether one is out of range."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.drafting.rules import Range, Rules

_DATE = re.compile(r"\d{1,2}/(?:\d{4}|\d{1,2}/\d+)")
_SAID_NORMAL = frozenset({"negative", "normal"})  # "troponin negative x 2"
_WITHIN = 4
_BEFORE = 3
_THOUSANDS = 2100  # "platelets 107,000" is 107; smaller numbers may be years


def measured_in(words: list[str], rules: Rules) -> frozenset[str]:
    """Return the measurements that have a value here: `potassium 5.9` names no drug."""
    return frozenset(name for name, _, _ in _values(words, rules))


def is_out_of_range(words: list[str], rules: Rules) -> bool:
    """Say whether a value is out of range; `less than 88` is where 88 is not above the range."""
    return any(_excludes(limits, near) for _, limits, near in _values(words, rules))


def _values(words: list[str], rules: Rules) -> Iterator[tuple[str, Range, list[str]]]:
    """Yield name, limits, and the words from the name to its value, which is the last of them."""
    for position, name in enumerate(words):
        limits = rules.ranges.get(name)
        if limits is None:
            continue
        near = words[position + 1 : position + 1 + _WITHIN]
        if limits.follows:
            near = words[max(0, position - _BEFORE) : position][::-1]
        for length, word in enumerate(near, 1):
            if _plausible(limits, word) is not None:
                yield name, limits, near[:length]
                break


def _excludes(limits: Range, near: list[str]) -> bool:
    value = _plausible(limits, near[-1])
    if value is None or not _SAID_NORMAL.isdisjoint(near):
        return False
    if "less" in near:
        return value <= limits.low
    return limits.excludes(value) or _second_is_out(limits, near[-1])


def _second_is_out(limits: Range, word: str) -> bool:
    second = _number(word.partition("/")[2])
    return limits.lower is not None and second is not None and not limits.lower[0] <= second <= limits.lower[1]


def _plausible(limits: Range, word: str) -> float | None:
    if _DATE.fullmatch(word):
        return None
    value = _number(word.partition("/")[0])
    if value is not None and value >= _THOUSANDS:
        value /= 1000
    return value if value is not None and limits.is_value(value) else None


def _number(word: str) -> float | None:
    try:
        return float(word.replace(",", "")) if word[:1].isdigit() else None
    except ValueError:
        return None
