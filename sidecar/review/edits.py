"""Where a statement and a sentence of the source say the same words, and where they differ in between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from rapidfuzz.distance import Indel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AT_END = 2  # words that have to agree on one side of a difference where there is nothing on the other


@dataclass(frozen=True, slots=True)
class Edit:
    """Positions of the words that one text has where the other has those of `theirs`; either may be empty."""

    mine: range
    theirs: range


class _Block(NamedTuple):
    """Words that agree: `size` of them from `mine` and from `theirs`."""

    mine: int
    theirs: int
    size: int


def edits(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[Edit]:
    """Yield the differences that both texts agree around, on both sides or, at an end of one, on the other side."""
    blocks = _blocks(mine, theirs)
    ends = (_Block(0, 0, 0), *blocks, _Block(len(mine), len(theirs), 0))
    for before, after in pairwise(ends):
        edit = Edit(range(before.mine + before.size, after.mine), range(before.theirs + before.size, after.theirs))
        inside = before.size and after.size
        if (edit.mine or edit.theirs) and (inside or before.size + after.size >= _AT_END):
            yield edit


def same_places(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the positions of the equal `NUMBER`s that stand between the same words in both.

    Other numbers may stand between; an end of one text will do on one side where a word is right at the other.
    """
    for block in _blocks(mine, theirs):
        run = mine[block.mine : block.mine + block.size]
        starts = (block.mine == 0, block.theirs == 0)
        ends = (block.mine + block.size == len(mine), block.theirs + block.size == len(theirs))
        for step, key in enumerate(run):
            before, after = _side(run[:step][::-1], starts), _side(run[step + 1 :], ends)
            if key == NUMBER and before and after and (before, after) not in _UNSURE:
                yield block.mine + step, block.theirs + step


NUMBER = "#"
_Side: TypeAlias = Literal["word", "far word", "both end", "one ends"] | None
_UNSURE = {("one ends", "far word"), ("far word", "one ends"), ("one ends", "one ends")}


def _side(outward: Sequence[str], ends: tuple[bool, bool]) -> _Side:
    """Say what both texts have on one side of a number, within the words that agree; None where they differ."""
    if outward and outward[0] != NUMBER:
        return "word"
    if any(key != NUMBER for key in outward):
        return "far word"
    if all(ends):
        return "both end"
    return "one ends" if any(ends) else None


def _blocks(mine: Sequence[str], theirs: Sequence[str]) -> list[_Block]:
    found = Indel.opcodes(mine, theirs).as_matching_blocks()
    return [_Block(block.a, block.b, block.size) for block in found if block.size]
