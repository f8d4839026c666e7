"""The rule tables of the extractive engine, as loaded from mappings/lexicons."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.drafting.cues import CueIndex
from sidecar.mappings import load_lexicon

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WHOLE_WORD_LETTERS = 4


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of source section, such as assessment or review of systems.

    `lead` is added at its head, `fragment` to rows of a few words, `normal` is the factor for normal
    findings in it. What is done to the patient counts less in a `past` one. Only the `first`
    sentences are in it (0 for all). `inner` titles keep the role they stand in, rows of a `list` go together within
    that share of the draft (0 for no list). A fragment at the head of `names` needs the title, under
    `labels` every sentence does: what is listed there is not what the patient has or takes. The head and
    the rows of an `essential` one go before all others. One that `yields_to` another adds nothing where
    the note has both: the diagnoses on admission beside those at discharge.
    """

    name: str
    weight: float
    lead: float
    fragment: float
    normal: float
    past: bool
    first: int
    inner: bool
    list: float
    names: bool
    labels: bool
    essential: bool
    yields_to: frozenset[str]
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """What a sentence can be about.

    `counts_in` are the roles in which it has weight, empty for all; `within` the first sentences of a
    section in which it has, 0 for all; `moves_from` those out of which such
    a sentence goes to the draft section of the topic, `essential_in` those in which it goes before all others.
    """

    name: str
    weight: float
    negatable: bool
    counts_in: frozenset[str]
    within: int
    moves_from: frozenset[str]
    essential_in: frozenset[str]


@dataclass(frozen=True, slots=True)
class Range:
    """Where a measurement is normal, and between which numbers it is one at all.

    `lower` is of the second of two numbers (120/80); the name `follows` the value in `84% on room air`.
    """

    low: float
    high: float
    least: float
    most: float
    lower: tuple[float, float] | None = None
    follows: bool = False

    def excludes(self, value: float) -> bool:
        """Say whether a value is one of this measurement, and out of range."""
        return self.least <= value <= self.most and not self.low <= value <= self.high

    def is_value(self, value: float) -> bool:
        """Say whether a number can be a value of this measurement."""
        return self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Rules:
    """`topics` holds noise too, with negative weights. `digest` changes with any rule."""

    share_of_note: float
    share_of_essentials: float
    least_words: int
    share_of_list: float
    floor: float
    enough_words: int
    thin_floor: float
    spread: float
    spread_of_essentials: float
    roles: tuple[Role, ...]
    topics: Mapping[str, Topic]
    cues: CueIndex
    drug_names: frozenset[str]
    not_drugs: frozenset[str]
    drug_suffixes: frozenset[str]
    doses: frozenset[str]
    ranges: Mapping[str, Range]
    digest: str

    @classmethod
    def load(cls, overlay: Path | None = None) -> Rules:
        """Read the three lexicons. Raises `ConfigError`."""
        names = ("clinical-cues", "medication-cues", "reference-ranges")
        return cls.build(*(load_lexicon(name, overlay) for name in names))

    @classmethod
    def build(cls, clinical: dict[str, Any], medication: dict[str, Any], reference: dict[str, Any]) -> Rules:
        entries = clinical["topics"] | clinical["noise"]
        negation = {"negation-start": clinical["negation"]["starts"], "negation-end": clinical["negation"]["ends"]}
        return cls(
            **clinical["budget"],
            roles=tuple(_role(entry) for entry in clinical["sections"]),
            topics={name: _topic(name, entry) for name, entry in entries.items()},
            cues=CueIndex({name: entry["cues"] for name, entry in entries.items()} | negation),
            drug_names=frozenset(medication["names"]) | frozenset(medication["generic_names"]),
            not_drugs=frozenset(medication["not_drugs"]),
            drug_suffixes=frozenset(medication["suffixes"]),
            doses=frozenset(medication["doses"]),
            ranges={name: _range(entry) for entry in reference["ranges"] for name in entry["names"]},
            digest=_digest(clinical, medication, reference),
        )

    def role_of(self, title: str) -> Role | None:
        """Return the role whose title phrase in `title` is the longest."""
        best, length = None, 0
        for role in self.roles:
            for phrase in role.titles:
                if len(phrase) > length and title_holds(title, phrase):
                    best, length = role, len(phrase)
        return best


def title_holds(title: str, phrase: str) -> bool:
    """Say whether a title (see `plain_title`) holds a phrase from the start of a word.

    The phrase may end inside a word (`diagnos` in DIAGNOSES), unless it ends in a short one: `back` is
    not in BACKGROUND. A single letter must be all of the title: the S of SOAP.
    """
    if len(phrase) == 1:
        return title == phrase
    end = "" if len(phrase.rsplit(" ", 1)[-1]) > _WHOLE_WORD_LETTERS else " "
    return f" {phrase}{end}" in f" {title} "


def plain_title(title: str) -> str:
    """Return a section title as it is compared: lower case, words and single blanks only."""
    kept = "".join(letter if letter.isalnum() or letter in "/-" else " " for letter in title.lower())
    return " ".join(kept.split())


def _role(entry: Mapping[str, Any]) -> Role:
    return Role(
        name=entry["role"],
        weight=entry["weight"],
        lead=entry.get("lead", 0),
        fragment=entry.get("fragment", 0),
        normal=entry.get("normal", 1),
        past=entry.get("past", False),
        first=entry.get("first", 0),
        inner=entry.get("inner", False),
        list=entry.get("list", 0.0),
        names=entry.get("names", False),
        labels=entry.get("labels", False),
        essential=entry.get("essential", False),
        yields_to=frozenset(entry.get("yields_to", ())),
        titles=tuple(entry["titles"]),
    )


def _topic(name: str, entry: Mapping[str, Any]) -> Topic:
    return Topic(
        name=name,
        weight=entry["weight"],
        negatable=entry.get("negatable", False),
        counts_in=frozenset(entry.get("counts_in", ())),
        within=entry.get("within", 0),
        moves_from=frozenset(entry.get("moves_from", ())),
        essential_in=frozenset(entry.get("essential_in", ())),
    )


def _range(entry: Mapping[str, Any]) -> Range:
    least, most = entry.get("plausible", (float("-inf"), float("inf")))
    lower = entry.get("lower")
    return Range(
        entry["low"], entry["high"], least, most, (lower[0], lower[1]) if lower else None, entry.get("follows", False)
    )


def _digest(*tables: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
