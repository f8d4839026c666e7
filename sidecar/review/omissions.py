"""Critical items of the source that no statement of the draft carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sidecar.review.assertions import is_historical, is_negated, negated_spans
from sidecar.review.verdict import NotCarriedOver, OmissionKind
from sidecar.review.words import content_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import NoteText, Span
    from sidecar.review.lexicon import CriticalItems, CriticalKind
    from sidecar.review.verdict import ReviewedStatement

_LONGEST = 80
_ENOUGH_OF_CITED = 0.5  # of an item's words in a statement that cites its sentence
_ENOUGH = 0.75  # of an item's words in any statement


@dataclass(frozen=True, slots=True)
class _Item:
    """One critical item: where its words stand, what sentence holds it, and what restates it."""

    kind: CriticalKind
    span: Span
    sentence: Span
    keys: frozenset[str]
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Carrier:
    text: str
    keys: frozenset[str]
    evidence: tuple[Span, ...]


def find_omissions(
    note: NoteText, statements: tuple[ReviewedStatement, ...], critical: CriticalItems
) -> tuple[NotCarriedOver, ...]:
    """Return what the source says that is critical and no statement says, in the order of the source.

    Negated and historical mentions, and what stands under a heading such as family history, are no
    items. An item that the source repeats is listed once.
    """
    carriers = [
        _Carrier(f"{each.section}: {each.text}".lower(), content_keys(each.text), each.evidence) for each in statements
    ]
    missing = [item for item in _items(note, critical) if not any(_carries(carrier, item) for carrier in carriers)]
    return tuple(
        NotCarriedOver(item.kind.kind, piece(note.text, item.span), item.span) for item in _once(sorted_items(missing))
    )


def sorted_items(items: list[_Item]) -> list[_Item]:
    return sorted(items, key=lambda item: (item.span, item.kind.kind))


def _once(items: list[_Item]) -> Iterator[_Item]:
    seen: list[_Item] = []
    for item in items:
        if not any(_is_repeat(item, earlier) for earlier in seen):
            seen.append(item)
            yield item


def _is_repeat(item: _Item, earlier: _Item) -> bool:
    if item.kind is not earlier.kind:
        return False
    if item.names or earlier.names:
        return item.names == earlier.names
    return item.keys <= earlier.keys or (item.sentence == earlier.sentence and item.span == earlier.span)


def _items(note: NoteText, critical: CriticalItems) -> Iterator[_Item]:
    for sentence in note.sentences:
        title = _title(note, sentence)
        if _is_titled(title, critical.not_in_sections):
            continue
        text = note.slice(sentence)
        for kind in critical.kinds:
            yield from _items_of_kind(kind, text, sentence, title)


def _title(note: NoteText, sentence: Span) -> str:
    section = note.section_of(sentence)
    return " ".join(section.title.lower().strip(" :").split()) if section else ""


def _is_titled(title: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(title, pattern) for pattern in patterns)


def _items_of_kind(kind: CriticalKind, text: str, sentence: Span, title: str) -> Iterator[_Item]:
    if kind.unless and kind.unless.search(text):
        return
    if _is_titled(title, kind.sections):
        yield from _listed(kind, text, sentence)
        return
    if kind.name_pattern:
        yield from _named(kind, text, sentence)
    if kind.cues:
        yield from _cued(kind, text, sentence)


def _named(kind: CriticalKind, text: str, sentence: Span) -> Iterator[_Item]:
    for start, end in _mentions(kind.name_pattern, text):
        names = kind.names[" ".join(text[start:end].lower().split())]
        yield _Item(kind, _around(text, (start, end), sentence[0]), sentence, frozenset(), names)


def _cued(kind: CriticalKind, text: str, sentence: Span) -> Iterator[_Item]:
    for cue in _mentions(kind.cues, text):
        if kind.kind is OmissionKind.ALLERGY:
            yield from _after_cue(kind, text, cue, sentence)
            return
        start, end = _around(text, cue, sentence[0])
        keys = content_keys(text[start - sentence[0] : end - sentence[0]])
        yield _Item(kind, (start, end), sentence, keys)
        return  # one sentence is one item of a kind


def _mentions(pattern: re.Pattern[str] | None, text: str) -> Iterator[Span]:
    if pattern is None:
        return
    negated: tuple[Span, ...] | None = None
    for match in pattern.finditer(text):
        negated = negated_spans(text) if negated is None else negated
        if not is_negated(match.start(), negated) and not is_historical(text, match.start()):
            yield match.span()


_ALLERGEN_END = re.compile(
    r"[.;\n](?=\s|$)|\b(?:which|but|that|because|causing|causes?|caused|with\s+(?:a\s+)?reaction|resulting)\b"
)
_ALLERGEN_BORDER = re.compile(r"\s*(?:,(?:\s*and\b)?|\band\b|\bor\b|/|;|\n)\s*(?![^()]*\))", re.IGNORECASE)
_REACTION = re.compile(r"\([^()]*\)")
_NO_ALLERGEN = content_keys(
    "allergy allergic drug drugs food medication medications known unknown reaction reactions none nil any other"
)
_NOTHING = re.compile(
    r"^\W*(?:none|nil|n/?a|nkd?a|nkfa|no|not|denies|denied|unknown|negative|refer\s+to|see|as\s+above|does\s+not|patient\s+denies)\b"
    r"|\b(?:none|nil|negative|unknown)\W*$",
    re.IGNORECASE,
)


def _after_cue(kind: CriticalKind, text: str, cue: Span, sentence: Span) -> Iterator[_Item]:
    """Take the allergens named behind "allergic to" or "allergies:"."""
    end = _ALLERGEN_END.search(text, cue[1])
    yield from _allergens(kind, text, (cue[1], end.start() if end else len(text)), sentence)


def _listed(kind: CriticalKind, text: str, sentence: Span) -> Iterator[_Item]:
    """Take the allergens of a sentence under the heading "Allergies"; other kinds take the sentence."""
    if _NOTHING.search(text):
        return
    if kind.kind is OmissionKind.ALLERGY:
        cue = kind.cues.search(text) if kind.cues else None
        yield from _after_cue(kind, text, cue.span() if cue else (0, 0), sentence)
    else:
        yield _Item(kind, _around(text, (0, 0), sentence[0]), sentence, content_keys(text))


def _allergens(kind: CriticalKind, text: str, stretch: Span, sentence: Span) -> Iterator[_Item]:
    negated = negated_spans(text)
    at = stretch[0]
    borders = [match.span() for match in _ALLERGEN_BORDER.finditer(text, *stretch)]
    for border in [*borders, (stretch[1], stretch[1])]:
        part = text[at : border[0]]
        keys = content_keys(_REACTION.sub(" ", part)) - _NO_ALLERGEN
        start = at + len(part) - len(part.lstrip(" :-\n"))
        if keys and not _NOTHING.search(part) and not is_negated(start, negated):
            yield _Item(kind, (sentence[0] + start, sentence[0] + at + len(part.rstrip())), sentence, keys)
        at = border[1]


_CLAUSE_BORDER = re.compile(r"[,;:.]\s+|\band\s+")


def _around(text: str, at: Span, offset: int) -> Span:
    """Return the stretch to show: the sentence where short, else from the last clause border before the cue."""
    end = len(text.rstrip())
    marker = _LIST_MARKER.match(text)
    start = marker.end() if marker else 0
    if end - start > _LONGEST:
        start = max((match.end() for match in _CLAUSE_BORDER.finditer(text, start, at[0])), default=start)
    if at[1] - start > _LONGEST:
        start = at[0]
    return offset + start, offset + start + _cut(text[start:end], _LONGEST)


_LIST_MARKER = re.compile(r"\s*(?:[-*\u2022]|\(?\d{1,2}[.)])\s+")


def _cut(text: str, longest: int) -> int:
    """Return how much of `text` fits without cutting a word; a longer first word is cut."""
    if len(text) <= longest:
        return len(text)
    space = max(text.rfind(" ", 0, longest + 1), text.rfind("\n", 0, longest + 1))
    return len(text[:space].rstrip()) if space > 0 else longest


def piece(text: str, span: Span) -> str:
    """Return the words at `span` with single spaces, at most 80 characters."""
    words = " ".join(text[span[0] : span[1]].split())
    return words[: _cut(words, _LONGEST)].rstrip(" .,;")


def _carries(carrier: _Carrier, item: _Item) -> bool:
    if item.names:
        return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", carrier.text) for name in item.names)
    cites = any(start < item.sentence[1] and item.sentence[0] < end for start, end in carrier.evidence)
    if item.kind.kind is OmissionKind.ALLERGY:
        return item.keys <= carrier.keys and (cites or "allerg" in carrier.text)
    share = len(item.keys & carrier.keys) / len(item.keys) if item.keys else float(cites)
    return share >= (_ENOUGH_OF_CITED if cites else _ENOUGH)
