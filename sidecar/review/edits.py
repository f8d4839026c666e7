"""Where a statement and a sentence of the source say the same words, and where they differ in between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rapidfuzz.distance import Levenshtein

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
    """Yield the positions of equal words whose neighbours are equal too, or missing at an end of either text."""
    for block in _blocks(mine, theirs):
        if block.size < _AT_END:
            continue
        for step in range(block.size):
            at, there = block.mine + step, block.theirs + step
            after_start = step > 0 or at == 0 or there == 0
            before_end = step < block.size - 1 or at == len(mine) - 1 or there == len(theirs) - 1
            if after_start and before_end:
                yield at, there


def _blocks(mine: Sequence[str], theirs: Sequence[str]) -> list[_Block]:
    found = Levenshtein.opcodes(mine, theirs).as_matching_blocks()
    return [_Block(block.a, block.b, block.size) for block in found if block.size]
