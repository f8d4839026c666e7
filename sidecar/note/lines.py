"""Lines of a note and how they hang together: hard wraps, lists, table rows, labels."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LIST_ITEM = re.compile(
    r"[ \t]*(?:[-*+\u2022\u25cf\u25aa\u25e6\u00b7\u2023>]+[ \t]+|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{2,4})[.)][ \t]+(?=\S))"
)
_TABLE_ROW = re.compile(r"\S[ \t]*\|[ \t]*\S|\S\t+\S|\S {3,}\S.* {3,}\S|^[ \t]*\|")
_TERMINAL = re.compile(r"[.!?:;][\"')\]\u201d]*$")
_OPEN_END = re.compile(
    r"(?:,|\b(?:drs?|mrs?|ms|vs|st|approx|evid|e\.g|i\.e)\.|\b(?:the|an?|of|and|or|to|with|was|is|were|are|for|in|on|at|by|from|his|her|no|not|without|than|be))$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"(?:is|was|were|has|had|and|or|of|with|to|for|in|on|who|which|that|by|at|from|but)\b")
_NUMBER = re.compile(r"[ \t]*(\d{1,2})[.)]")
_WRAP_MIN, _WRAP_MAX = 50, 140
_MARKUP = 5
"""Columns that a converter took away when it dropped the marks of a bold title from a wrapped line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its place in the text; `end` excludes the line end.

    `follows_wrap`: the line before was broken by width, so this one goes on with its sentence.
    """

    start: int
    end: int
    text: str
    follows_wrap: bool
    after_blank: bool
    next_text: str
    is_last: bool
    is_title_block: bool

    @property
    def before_blank(self) -> bool:
        return not self.next_text.strip()

    @property
    def before_list(self) -> bool:
        return _LIST_ITEM.match(self.next_text) is not None

    @property
    def before_number(self) -> bool:
        return _NUMBER.match(self.next_text) is not None

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()


def split_lines(text: str) -> tuple[Line, ...]:
    """Return the lines of `text`, blank ones included, with what their neighbours say about them."""
    raw = text.split("\n")
    layout = _Layout(wrap_width(raw), _uses_hard_ends(raw))
    lines: list[Line] = []
    start = item = 0
    words_seen = False
    for number, value in enumerate(raw):
        before = raw[number - 1] if number else ""
        after = raw[number + 1] if number + 1 < len(raw) else ""
        wraps = layout.wraps(before, value, next_item=item + 1)
        item = item if wraps else _item_number(value, item)
        lines.append(
            Line(
                start,
                start + len(value),
                value,
                follows_wrap=wraps,
                after_blank=not before.strip(),
                next_text=after,
                is_last=number + 1 == len(raw),
                is_title_block=not words_seen,
            )
        )
        words_seen = words_seen or bool(value.strip())
        start += len(value) + 1
    return tuple(lines)


def _item_number(line: str, otherwise: int) -> int:
    found = _NUMBER.match(line)
    return int(found.group(1)) if found else otherwise


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a note breaks its lines: at a width, and by two blanks where a break is meant."""

    width: int | None
    hard_ends: bool

    def wraps(self, before: str, line: str, *, next_item: int) -> bool:
        """Say whether `line` goes on with the sentence of the line `before` it."""
        head, tail = line.strip(), before.rstrip()
        if not head or not tail or _TABLE_ROW.search(tail):
            return False
        if self.hard_ends and before.endswith("  "):
            return False
        ended = _TERMINAL.search(tail) is not None and _OPEN_END.search(tail) is None
        if _LIST_ITEM.match(line):
            return not ended and self._is_number_of_text(tail, line, next_item)
        if self._is_full(tail, head, ended=ended):
            return True
        return not ended and _goes_on(tail, head)

    def _is_full(self, tail: str, head: str, *, ended: bool) -> bool:
        """Say whether the next word did not fit: a line breaker leaves a line for no other reason."""
        if self.width is None:
            return False
        spare = 0 if ended else _MARKUP
        return len(tail) + 1 + len(head.split(None, 1)[0]) > self.width - spare

    def _is_number_of_text(self, tail: str, line: str, next_item: int) -> bool:
        """Tell "a pressure of / 52. Dr. X was called" from the next item of a list."""
        number = _NUMBER.match(line)
        if number is None or int(number.group(1)) in {1, next_item}:
            return False
        return _OPEN_END.search(tail) is not None or self._is_full(tail, line.strip(), ended=False)


def _goes_on(tail: str, head: str) -> bool:
    if _OPEN_END.search(tail):
        return True
    if not head[0].islower() or head[1:2].isupper():
        return False
    # A list of drugs in lower case has short lines too.
    return len(tail) >= _WRAP_MIN or _GOES_ON.match(head) is not None


def wrap_width(raw: list[str]) -> int | None:
    """Return the column at which the writer's system broke lines, None where it did not."""
    lengths = sorted(len(line.rstrip()) for line in raw)
    long = [length for length in lengths if length >= _WRAP_MIN]
    if len(long) < 3:
        return None
    width = long[int(0.95 * (len(long) - 1))]
    near = sum(length >= width - 15 for length in long)
    return width if width <= _WRAP_MAX and near * 2 >= len(long) else None


def _uses_hard_ends(raw: list[str]) -> bool:
    """Say whether two blanks at a line's end mean a line break here, as in Markdown."""
    marked = sum(line.endswith("  ") for line in raw)
    return 0 < marked * 2 < len(raw)
