"""A draft given as plain text: where its statements stand, and what of it is frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.review.hygiene import without_marks
from sidecar.review.rendering import ATTRIBUTION, BANNER, EVIDENCE, EXTRACTIVE, NOT_CARRIED, REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import NoteText, Span

_LEAD = re.compile(
    rf"(?:\s|[-*\u2022\u2013\u00b7](?=\s)|\(?\d{{1,2}}[.)](?=\s))*(?:{re.escape(ATTRIBUTION.strip())}\s*)?",
    re.IGNORECASE,
)
_UPPER_HEADING = re.compile(r"(?=[^a-z\d]*$)[A-Z][A-Z &/,()'-]{2,59}:?\s*$")
_COLON_HEADING = re.compile(r"(?:#{1,6}\s+|\*\*)?[A-Z][A-Za-z &/-]{1,40}:(?:\*\*)?\s*$")
_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+\S|\*\*[^*]+\*\*:?\s*$")
_EVIDENCE_LINE = re.compile(r"\[\d+\]\s")
_LAST_LINE = re.compile(r"\S.*\brecipe\s+\w+.*\bdraft\s+[\w-]+")


def statement_spans(draft: NoteText) -> tuple[Span, ...]:
    """Return the statements of a draft, without bullets, attribution, marks at the end and white space.

    Headings are no statements, nor is the frame that `rendering.render` puts around statements.
    """
    frame = list(_frame(draft.text))
    masked = without_marks(draft.text)
    pieces = (piece for sentence in draft.sentences for piece in _outside(sentence, frame))
    spans = (_trim(masked, piece) for piece in pieces)
    return tuple(span for span in spans if any(map(str.isalnum, masked[span[0] : span[1]])))


def _trim(text: str, span: Span) -> Span:
    lead = _LEAD.match(text, *span)
    start = lead.end() if lead else span[0]
    return start, start + len(text[start : span[1]].rstrip())


def _outside(span: Span, frame: list[Span]) -> Iterator[Span]:
    at = span[0]
    for start, end in frame:
        if end <= at or start >= span[1]:
            continue
        if start > at:
            yield at, start
        at = end
    if at < span[1]:
        yield at, span[1]


def _frame(text: str) -> Iterator[Span]:
    """Yield the lines of `text` that are frame, in order."""
    lines = [(match.start(), match.group()) for match in re.finditer(r"[^\n]+", text)]
    block = ""
    for place, (start, line) in enumerate(lines):
        rest = [after for _, after in lines[place + 1 :]]
        block = _block(line.rstrip(), block, rest)
        if block:
            yield start, start + len(line)


def _block(line: str, block: str, rest: list[str]) -> str:
    """Return the block of the frame that `line` belongs to, "" where it may hold a statement."""
    for opening in (BANNER, NOT_CARRIED, EVIDENCE):
        if line == opening:
            return opening
    if line.startswith(REMOVED):
        return REMOVED
    if _stays(line, block):
        return block
    return "heading" if _is_heading(line, rest) else ""


def _stays(line: str, block: str) -> bool:
    """Say whether `line` goes on with `block`; a line that does not look like it is a statement."""
    indented = line.startswith("  ")
    if block == BANNER:
        return indented or line == EXTRACTIVE or (bool(re.match(r"\S.* of .*", line)) and not line.startswith("- "))
    if block == NOT_CARRIED:
        return indented or line.startswith("! ")
    if block == EVIDENCE:
        return indented or bool(_EVIDENCE_LINE.match(line) or _LAST_LINE.match(line))
    return block == REMOVED and indented


def _is_heading(line: str, rest: list[str]) -> bool:
    """Say whether a line is a title of what follows; the last line of a draft is none."""
    if not rest:
        return False
    return bool(_UPPER_HEADING.match(line) or _COLON_HEADING.match(line) or _MARKDOWN_HEADING.match(line))
