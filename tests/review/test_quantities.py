from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.review.quantities import quantities


def hard(text: str) -> list[tuple[str, tuple[float, ...], str | None]]:
    return [
        (found.kind, tuple(float(value) for value in found.values), found.unit)
        for found in quantities(text)
        if not found.soft
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25mg", [("number", (25,), "mg")]),
        ("2.5 mg", [("number", (2.5,), "mg")]),
        (".5 mg", [("number", (0.5,), "mg")]),
        ("1,000 mL", [("number", (1000,), "ml")]),
        ("10,500.5", [("number", (10500.5,), None)]),
        ("two", [("number", (2,), None)]),
        ("twenty-five mg", [("number", (25,), "mg")]),
        ("one hundred and twenty", [("number", (120,), None)]),
        ("two and a half years", [("number", (2.5,), "year")]),
        ("1 1/2 tablets", [("number", (1.5,), "dose")]),
        ("\u00bd tablet", [("number", (0.5,), "dose")]),
        ("2\u00bd tablets", [("number", (2.5,), "dose")]),
        ("120/80", [("ratio", (120, 80), None)]),
        ("120 over 80", [("ratio", (120, 80), None)]),
        ("BP-120/80, P-72", [("ratio", (120, 80), None), ("number", (72,), None)]),
        ("2-3 weeks", [("range", (2, 3), "week")]),
        ("10 to 20 mg", [("range", (10, 20), "mg")]),
        ("58-year-old", [("number", (58,), "year")]),
        ("58 y/o", [("number", (58,), "year")]),
        ("98.6 F", [("number", (98.6,), "fahrenheit")]),
        ("37\u00b0C", [("number", (37,), "celsius")]),
        ("45%", [("number", (45,), "percent")]),
        ("20 mg/dL", [("number", (20,), "mg")]),
        ("72 beats per minute", [("number", (72,), "/min")]),
        ("5'4\"", [("number", (5,), "foot"), ("number", (4,), "inch")]),
        ("T-score of -2.5", [("number", (-2.5,), None)]),
        ("x3", [("number", (3,), None)]),
        ("L4-5", [("label", (4, 5), "l")]),
        ("L4-L5", [("label", (4, 5), "l")]),
        ("COVID-19", [("label", (19,), "covid")]),
        ("A1c of 8", [("number", (8,), None)]),
        ("b.i.d.", [("frequency", (2,), None)]),
        ("q12h", [("frequency", (2,), None)]),
        ("twice a day", [("frequency", (2,), None)]),
        ("every 6 hours", [("frequency", (4,), None)]),
        ("q.4-6 h", [("frequency", (6, 4), None)]),
        ("every other day", [("frequency", (0.5,), None)]),
        ("three times a week", [("frequency", (3 / 7,), None)]),
        ("07/21/2008", [("date", (2008, 7, 21), None)]),
        ("21/07/2008", [("date", (2008, 7, 21), None)]),
        ("2008-07-21", [("date", (2008, 7, 21), None)]),
        ("July 21, 2008", [("date", (2008, 7, 21), None)]),
        ("21 July", [("date", (0, 7, 21), None)]),
        ("March 2008", [("date", (2008, 3, 0), None)]),
        ("8:30 pm", [("clock", (1230,), None)]),
        ("1. Take 5 mg.", [("number", (5,), "mg")]),
        ("Diabetes.,2. Hypertension.", []),
        ("one of them", []),
        ("a week ago", []),
    ],
)
def test_numbers_are_read_as_a_clinician_means_them(text: str, expected: list[object]) -> None:
    assert hard(text) == [
        (kind, tuple(pytest.approx(value) for value in values), unit)
        for kind, values, unit in expected  # type: ignore[misc] - rows of the table above
    ]


@given(st.text(alphabet="0123456789./-, %'\"ymgxqdhoLTvern\n\u00bd\u2013", max_size=60))
def test_any_text_is_read_and_spans_lie_in_order_inside_it(text: str) -> None:
    found = quantities(text)
    assert all(0 <= each.span[0] < each.span[1] <= len(text) for each in found)
    assert [each.span[0] for each in found] == sorted(each.span[0] for each in found)


@given(st.integers(0, 10**7))
def test_thousands_separators_change_no_value(number: int) -> None:
    plain, separated = quantities(f"count {number}"), quantities(f"count {number:,}")
    assert plain[0].values == separated[0].values == (Fraction(number),)


@given(st.decimals(min_value=0, max_value=1000, places=2))
def test_decimals_keep_their_exact_value(number: object) -> None:
    assert quantities(f"level {number}")[0].values == (Fraction(str(number)),)
