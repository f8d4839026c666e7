"""Numbers written as words."""

from __future__ import annotations

import re
from fractions import Fraction

_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
# "one" may be a pronoun, the rest are near a number or stand for one in passing.
_SOFT: dict[str, int | Fraction] = {
    "a": 1,
    "an": 1,
    "one": 1,
    "single": 1,
    "couple": 2,
    "both": 2,
    "half": Fraction(1, 2),
    "zero": 0,
}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
}  # fmt: skip
_OTHER = {"twice": 2, "thrice": 3, "dozen": 12}

_TO_NINE, _TO_NINETEEN = "|".join(list(_ONES)[1:10]), "|".join(sorted(_ONES, key=len, reverse=True))
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-]+(?:{_TO_NINE}))?|{_TO_NINETEEN})"
_LARGE = rf"(?:(?:{_SMALL}|a)\s+(?:hundred|thousand)(?:\s+(?:and\s+)?{_SMALL})?)"
_ORDINAL = "|".join(_ORDINALS)
_HALVES = rf"{_SMALL}\s+and\s+(?:a\s+)?half"
NUMBER_WORD_PATTERN = (
    rf"\b(?i:{_HALVES}|{_LARGE}|{_SMALL}|twice|thrice|dozen|couple|both|single|half|{_ORDINAL}|an?(?=[\s-]+\w))\b"
)


def value_of(written: str) -> tuple[Fraction, bool]:
    """Return the value of what `NUMBER_WORD_PATTERN` matched, and whether it is soft."""
    pieces = [piece for piece in re.split(r"[\s-]+", written.lower()) if piece != "and"]
    soft = _SOFT.get(pieces[0], _ORDINALS.get(pieces[0]))
    if len(pieces) == 1 and soft is not None:
        return Fraction(soft), True
    return _sum(pieces), False


def _sum(pieces: list[str]) -> Fraction:
    total = Fraction(0)
    for piece in pieces:
        if piece == "hundred":
            total = (total or 1) * Fraction(100)
        elif piece == "thousand":
            total = (total or 1) * Fraction(1000)
        elif piece == "half":
            total += Fraction(1, 2)
        elif piece != "a":
            total += _ONES.get(piece) or _TENS.get(piece) or _OTHER.get(piece) or 0
    return total
