"""What a check is: one small module that looks at one statement beside its evidence.

A new check is a function ``(Claim) -> tuple[Finding, ...]`` in a module of its own and one line in
`grounding.CHECKS`. An error with a `source_span` contradicts the note at that place; an error
without one says that the note does not hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sidecar.review.source import is_same
from sidecar.review.verdict import Finding

if TYPE_CHECKING:
    from sidecar.note.text import Span
    from sidecar.review.align import Alignment
    from sidecar.review.source import Sentence, Source
    from sidecar.review.words import Word


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement, the sentences it rests on, and the whole source for checks that look further."""

    text: str
    words: tuple[Word, ...]
    alignment: Alignment
    source: Source

    @property
    def evidence(self) -> tuple[Sentence, ...]:
        return self.alignment.sentences

    @property
    def is_verbatim(self) -> bool:
        """Say whether the statement is a whole sentence of the source, so that nothing can differ between them."""
        return len(self.evidence) == 1 and is_same(self.text, self.evidence[0].text)


Check: TypeAlias = Callable[[Claim], tuple[Finding, ...]]
"""Deterministic, without network, clock or state; spans of the findings index the statement and the source."""


def in_source(sentence: Sentence, span: Span) -> Span:
    """Turn offsets of a sentence into offsets of the source."""
    return sentence.start + span[0], sentence.start + span[1]
