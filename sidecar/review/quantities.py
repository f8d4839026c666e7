"""Numbers of a text: values, ratios, dates, times and frequencies, with unit and offsets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, TypeAlias

from sidecar.review.frequencies import FREQUENCY_PATTERN, per_day
from sidecar.review.number_words import NUMBER_WORD_PATTERN, value_of
from sidecar.review.units import UNIT_PATTERN, unit_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import Span

Kind: TypeAlias = Literal["number", "ratio", "range", "date", "clock", "frequency", "label"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number as written at `span` of its text.

    `values` holds one value; two for a ratio (120/80) and a range (2-3 weeks); year, month, day for a date (0 where not
    said); minutes for a clock time; times per day for a frequency, two of a range; the numbers of a label
    (L4, L4-5), whose letter is in `unit`. `soft` ones support a statement and are no claim of their own:
    "one" may be a pronoun, "a couple" is about two.
    """

    kind: Kind
    values: tuple[Fraction, ...]
    unit: str | None
    span: Span
    soft: bool = False


_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_LIST_NUMBER = re.compile(r"(?:^|[.,;:]\s*|\n\s*)\(?(\d{1,2})[.)](?=\s*[A-Za-z])")
_SCAN = re.compile(
    rf"""
      (?P<iso>(?<!\d)\d{{4}}-\d{{1,2}}-\d{{1,2}}(?![\d-]))
    | (?P<slash>(?<![\d/.])\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}})(?![\d/]))
    | (?P<monthday>\b(?i:{_MONTH})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?(?![\d.]*\d))
    | (?P<daymonth>(?<![\d.])\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?i:{_MONTH})\b\.?(?:,?\s+\d{{4}})?)
    | (?P<monthyear>\b(?i:{_MONTH})\.?,?\s+(?:of\s+)?(?:19|20)\d{{2}}\b)
    | (?P<clock>(?<![\d:])\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?!\d)\s*(?i:[ap]\.?m\b\.?)?
               |(?<![\d.])(?:1[0-2]|0?[1-9])\s*(?i:[ap]\.?m\b\.?))
    | (?P<frequency>{FREQUENCY_PATTERN})
    | (?P<height>(?<![\d.])\d\s?['\u2019]\s?\d{{1,2}}(?:\s?["\u201d]|\s?''|(?=\s|$)))
    | (?P<label>\b(?![xX]\d)[A-Za-z]{{1,4}}\d{{1,2}}(?:\s?[-/]\s?[A-Za-z]?\d{{1,2}})?(?![\w%/]|[.,-]\d)
               |\b(?!(?i:mg|mcg|ml|cc|cm|mm)\b)[A-Za-z]{{2,}}-\d+\b(?![/.%]\d|\s?%))
    | (?P<skip>\b[A-Za-z]+\d+[A-Za-z]\w*)
    | (?P<mixed>(?<![\w.,/])\d+\s+\d/[2348](?![\d/]))
    | (?P<ratio>(?<![\w./])\d+(?:\.\d+)?\s?(?:/|\bover\b)\s?\d+(?:\.\d+)?(?![\d/]|\.\d))
    | (?P<roman>\b(?:(?<=(?i:type)\s)|(?<=(?i:stage|grade|class|phase)\s))[IVX]{{1,4}}(?:/VI|/IV|/V)?\b)
    | (?P<numeral>\b(?:I{{2,3}}|IV|VI{{1,3}}|IX)(?:/VI|/IV|/V)?\b)
    | (?P<number>[\u00bd\u00bc\u00be]|{_DIGITS}\s?[\u00bd\u00bc\u00be]|{_DIGITS})
    | (?P<word>{NUMBER_WORD_PATTERN})
    """,
    re.VERBOSE,
)
_UNIT = re.compile(
    rf"[\s-]{{0,2}}(?P<unit>{UNIT_PATTERN})(?:\s?(?:/|\bper\b)\s?(?:{UNIT_PATTERN}|(?i:d|day|dose|dl|kg|h|hr|min|ml|mm3|m2|u?l)\b))*"
)
_TO_RANGE_END = re.compile(rf"\s*-?\s*(?:-|\u2013|\u2014|\bto\b|\bor\b)\s*(?={_DIGITS}|{NUMBER_WORD_PATTERN})")
_VULGAR = {"\u00bd": Fraction(1, 2), "\u00bc": Fraction(1, 4), "\u00be": Fraction(3, 4)}


def quantities(text: str) -> tuple[Quantity, ...]:
    """Return the numbers of `text` in order; the numbering of lists does not count."""
    numbering = {match.start(1) for match in _LIST_NUMBER.finditer(text)}
    found: list[Quantity] = []
    for match in _SCAN.finditer(text):
        if match.start() not in numbering:
            found.extend(_read(match, text))
    return tuple(_join_ranges(found, text))


def _read(match: re.Match[str], text: str) -> Iterator[Quantity]:
    kind = match.lastgroup or ""
    reader = _READERS.get(kind)
    if reader is not None:
        yield from reader(match, text)


def _number(match: re.Match[str], text: str) -> Iterator[Quantity]:
    value = _value(match.group())
    if _is_negative(text, match.start()):
        value = -value
    unit, end = _unit_after(text, match.end())
    if unit in _LEAST_DEGREES and value < _LEAST_DEGREES[unit]:
        unit, end = None, match.end()
    yield Quantity("number", (value,), unit, (match.start(), end))


_LEAST_DEGREES = {"fahrenheit": 85, "celsius": 25}  # "58F" is the age and sex of a woman


def _is_negative(text: str, start: int) -> bool:
    """Say whether a sign stands before the number: "T-score -2.5", but neither "BP -120" nor "2-3" nor "- 2"."""
    before = text[max(0, start - 2) : start]
    return before.endswith(("-", "\u2212")) and before[:1] in {" ", "("} and "." in text[start : start + 4]


def _value(written: str) -> Fraction:
    vulgar = _VULGAR.get(written[-1], Fraction(0))
    digits = written.rstrip("\u00bd\u00bc\u00be ").replace(",", "")
    return Fraction(digits or 0) + vulgar


def _unit_after(text: str, end: int) -> tuple[str | None, int]:
    match = _UNIT.match(text, end)
    if not match:
        return None, end
    return unit_named(match["unit"]), match.end()


def _mixed(match: re.Match[str], text: str) -> Iterator[Quantity]:
    whole, fraction = match.group().split()
    unit, end = _unit_after(text, match.end())
    yield Quantity("number", (Fraction(whole) + Fraction(fraction),), unit, (match.start(), end))


def _ratio(match: re.Match[str], text: str) -> Iterator[Quantity]:
    first, second = (Fraction(part) for part in re.findall(r"\d+(?:\.\d+)?", match.group()))
    unit, end = _unit_after(text, match.end())
    span = (match.start(), end)
    yield Quantity("ratio", (first, second), unit, span)
    if second and first < second <= 8:
        yield Quantity("number", (first / second,), unit, span, soft=True)
    # UK shorthand: 3/7 is three days, 2/52 two weeks, 6/12 six months.
    if shorthand := {7: "day", 52: "week", 12: "month"}.get(int(second)):
        yield Quantity("number", (first,), shorthand, span, soft=True)


def _label(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    letters = re.match(r"[A-Za-z]+", match.group())
    name = letters.group().lower() if letters else ""
    values = tuple(Fraction(number) for number in re.findall(r"\d+", match.group()))
    yield Quantity("label", values, name, match.span())


def _word(match: re.Match[str], text: str) -> Iterator[Quantity]:
    value, soft = value_of(match.group())
    unit, end = _unit_after(text, match.end())
    if unit is not None or match.group().lower() not in {"a", "an"}:
        is_count = match.group().lower() in {"one", "single", "half"} and unit not in {None, "time"}
        yield Quantity("number", (value,), unit, (match.start(), end), soft and not is_count)


def _roman(match: re.Match[str], _text: str, *, soft: bool = False) -> Iterator[Quantity]:
    values = tuple(_roman_value(part) for part in match.group().split("/"))
    yield Quantity("ratio" if len(values) > 1 else "number", values, None, match.span(), soft)


def _numeral(match: re.Match[str], text: str) -> Iterator[Quantity]:
    """Read a numeral that may be another thing, as IV is: it supports, and claims nothing."""
    return _roman(match, text, soft=True)


def _roman_value(written: str) -> Fraction:
    digits = [{"I": 1, "V": 5, "X": 10}[letter] for letter in written]
    return Fraction(sum(-one if one < after else one for one, after in zip_longest(digits, digits[1:], fillvalue=0)))


def _height(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    feet, inches = re.findall(r"\d+", match.group())
    yield Quantity("number", (Fraction(feet),), "foot", match.span())
    yield Quantity("number", (Fraction(inches),), "inch", match.span())


def _frequency(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    written = per_day(match.group())
    yield Quantity("frequency", written.times, None, match.span())
    for interval in written.intervals:
        yield Quantity("number", (interval,), written.unit, match.span(), soft=True)


def _clock(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    hour, minute = [*map(int, re.findall(r"\d+", match.group())), 0][:2]
    half = re.search(r"[ap]", match.group().lower())
    if half:
        hour = hour % 12 + (12 if half.group() == "p" else 0)
    yield Quantity("clock", (Fraction(hour * 60 + minute),), None, match.span())


def _date(match: re.Match[str], year: int, month: int, day: int) -> Iterator[Quantity]:
    full = year + 2000 if 0 < year < 50 else year + 1900 if 50 <= year < 100 else year
    yield Quantity("date", (Fraction(full), Fraction(month), Fraction(day)), None, match.span())


def _iso(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    year, month, day = map(int, match.group().split("-"))
    return _date(match, year, month, day)


def _slash(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    month, day, year = map(int, match.group().split("/"))
    if month > 12 >= day:  # day first, as outside the US
        month, day = day, month
    return _date(match, year, month, day)


def _named_date(match: re.Match[str], _text: str) -> Iterator[Quantity]:
    month = re.search(_MONTH, match.group(), re.IGNORECASE)
    numbers = [int(number) for number in re.findall(r"\d+", match.group())]
    day = next((number for number in numbers if number < 32), 0)
    year = next((number for number in numbers if number > 31), 0)
    return _date(match, year, _MONTHS.index(month.group()[:3].lower()) + 1 if month else 0, day)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_READERS = {
    "iso": _iso,
    "slash": _slash,
    "monthday": _named_date,
    "daymonth": _named_date,
    "monthyear": _named_date,
    "clock": _clock,
    "frequency": _frequency,
    "height": _height,
    "label": _label,
    "mixed": _mixed,
    "ratio": _ratio,
    "roman": _roman,
    "numeral": _numeral,
    "number": _number,
    "word": _word,
}


def _join_ranges(found: list[Quantity], text: str) -> Iterator[Quantity]:
    """Read "2-3 weeks" and "10 mg to 20 mg" as one range each."""
    waiting: Quantity | None = None
    for quantity in found:
        if waiting and _is_range(waiting, quantity, text):
            values = (*waiting.values, *quantity.values)
            yield replace(quantity, kind="range", values=values, span=(waiting.span[0], quantity.span[1]), soft=False)
            waiting = None
            continue
        if waiting:
            yield waiting
        waiting = quantity
    if waiting:
        yield waiting


def _is_range(here: Quantity, after: Quantity, text: str) -> bool:
    if here.unit not in {None, after.unit} or {here.kind, after.kind} != {"number"} or here.span == after.span:
        return False
    match = _TO_RANGE_END.match(text, here.span[1])
    return match is not None and match.end() == after.span[0]
