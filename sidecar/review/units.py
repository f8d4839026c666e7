"""Units of clinical notes: how they are written, and what one is worth in another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE = """
mass         ng       1/1000000000   ng nanogram nanograms
mass         mcg      1/1000000      mcg mcgs ug µg μg microgram micrograms
mass         mg       1/1000         mg mgs mgm milligram milligrams
mass         g        1              g gm gms gram grams
mass         kg       1000           kg kgs kilo kilos kilogram kilograms
mass         lb       45359237/100000 lb lbs pound pounds
mass         oz       28349523125/1000000000 oz ounce ounces
volume       ml       1              ml mls cc ccs milliliter milliliters millilitre millilitres
volume       dl       100            dl deciliter deciliters
volume       l        1000           liter liters litre litres
length       mm       1              mm millimeter millimeters millimetre millimetres
length       cm       10             cm cms centimeter centimeters centimetre centimetres
length       inch     254/10         inch inches
length       foot     3048/10        foot feet ft
time         minute   1              min mins minute minutes
time         hour     60             hr hrs hour hours
time         day      1440           day days
time         week     10080          week weeks wk wks
calendar     month    1              month months mo mos
calendar     year     12             year years yr yrs yo y.o. y/o
substance    mmol     1              mmol mmols millimole millimoles
substance    mcmol    1/1000         mcmol umol µmol micromole micromoles
equivalent   meq      1              meq meqs milliequivalent milliequivalents
activity     unit     1              unit units iu
temperature  celsius  1              celsius centigrade
temperature  fahrenheit 1            fahrenheit
pressure     mmhg     1              mmhg
rate         /min     1              bpm
share        percent  1              % percent
count        dose     1              tablet tablets tab tabs pill pills capsule capsules cap caps caplet caplets
count        puff     1              puff puffs inhalation inhalations
count        drop     1              drop drops gtt gtts
count        patch    1              patch patches
count        spray    1              spray sprays
count        time     1              time times
count        pack     1              pack packs
count        pack-year 1             pack-year pack-years
"""

# Written apart: case decides, or the letter stands for a unit only right behind a number.
_CASED = {
    "F": "fahrenheit", "C": "celsius", "U": "unit", "u": "unit", "L": "l", "l": "l", "h": "hour",
    "\u00b0F": "fahrenheit", "\u00b0C": "celsius", "\u00b0 F": "fahrenheit", "\u00b0 C": "celsius",
}  # fmt: skip
_PHRASES = {
    "year-old": "year", "years-old": "year", "year old": "year", "years old": "year", "years of age": "year",
    "month-old": "month", "months-old": "month", "month old": "month", "months old": "month",
    "week-old": "week", "week old": "week", "weeks old": "week", "day-old": "day", "day old": "day",
    "days old": "day",
    "beats per minute": "/min", "beats a minute": "/min", "beats/min": "/min", "breaths per minute": "/min",
    "breaths/min": "/min", "per minute": "/min", "/min": "/min", "mm hg": "mmhg", "mm of mercury": "mmhg",
    "degrees fahrenheit": "fahrenheit", "degrees celsius": "celsius", "degrees f": "fahrenheit",
    "degrees c": "celsius", "pack year": "pack-year", "pack years": "pack-year",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` turns a value into the base of its dimension; the table has no offset (temperatures do not convert)."""

    name: str
    dimension: str
    factor: Fraction


def _read(table: str) -> tuple[dict[str, Unit], dict[str, str]]:
    units, names = {}, {}
    for line in table.strip().splitlines():
        dimension, name, factor, *aliases = line.split()
        units[name] = Unit(name, dimension, Fraction(factor))
        names.update(dict.fromkeys(aliases, name))
    return units, names


_UNITS, _NAMES = _read(_TABLE)


def _pattern(names: dict[str, str]) -> str:
    return "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(names, key=len, reverse=True))


UNIT_PATTERN = rf"(?:(?i:{_pattern(_PHRASES | _NAMES)})|{_pattern(_CASED)})(?![^\W\d_])"
"""Matches one unit as written; what follows it is no letter."""

_ALL_NAMES = _PHRASES | _NAMES
UNIT_WORDS = frozenset(piece for name in _ALL_NAMES for piece in re.findall(r"[^\W\d_]+", name)) | {"degree", "degrees"}
"""Every word that a unit is written with: says nothing about what was measured."""


def unit_named(written: str) -> str:
    """Return the name in the table of a unit that `UNIT_PATTERN` matched."""
    folded = " ".join(written.split())
    return _CASED.get(folded) or _ALL_NAMES[folded.lower()]


def same_dimension(unit: str, other: str) -> bool:
    """Say whether both measure one thing, as mg and mcg do."""
    return _UNITS[unit].dimension == _UNITS[other].dimension


def same_amount(value: Fraction, unit: str, other: Fraction, other_unit: str) -> bool:
    """Say whether both amounts are one, after conversion: 0.5 g is 500 mg, 70 kg is 154 lb."""
    one, two = _UNITS[unit], _UNITS[other_unit]
    if one.dimension != two.dimension:
        return False
    a, b = value * one.factor, other * two.factor
    if a == b:
        return True
    # People round when they convert between systems, by up to half a percent of a body weight.
    return _is_customary(one) != _is_customary(two) and abs(a - b) * 200 <= abs(a)


def _is_customary(unit: Unit) -> bool:
    return unit.name in {"lb", "oz", "inch", "foot"}
