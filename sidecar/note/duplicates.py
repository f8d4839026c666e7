"""Exact repeats inside one note: copied-forward paragraphs and sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidecar.note.text import Span

_MIN_LENGTH = 40
_GAP = re.compile(r"\n[ \t]*\n\s*")


def find_duplicates(text: str, sentences: Sequence[Span]) -> tuple[tuple[Span, Span], ...]:
    """Return pairs (repeat, first occurrence) in order of the repeat.

    A repeat equals the first but for white space and has at least 40 characters. A sentence inside
    a repeated paragraph is not listed again.
    """
    paragraphs = list(_repeats(text, list(_paragraphs(text))))
    covered = iter([repeat for repeat, _ in paragraphs])
    inside = next(covered, None)
    rest = []
    for repeat, first in _repeats(text, sentences):
        while inside is not None and inside[1] <= repeat[0]:
            inside = next(covered, None)
        if inside is None or repeat[0] < inside[0]:
            rest.append((repeat, first))
    return tuple(sorted(paragraphs + rest))


def _paragraphs(text: str) -> Iterator[Span]:
    start = len(text) - len(text.lstrip())
    for gap in _GAP.finditer(text, start):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text.rstrip())


def _repeats(text: str, spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    seen: dict[str, Span] = {}
    for start, end in spans:
        key = " ".join(text[start:end].split())
        if len(key) < _MIN_LENGTH:
            continue
        first = seen.setdefault(key, (start, end))
        if first != (start, end):
            yield (start, end), first
