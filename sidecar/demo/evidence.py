"""Where the lines under WHERE IT STANDS IN THE NOTE stand in the note.

A draft's evidence line reads ``[2] HPI: "three days of fever ..."``: wrapped at 72 columns, with a
long quote cut before its end. The source is searched with all white space left out, because notes
are hard-wrapped and an HTML note is laid out anew by whoever reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADING = "WHERE IT STANDS IN THE NOTE"
CUT = " ..."

_ENTRY = re.compile(r"\[(\d+)\] (?:(.*?): )?\"(.*)\"", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n\s*\n|$")


@dataclass(frozen=True, slots=True)
class Quote:
    """One evidence line. `section` is empty where the note has no heading above the sentence."""

    number: int
    section: str
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """`start` and `end` are code points of the source text."""

    number: int
    start: int
    end: int


def find_evidence(draft: str, source: str) -> list[Evidence]:
    """Return the evidence whose quote the source holds, in the draft's order."""
    flat = _Flat.of(source)
    found = ((quote.number, flat.find(quote)) for quote in read_quotes(draft))
    return [Evidence(number, *span) for number, span in found if span is not None]


def read_quotes(draft: str) -> list[Quote]:
    _, heading, tail = draft.partition(f"\n{HEADING}\n")
    return [quote for entry in _entries(tail) if (quote := _quote(entry))] if heading else []


def _entries(tail: str) -> list[str]:
    """Join the indented lines that follow a line with a number; the block ends at any other line."""
    entries: list[str] = []
    for line in tail.splitlines():
        if line.startswith("["):
            entries.append(line)
        elif line.startswith(" ") and entries:
            entries[-1] += " " + line.strip()
        else:
            break
    return entries


def _quote(entry: str) -> Quote | None:
    match = _ENTRY.fullmatch(entry.rstrip())
    if match is None:
        return None
    text = match[3]
    cut = text.endswith(CUT)
    return Quote(int(match[1]), match[2] or "", text.removesuffix(CUT), cut)


@dataclass(frozen=True, slots=True)
class _Flat:
    """A text without its white space; ``offsets[i]`` is where character i of it stands in the text."""

    source: str
    text: str
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, source: str) -> _Flat:
        offsets = tuple(index for index, character in enumerate(source) if not character.isspace())
        return cls(source, "".join(source[index] for index in offsets), offsets)

    def find(self, quote: Quote) -> tuple[int, int] | None:
        """Look below the quote's section first: a sentence may stand in the note twice."""
        needle = _without_space(quote.text)
        if not needle:
            return None
        below = self.text.find(_without_space(quote.section))
        at = self.text.find(needle, max(below, 0))
        if at < 0:
            at = self.text.find(needle)
        return None if at < 0 else self._span(at, at + len(needle), cut=quote.cut)

    def _span(self, first: int, after: int, *, cut: bool) -> tuple[int, int]:
        start, end = self.offsets[first], self.offsets[after - 1] + 1
        return start, self._sentence_end(end) if cut else end

    def _sentence_end(self, end: int) -> int:
        match = _SENTENCE_END.search(self.source, end)
        if match is None:
            return len(self.source)
        return match.start() + len(match[0].strip())


def _without_space(text: str) -> str:
    return "".join(text.split())
