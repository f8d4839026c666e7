"""Characters that change how a text looks without being seen."""

from __future__ import annotations

import re

# C0 and C1 controls, soft hyphen, zero-width, bidirectional overrides and isolates, line and paragraph
# separators, variation and annotation marks, byte order mark, and the invisible tag block U+E0000.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """Return `text` on one line, with single spaces, without what a reader cannot see."""
    shown = _HIDDEN.sub("", _CARRIAGE.sub(" ", text))
    return " ".join(_LONE_SURROGATE.sub("\ufffd", shown).split())


_CARRIAGE = re.compile("[\r\x0b\x0c\x1c-\x1e]")  # line ends to some, controls to others: a space either way


_MARK = re.compile(r"\[\s*\d[\d\s,;\u2013-]*\]")


def without_marks(text: str) -> str:
    """Return `text` with evidence marks such as ``[3]`` or ``[1, 2]`` blanked out, at unchanged offsets."""
    return _MARK.sub(lambda match: " " * len(match.group()), text)
