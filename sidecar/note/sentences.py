"""Sentence spans over a note: lines are joined where they were wrapped, and split where they end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.note.long_sentences import split_long

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidecar.note.lexicon import Abbreviations, NoteLexicon, SectionTitles
    from sidecar.note.lines import Line
    from sidecar.note.sections import Heading
    from sidecar.note.text import Span

_STOP = re.compile(r"[.!?]+[\"')\]\u2019\u201d]*(?P<comma>,?)(?P<gap>\s*)(?=\S)")
_WORD_BEFORE = re.compile(r"[^\s,;:()\[\]\"]+$")
_WORD_AFTER = re.compile(r"[A-Za-z']+")
_ITEM_NUMBER = re.compile(r"\(?\d{1,2}[.)](?:\s+\D|[A-Z])|\(?\d{1,2}\)")
_MARKER = re.compile(r"(?:^|[\s,;:.])\(?(?:\d{1,2}|[A-Za-z])$")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_GLUED = re.compile(r"[a-z)\d%]{3,}$")
_GLUED_NEXT = re.compile(r"[A-Z][a-z]+(?:\s|')|[A-Z]{3,}[\s:]|A\s|I\s")
_LETTERED = frozenset({"hepatitis", "vitamin", "type", "grade", "class", "stage", "group", "factor", "troponin"})
_CAPS_LABEL = re.compile(r"(?<=[\s.,;])[A-Z][A-Z/&-]*(?: [A-Z/&-]+){0,4}:(?=[\s,])")


def find_sentences(
    text: str, lines: Sequence[Line], headings: Sequence[Heading], lexicon: NoteLexicon
) -> tuple[Span, ...]:
    """Return spans in order that cover all of `text` but blank space and section titles.

    Raises nothing; a text without any structure is one unit a paragraph.
    """
    return tuple(
        piece
        for unit in _units(text, lines, headings)
        for sentence in _split(text, unit, lexicon)
        for piece in split_long(text, sentence)
    )


def _units(text: str, lines: Sequence[Line], headings: Sequence[Heading]) -> Iterator[Span]:
    """Yield paragraphs, list items, rows and label lines, titles cut out, in order."""
    titles = {heading.start: heading.body for heading in headings}
    starts = sorted(titles)
    cursor = 0
    for start, end in _blocks(lines):
        position = start
        while cursor < len(starts) and starts[cursor] < end:
            title = starts[cursor]
            if _has_words(text, position, title):
                yield position, title
            position = titles[title]
            cursor += 1
        yield position, end


def _has_words(text: str, start: int, end: int) -> bool:
    return any(map(str.isalnum, text[start:end]))


def _blocks(lines: Sequence[Line]) -> Iterator[Span]:
    """Yield runs of lines that belong together."""
    start = end = -1
    for line in lines:
        if start >= 0 and line.follows_wrap:
            end = line.end
            continue
        if start >= 0:
            yield start, end
        start, end = (-1, -1) if line.is_blank else (line.start, line.end)
    if start >= 0:
        yield start, end


def _split(text: str, unit: Span, lexicon: NoteLexicon) -> Iterator[Span]:
    start, end = unit
    cuts = sorted({*_stops(text, start, end, lexicon.abbreviations), *_labels(text, start, end, lexicon.titles)})
    yield from trim(text, start, [*cuts, end])


def trim(text: str, start: int, cuts: Sequence[int]) -> Iterator[Span]:
    """Yield the pieces between cuts without outer blank space; pieces of punctuation join the one before."""
    pending: Span | None = None
    for cut in cuts:
        piece = text[start:cut]
        left = start + len(piece) - len(piece.lstrip())
        right = start + len(piece.rstrip())
        start = cut
        if left >= right:
            continue
        if pending is not None and not _has_words(text, left, right):
            pending = (pending[0], right)
            continue
        if pending is not None:
            yield pending
        pending = (left, right)
    if pending is not None:
        yield pending


def _labels(text: str, start: int, end: int, titles: SectionTitles) -> Iterator[int]:
    """Yield where a known label in capitals begins: "LUNGS: clear HEART: regular"."""
    for match in _CAPS_LABEL.finditer(text, start, end):
        label = match.group()[:-1]
        if titles.is_label(label) or titles.find(label):
            yield match.start()


def _stops(text: str, start: int, end: int, abbreviations: Abbreviations) -> Iterator[int]:
    """Yield the offsets after full stops that end a sentence."""
    for stop in _STOP.finditer(text, start, end):
        if _ends_sentence(text, start, stop, abbreviations):
            yield stop.end()


def _ends_sentence(text: str, start: int, stop: re.Match[str], abbreviations: Abbreviations) -> bool:
    following = text[stop.end() : stop.end() + 40]
    before = text[max(start, stop.start() - 40) : stop.start()]
    if not stop["gap"] and not _is_glued(before, stop, following):
        return False
    if _MARKER.search(before) and _is_marker(text, start, stop, before):
        return False
    if stop["comma"]:
        return _ITEM_NUMBER.match(following) is not None or (not stop["gap"] and following[0].isupper())
    if text[stop.start()] in "!?":
        return not following[0].islower()
    if _ITEM_NUMBER.match(following) and not before[-1:].isdigit():
        return True
    return _word_ends(before, following, abbreviations)


def _is_glued(before: str, stop: re.Match[str], following: str) -> bool:
    """Say whether a stop without blank space after it still ends a sentence ("pain.The patient")."""
    if stop["comma"]:
        return True
    return _GLUED.search(before) is not None and _GLUED_NEXT.match(following) is not None


def _is_marker(text: str, start: int, stop: re.Match[str], before: str) -> bool:
    """Say whether the stop belongs to a list number such as "2." at the head of an item."""
    marker = _WORD_BEFORE.search(before)
    if marker is None or not stop["gap"]:
        return False
    position = stop.start() - len(marker.group())
    head = text[max(start, position - 40) : position].rstrip()
    if marker.group().lstrip("(").isdigit():
        return not head or head[-1] in ".,;:!?)"
    return not head


def _word_ends(before: str, following: str, abbreviations: Abbreviations) -> bool:
    found = _WORD_BEFORE.search(before)
    word = found.group().lstrip("'*-").casefold() if found else ""
    opener = _WORD_AFTER.match(following)
    opens = opener is not None and opener.group().casefold() in abbreviations.openers
    if word in abbreviations.never_end:
        return False
    if word in abbreviations.before_number and following[0].isdigit():
        return False
    if word in abbreviations.may_end or _DOTTED.fullmatch(word):
        return opens and following[0].isupper()
    if following[0].islower():
        return opens and len(word) > 3
    if len(word) == 1 and word.isalpha() and not opens:
        return _ends_on_letter(before)
    return True


def _ends_on_letter(before: str) -> bool:
    """Tell "hepatitis C." from an initial ("saw J. Doe", "Dr. X. Smith")."""
    words = before.split()
    return len(words) > 1 and words[-2].casefold() in _LETTERED
