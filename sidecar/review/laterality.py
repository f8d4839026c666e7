"""Left stays left, right stays right, both stay both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.review.checks import Claim, in_source
from sidecar.review.edits import edits
from sidecar.review.verdict import Finding, FindingCode
from sidecar.review.words import content_keys, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import Span
    from sidecar.review.words import Word

_SIDES = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right",
          "bilateral": "both", "both": "both", "bilaterally": "both"}  # fmt: skip
_SIDE_OF_KEY = {fold(name): side for name, side in _SIDES.items() if len(name) > 1}  # a letter may be a litre
_SHORT = {
    "rle": ("right", "lower extremity"), "lle": ("left", "lower extremity"), "rue": ("right", "upper extremity"),
    "lue": ("left", "upper extremity"), "ruq": ("right", "upper quadrant"), "luq": ("left", "upper quadrant"),
    "rlq": ("right", "lower quadrant"), "llq": ("left", "lower quadrant"), "rll": ("right", "lower lobe"),
    "lll": ("left", "lower lobe"), "rul": ("right", "upper lobe"), "lul": ("left", "upper lobe"),
    "rml": ("right", "middle lobe"),
}  # fmt: skip
_MODIFIERS = content_keys(
    "upper lower middle medial lateral anterior posterior proximal distal inner outer side sided dorsal ventral great"
)
_NO_PLACE = content_keys("away now there here handed hand-dominant before after home against off")
_WORD = re.compile(r"[^\W\d_]+|[^\w\s]")
_JOINED = frozenset({"and", "or", "/", "&"})


@dataclass(frozen=True, slots=True)
class _Sided:
    """A side and the place it is said of: modifiers and head, as in "right | lower | lobe"."""

    side: str
    place: tuple[str, ...]
    span: Span


def check_laterality(claim: Claim) -> tuple[Finding, ...]:
    """Find a side that no evidence gives to a place to which the evidence does give a side."""
    if claim.is_verbatim:
        return ()
    if in_place := _changed_in_place(claim):
        return (in_place,)
    found = [(each, in_source(sentence, each.span)) for sentence in claim.evidence for each in _sided(sentence.text)]
    for said in _sided(claim.text):
        same_place = [(each, span) for each, span in found if each.place == said.place]
        if same_place and said.side not in _with_both({each.side for each, _ in same_place}):
            other, span = same_place[0]
            return (_finding(said.side, said.span, other.side, span),)
    return ()


def _finding(said: str, said_at: Span, found: str, found_at: Span) -> Finding:
    message = f"The note says {found} here, the draft says {said}."
    return Finding(FindingCode.LATERALITY, "error", said_at, found_at, message)


def _changed_in_place(claim: Claim) -> Finding | None:
    """Compare with sentences that differ, where the statement has their words, in nothing but sides."""
    mine = [word for word in claim.words if word.is_content]
    for sentence in claim.evidence:
        theirs = [word for word in sentence.words if word.is_content]
        for edit in edits([word.key for word in mine], [word.key for word in theirs]):
            said, found = mine[edit.mine.start : edit.mine.stop], theirs[edit.theirs.start : edit.theirs.stop]
            if len(said) == len(found) == 1 and _are_two_sides(said[0], found[0]):
                at = in_source(sentence, (found[0].start, found[0].end))
                sides = (_SIDE_OF_KEY[said[0].key], _SIDE_OF_KEY[found[0].key])
                return _finding(sides[0], (said[0].start, said[0].end), sides[1], at)
    return None


def _are_two_sides(said: Word, found: Word) -> bool:
    one, other = _SIDE_OF_KEY.get(said.key), _SIDE_OF_KEY.get(found.key)
    return one is not None and other is not None and one != other


def _with_both(sides: set[str]) -> set[str]:
    return sides | {"both"} if {"left", "right"} <= sides else sides


def _sided(text: str) -> Iterator[_Sided]:
    tokens = [(match.group(), match.span()) for match in _WORD.finditer(text)]
    for at, (token, span) in enumerate(tokens):
        lower = token.lower()
        if lower in _SHORT:
            side, place = _SHORT[lower]
            yield _Sided(side, tuple(fold(word) for word in place.split()), span)
        elif lower == "bilaterally":
            yield from _before(tokens, at)
        elif lower in _SIDES and (of := _place(tokens, at + 1)):
            yield _Sided(_SIDES[lower], of, span)


def _place(tokens: list[tuple[str, Span]], at: int) -> tuple[str, ...]:
    """Return the modifiers and the head that follow a side; () where a side is said of nothing ("right away")."""
    place: list[str] = []
    for token, _ in tokens[at : at + 5]:
        key = fold(token) if token[0].isalpha() else token
        if key in _JOINED or token.lower() in _SIDES:
            continue  # "left and right knee", "right/left"
        if key == "-" and not place:
            continue
        if not content_keys(token) or key in _NO_PLACE:
            return ()
        if fold("side") == key or key == fold("sided"):
            continue
        place.append(key)
        if key not in _MODIFIERS:
            return tuple(place)
    return ()


def _before(tokens: list[tuple[str, Span]], at: int) -> Iterator[_Sided]:
    if at and content_keys(tokens[at - 1][0]):
        yield _Sided("both", (fold(tokens[at - 1][0]),), tokens[at][1])
