"""Where the titled parts of a plain note begin, by lexicon and layout.

A capitalised word before a colon is no heading by itself ("BP: 120/80", "Dr. Smith:"): either the
lexicon knows the title, or the layout sets it apart (markdown mark, capitals after a blank line).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.note.text import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidecar.note.lexicon import SectionName, SectionTitles
    from sidecar.note.lines import Line

_TITLE_LIMIT = 70
_TITLE = re.compile(
    r"[ \t]*(?P<mark>\#{1,6}[ \t]*|\*\*[ \t]*|__[ \t]*|[=*~-]{2,}[ \t]*|[\u2022*-][ \t]+(?=[A-Z][A-Z]))?"
    r"(?P<title>(?:(?:\d{1,2}|[IVX]{1,4}|[A-Z])[.)][ \t]+)?[A-Za-z][^:|\t\n*]{0,68}?)"
    r"[ \t]*(?:\*\*|__|[=~-]{2,})?[ \t]*(?P<separator>:(?!\d)|\||\t|[-\u2013\u2014][ \t]|$)"
)
_AFTER_TITLE = re.compile(r"(?:[ \t]*(?:\*\*(?!\*)|__(?!_)|:,*|[,|#=~\u2013\u2014-]+(?=[\s,]|$)))*[ \t]*")
_RUN_IN = re.compile(
    r"(?:(?<=[.,;:!?)\]\"\u201d])|(?<=\s\s)|(?<=[.,;] ))(?P<title>[A-Z][A-Z0-9 /&()'-]{1,60}?)(?P<separator>:)(?!\d)"
)
_SIGNATURE = re.compile(r"\b(?:MD|DO|RN|NP|PA-?C?|PHD|DPM|DDS|YYYY|LCSW|CRNA|ARNP)\b|_{2,}|\d{3,}|\bXX+\b|XYZ|ABC")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)")
_SMALL_WORDS = frozenset({"and", "of", "for", "the", "in", "on", "at", "to", "with", "or", "&", "/"})


@dataclass(frozen=True, slots=True)
class Heading:
    """A found title: `start` to `end` is the title as written, `body` where what it heads begins."""

    title: str
    start: int
    end: int
    body: int
    name: SectionName | None


def find_headings(text: str, lines: Sequence[Line], titles: SectionTitles) -> tuple[Heading, ...]:
    """Return the headings of `text` in order."""
    found: list[Heading] = []
    for line in lines:
        for heading in _line_headings(text, line, titles):
            if not _is_part(heading, found):
                found.append(heading)
    return tuple(found)


def sections(headings: Sequence[Heading], length: int) -> tuple[Section, ...]:
    """Return one section a heading; the last one ends at `length`."""
    ends = [*(heading.start for heading in headings), length][1:]
    return tuple(
        Section(heading.title, heading.name.code if heading.name else None, heading.start, end)
        for heading, end in zip(headings, ends, strict=True)
    )


def _is_part(heading: Heading, found: Sequence[Heading]) -> bool:
    """Say whether the title is a sub-heading of the section that is open."""
    if heading.name is None or not heading.name.part_of:
        return False
    open_name = next((earlier.name for earlier in reversed(found) if earlier.name), None)
    return open_name is not None and open_name.name in heading.name.part_of


def _line_headings(text: str, line: Line, titles: SectionTitles) -> Iterator[Heading]:
    first = _first_heading(text, line, titles)
    if first is not None:
        yield first
    if ":" not in line.text:
        return
    for match in _RUN_IN.finditer(text, first.body if first else line.start + 1, line.end):
        name = titles.find(match["title"])
        if name is not None and not titles.is_label(match["title"]):
            yield _heading(text, match, name, line.end)


def _first_heading(text: str, line: Line, titles: SectionTitles) -> Heading | None:
    match = _TITLE.match(text, line.start, min(line.end, line.start + _TITLE_LIMIT + 20))
    if match is None or (match.end() < line.end and not match["separator"]):
        return None
    title = match["title"]
    if titles.is_label(title):
        return None
    name = titles.find(title)
    if name is not None and not _fits(match, line):
        return None
    if name is None and not _stands_out(match, line, text):
        return None
    return _heading(text, match, name, line.end)


def _fits(match: re.Match[str], line: Line) -> bool:
    """Say whether a title of the lexicon stands where a heading stands."""
    title = match["title"]
    if match["mark"] and match["mark"][0] in "#*_=":
        return True
    if _PARENTHESIS.sub("", title).isupper():
        return bool(match["separator"]) or (len(title) > 1 and not line.follows_wrap)
    return (title[0].isupper() or title[0].isdigit()) and _fits_mixed_case(match, line)


def _fits_mixed_case(match: re.Match[str], line: Line) -> bool:
    title, separator = match["title"], match["separator"]
    if separator == ":":
        return not line.follows_wrap
    if separator:
        return separator in "|\t"
    if title[0].isdigit() or title[1:2] in {".", ")"}:
        return not line.before_number  # "2. Diet" between "1. Activity" and "3. Wound care" is an item
    return line.after_blank or line.before_list


def _stands_out(match: re.Match[str], line: Line, text: str) -> bool:
    """Say whether layout alone makes an unknown title a heading."""
    title, mark = match["title"], match["mark"] or ""
    if mark.startswith("#"):
        return True
    if _SIGNATURE.search(title) or len(title.split()) > 8 or sum(map(str.isalpha, title)) < 4:
        return False
    alone = not text[match.end() : line.end].strip(" \t:*_,")
    if mark[:2] in {"**", "__", "=="} and alone:
        return True
    if not line.after_blank or line.is_last or match["separator"] not in {":", ""}:
        return False
    if title.isupper():
        return bool(match["separator"]) or (len(title) > 4 and not line.is_title_block)
    return alone and match["separator"] == ":" and not line.before_blank and _is_title_case(title)


def _is_title_case(title: str) -> bool:
    words = title.split()
    return len(words) <= 5 and all(word[0].isupper() or word in _SMALL_WORDS for word in words)


def _heading(text: str, match: re.Match[str], name: SectionName | None, end: int) -> Heading:
    after = _AFTER_TITLE.match(text, match.end("title"), end)
    body = after.end() if after else match.end()
    return Heading(match["title"], match.start("title"), match.end("title"), body, name)
