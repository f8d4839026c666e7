"""Which numbers of a sentence are measurements out of range."""

from __future__ import annotations

import pytest

from sidecar.drafting.cues import split_words
from sidecar.drafting.measures import is_out_of_range, measured_in
from sidecar.drafting.rules import Rules


@pytest.mark.parametrize(
    ("sentence", "out"),
    [
        ("Potassium 5.9, sodium 139.", True),
        ("Potassium 4.5, sodium 139.", False),
        ("Blood pressure 120/80.", False),
        ("Blood pressure 170/80.", True),
        ("BP 128/98", True),
        ("Right atrial pressure was 14.", False),  # no blood pressure
        ("84% on room air", True),
        ("97% on room air", False),
        ("O2 saturations less than 88% when active", True),
        ("troponin less than 0.05", False),
        ("Troponin negative x 2.", False),
        ("Platelets up to 107,000", True),
        ("Platelets 322,000", False),
        ("white count was 4300", False),
        ("white blood cell count 15, 000 with a left shift", True),
        ("potassium was checked on 12/03/2007", False),
        ("His last CD4 count in 03/2008 was 350.", False),
        ("hemoglobin in 2005", False),
    ],
)
def test_values_are_read_with_their_unit_of_notes(sentence: str, out: bool, rules: Rules) -> None:
    assert is_out_of_range(split_words(sentence), rules) is out


@pytest.mark.parametrize(
    ("sentence", "measured"),
    [
        ("Potassium 5.9", {"potassium"}),
        ("Potassium daily", set()),
        ("Continue digoxin", set()),
        ("Digoxin 1.1", {"digoxin"}),
    ],
)
def test_a_drug_with_a_level_is_a_measurement(sentence: str, measured: set[str], rules: Rules) -> None:
    assert measured_in(split_words(sentence), rules) == measured
