"""The two lexicons that note structure rests on, compiled for lookup."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.mappings import load_lexicon

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NUMBER = re.compile(r"^\s*(?:\d{1,2}|[ivxIVX]{1,4}|[A-Za-z])[.)]\s+")
_JOIN = re.compile(r"\s*[&/+]\s*")
_PUNCTUATION = re.compile(r"[^\w\s']+|_")
_PARENTHESIS = re.compile(r"\([^()]{3,}\)")
_ARTICLE = re.compile(r"^the ")


@dataclass(frozen=True, slots=True)
class SectionName:
    """One canonical section. Inside a section named in `part_of` its titles are sub-headings."""

    name: str
    code: str | None
    part_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SectionTitles:
    """Looks titles up as clinicians vary them: case, numbering, punctuation, "&" and "/"."""

    names: Mapping[str, SectionName]
    labels: frozenset[str]

    @classmethod
    def from_lexicon(cls, lexicon: Mapping[str, Any]) -> SectionTitles:
        """Build from the parsed ``section-headings`` lexicon."""
        names: dict[str, SectionName] = {}
        for entry in lexicon["sections"]:
            section = SectionName(entry["name"], entry["code"], frozenset(entry.get("part_of", ())))
            for title in (entry["name"], *entry["titles"]):
                names.setdefault(normalise_title(title), section)
        return cls(names, frozenset(map(normalise_title, lexicon["labels"])))

    def find(self, title: str) -> SectionName | None:
        return self.names.get(normalise_title(title))

    def is_label(self, title: str) -> bool:
        return normalise_title(title) in self.labels

    def canonical(self, title: str) -> str:
        """Return the canonical name of a section title as written, or the title itself."""
        section = self.find(title)
        return section.name if section else title


@dataclass(frozen=True, slots=True)
class Abbreviations:
    """Words that end in a full stop, without it, in lower case; `openers` open a sentence anyway."""

    never_end: frozenset[str]
    before_number: frozenset[str]
    may_end: frozenset[str]
    openers: frozenset[str]

    @classmethod
    def from_lexicon(cls, lexicon: Mapping[str, Any]) -> Abbreviations:
        """Build from the parsed ``abbreviations`` lexicon."""
        return cls(
            frozenset(lexicon["never_end"]),
            frozenset(lexicon["before_number"]),
            frozenset(lexicon["may_end"]),
            frozenset(lexicon["openers"]),
        )


@dataclass(frozen=True, slots=True)
class NoteLexicon:
    titles: SectionTitles
    abbreviations: Abbreviations

    @classmethod
    def load(cls, overlay: Path | None = None) -> NoteLexicon:
        """Read the lexicons, those of the hospital's `overlay` folder first. Raises `ConfigError`."""
        return cls(
            SectionTitles.from_lexicon(load_lexicon("section-headings", overlay)),
            Abbreviations.from_lexicon(load_lexicon("abbreviations", overlay)),
        )


@functools.cache
def default_lexicon() -> NoteLexicon:
    """Return the packaged lexicons, read at the first call."""
    return NoteLexicon.load()


def normalise_title(title: str) -> str:
    """Return the form in which titles compare."""
    bare = _PARENTHESIS.sub("", _NUMBER.sub("", title))
    words = _JOIN.sub(" and ", bare).replace("\u2019", "'")
    return _ARTICLE.sub("", " ".join(_PUNCTUATION.sub(" ", words).casefold().split()))
