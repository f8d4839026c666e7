"""Hard-wrapped notes in a pane that is narrower than they were typed for."""

from __future__ import annotations

import re
from itertools import pairwise

MAX_WIDTH = 100  # a longer line was not wrapped by a typist or a mail gateway

_STARTS_ANEW = re.compile(r"\s|[-*\u2022]\s|\d+[.)]\s|[A-Z][A-Z &/,'-]*:")


def unwrap(text: str) -> str:
    """Replace line breaks inside paragraphs by spaces, one character by one: offsets stay.

    A break is a wrap where the next word had no room left on its line. List items, headings,
    indented lines and Markdown's two-space breaks stay on lines of their own.
    """
    lines = text.split("\n")
    width = max(map(len, lines))
    if width > MAX_WIDTH:
        return text
    joints = [" " if _is_wrap(line, after, width) else "\n" for line, after in pairwise(lines)]
    return "".join(part for pair in zip(lines, [*joints, ""], strict=True) for part in pair)


def _is_wrap(line: str, after: str, width: int) -> bool:
    if not line.strip() or line.endswith("  ") or not after or _STARTS_ANEW.match(after):
        return False
    return len(line) + 1 + len(after.split(maxsplit=1)[0]) > width
