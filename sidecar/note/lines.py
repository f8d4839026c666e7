"""Lines of a note and how they hang together: hard wraps, lists, table rows, labels."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LIST_ITEM = re.compile(
    r"[ \t]*(?:[-*+\u2022\u25cf\u25aa\u25e6\u00b7\u2023>]+[ \t]+|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{2,4})[.)][ \t]+(?=\S))"
)
_LABEL = re.compile(r"[ \t]*[A-Z][A-Za-z0-9 /&()'.%-]{0,40}:(?:[ \t,]|$)")
_TABLE_ROW = re.compile(r"\S[ \t]*\|[ \t]*\S|\S\t+\S|\S {3,}\S.* {3,}\S|^[ \t]*\|")
_TERMINAL = re.compile(r"[.!?:;][\"')\]\u201d]*$")
_WRAP_MIN, _WRAP_MAX = 50, 140


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
    before_blank: bool
    before_list: bool
    is_last: bool
    is_title_block: bool

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()


def split_lines(text: str) -> tuple[Line, ...]:
    """Return the lines of `text`, blank ones included, with what their neighbours say about them."""
    raw = text.split("\n")
    width = wrap_width(raw)
    hard_ends = _uses_hard_ends(raw)
    lines = []
    start = 0
    words_seen = False
    for number, value in enumerate(raw):
        before = raw[number - 1] if number else ""
        after = raw[number + 1] if number + 1 < len(raw) else ""
        lines.append(
            Line(
                start,
                start + len(value),
                value,
                follows_wrap=_wraps(before, value, width, hard_ends=hard_ends),
                after_blank=not before.strip(),
                before_blank=not after.strip(),
                before_list=_LIST_ITEM.match(after) is not None,
                is_last=number + 1 == len(raw),
                is_title_block=not words_seen,
            )
        )
        words_seen = words_seen or bool(value.strip())
        start += len(value) + 1
    return tuple(lines)


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


def _wraps(before: str, line: str, width: int | None, *, hard_ends: bool) -> bool:
    """Say whether `line` goes on with the sentence of the line before it."""
    head, tail = line.strip(), before.rstrip()
    if not head or not tail or _LIST_ITEM.match(line) or _TABLE_ROW.search(tail):
        return False
    if hard_ends and before.endswith("  "):
        return False
    # A greedy line breaker leaves a line only when the next word does not fit.
    if width is not None and len(tail) + 1 + len(head.split(None, 1)[0]) > width:
        return True
    return head[0].islower() and not _TERMINAL.search(tail)
