"""How often: BID, twice daily and q12h are one frequency."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_COUNT = {"once": 1, "one": 1, "twice": 2, "two": 2, "thrice": 3, "three": 3, "four": 4, "five": 5, "six": 6}
_NUMBER = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10, "twelve": 12}
_PERIOD = {  # days
    "h": Fraction(1, 24), "hr": Fraction(1, 24), "hour": Fraction(1, 24), "d": Fraction(1), "day": Fraction(1),
    "daily": Fraction(1), "w": Fraction(7), "wk": Fraction(7), "week": Fraction(7), "weekly": Fraction(7),
    "mo": Fraction(30), "month": Fraction(30), "monthly": Fraction(30), "year": Fraction(365),
    "yearly": Fraction(365), "min": Fraction(1, 1440), "minute": Fraction(1, 1440),
}  # fmt: skip
_UNIT = {"h": "hour", "hr": "hour", "d": "day", "w": "week", "wk": "week", "mo": "month", "min": "minute"}
_LATIN: dict[str, int | Fraction] = {
    "qd": 1, "bid": 2, "tid": 3, "qid": 4, "qhs": 1, "hs": 1, "qam": 1, "qpm": 1, "qday": 1, "qdaily": 1,
    "qod": Fraction(1, 2), "qweek": Fraction(1, 7), "qwk": Fraction(1, 7), "qweekly": Fraction(1, 7),
    "qmonth": Fraction(1, 30),
}  # fmt: skip
_PLAIN: dict[str, int | Fraction] = {
    "daily": 1, "nightly": 1, "at bedtime": 1, "at night": 1, "weekly": Fraction(1, 7), "biweekly": Fraction(1, 14),
    "monthly": Fraction(1, 30), "yearly": Fraction(1, 365), "annually": Fraction(1, 365), "hourly": 24,
    "every other day": Fraction(1, 2), "every morning": 1, "every evening": 1, "every night": 1, "each morning": 1,
    "each evening": 1, "each night": 1, "every bedtime": 1, "in the morning": 1, "in the evening": 1,
}  # fmt: skip

_LATIN_PATTERN = (
    r"b\.?\s?i\.?\s?d\b|t\.?i\.?d\b|q\.?i\.?d\b|q\.?\s?o\.?\s?d\b|q\.?d\b|q\.?\s?h\.?s\b|h\.s\b|q\.?\s?[ap]\.?m\b"
    r"|q\.?\s?(?:day|daily|week|wk|weekly|month)\b"
)
_INTERVAL_PATTERN = (
    rf"(?:q\.?\s?|every\s+|each\s+)(?:\d+|{'|'.join(_NUMBER)})(?:\s?(?:-|\u2013|to)\s?(?:\d+|{'|'.join(_NUMBER)}))?"
    r"[\s-]?(?:hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|mo|minutes?|min)\b"
)
_TIMES_PATTERN = (
    r"(?:(?:once|twice|thrice)|(?:\d+|one|two|three|four|five|six)(?:\s?x|[\s-]+times))"
    r"(?:\s*/\s*|[\s-]+(?:a|per|each|every|in\s+a)[\s-]+|[\s-]+)(?:day|daily|week|weekly|month|monthly|year|yearly)\b"
)
FREQUENCY_PATTERN = (
    rf"\b(?i:{_INTERVAL_PATTERN}|{_TIMES_PATTERN}"
    rf"|every\s+other\s+day|(?:every|each|once\s+(?:a|per|every)|one\s+a|per|a)\s+(?:day|week|month)\b"
    r"(?!\s+(?:ago|later|earlier|before|after|prior|or\s+two))"
    rf"|{'|'.join(name.replace(' ', chr(92) + 's+') for name in _PLAIN)}\b|{_LATIN_PATTERN})"
)


class Frequency(NamedTuple):
    """`times` a day, two for a range; `intervals` and `unit` are the numbers in it, as "4-6 hours"."""

    times: tuple[Fraction, ...]
    intervals: tuple[Fraction, ...] = ()
    unit: str | None = None


def per_day(written: str) -> Frequency:
    """Return what `FREQUENCY_PATTERN` matched, in times a day."""
    text = " ".join(written.lower().split())
    if text in _PLAIN:
        return Frequency((Fraction(_PLAIN[text]),))
    latin = re.sub(r"[.\s]", "", text)
    if latin in _LATIN:
        return Frequency((Fraction(_LATIN[latin]),))
    if text.startswith(("q", "every", "each")) and (interval := _interval(text)):
        return interval
    return _times(text)


def _interval(text: str) -> Frequency | None:
    numbers = [Fraction(_NUMBER.get(each, each)) for each in re.findall(rf"\d+|\b(?:{'|'.join(_NUMBER)})\b", text)]
    period = re.findall(r"[a-z]+", text)[-1].rstrip("s")
    if not numbers or 0 in numbers or period not in _PERIOD:
        return None
    times = tuple(1 / (number * _PERIOD[period]) for number in numbers)
    return Frequency(times, tuple(numbers), _UNIT.get(period, period))


def _times(text: str) -> Frequency:
    pieces = re.findall(r"[a-z]+|\d+", text)
    count = Fraction(pieces[0]) if pieces[0].isdigit() else Fraction(_COUNT.get(pieces[0], 1))
    times = (count / _PERIOD.get(pieces[-1], Fraction(1)),)
    if pieces[0] == "a":
        return Frequency(times, (count,), pieces[-1])  # "a week" may be a duration
    return Frequency(times, (count,), "time") if pieces[0].isdigit() or pieces[0] in _COUNT else Frequency(times)
