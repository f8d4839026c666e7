"""The critical items of a source that a draft must not lose, as a hospital lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidecar.review.verdict import OmissionKind


@dataclass(frozen=True, slots=True)
class CriticalKind:
    """How items of one kind are found, and what cancels one.

    `names` maps every way of writing a thing to the set of ways it may be restated.
    """

    kind: OmissionKind
    label: str
    cues: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    names: Mapping[str, frozenset[str]]
    name_pattern: re.Pattern[str] | None
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CriticalItems:
    """The kinds that one task looks for; `not_in_sections` are patterns of titles under which nothing counts."""

    kinds: tuple[CriticalKind, ...]
    not_in_sections: tuple[str, ...]


def critical_items(data: Mapping[str, Any], wanted: Iterable[OmissionKind]) -> CriticalItems:
    """Compile `mappings/lexicons/critical-items.yaml`, checked against its schema, for the `wanted` kinds."""
    kinds = data["kinds"]
    compiled = tuple(_kind(kind, kinds[kind.value]) for kind in wanted if kind.value in kinds)
    return CriticalItems(compiled, tuple(title.lower() for title in data.get("not_in_sections", ())))


def _kind(kind: OmissionKind, data: Mapping[str, Any]) -> CriticalKind:
    names = _names(data.get("names", ()))
    return CriticalKind(
        kind=kind,
        label=data["label"],
        cues=_any_of(data.get("cues", ())),
        unless=_any_of(data.get("unless", ())),
        names=names,
        name_pattern=_any_of(names),
        sections=tuple(title.lower() for title in data.get("sections", ())),
    )


def _names(groups: Iterable[Iterable[str]]) -> dict[str, frozenset[str]]:
    names: dict[str, frozenset[str]] = {}
    for group in groups:
        every = frozenset(name.lower() for name in group)
        names.update(dict.fromkeys(every, every))
    return names


def _any_of(phrases: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [_phrase(phrase) for phrase in sorted(phrases, key=len, reverse=True)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE) if patterns else None


def _phrase(phrase: str) -> str:
    """Turn "repeat ... in N" into a pattern.

    Spaces match any white space, "..." up to eight words of one sentence, a capital N a number.
    """
    parts = [re.sub(r"(?:\\ )+", r"\\s+", re.escape(part.strip())) for part in phrase.split("...")]
    return r"\s+(?:[^\s.;]+\s+){0,8}?".join(re.sub(r"\bN\b", lambda _: _NUMBER, part) for part in parts)


_NUMBER = (
    r"(?:about\s+|approximately\s+)?(?:\d+|one|two|three|four|five|six|eight|ten|twelve|several|few"
    r"|an?(?=\s+(?:day|week|month|year|few|couple)))"
)
