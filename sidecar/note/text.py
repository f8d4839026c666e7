"""The text of a note, as every later stage sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""Start and end (exclusive) in Unicode code points of one text."""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the note. `start` is where the title begins, `end` where the next section begins.

    `code` is the LOINC section code where the source gives one. Text before the first title
    belongs to no section.
    """

    title: str
    code: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NoteText:
    """What a clinician would read, with offsets that everything downstream cites.

    `sentences` are in order, do not overlap, and cover all of `text` but blank space and section
    titles. `duplicates` pairs a repeated span with the span it repeats. `warnings` are codes.
    """

    text: str
    media_type: str
    charset: str | None
    sections: tuple[Section, ...] = ()
    sentences: tuple[Span, ...] = ()
    duplicates: tuple[tuple[Span, Span], ...] = ()
    warnings: tuple[str, ...] = ()

    def slice(self, span: Span) -> str:
        return self.text[span[0] : span[1]]

    def section_of(self, span: Span) -> Section | None:
        """Return the section that holds the start of `span`."""
        for section in self.sections:
            if section.start <= span[0] < section.end:
                return section
        return None
