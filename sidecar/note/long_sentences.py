"""Very long sentences, mostly lists glued by commas, cut where a reader would pause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import Span

LIMIT = 400

_PAUSE = re.compile(
    r"(?<!\s),?\s++(?=\(?\d{1,2}[.)]\s+[A-Za-z])"  # "1) diabetes 2) hypertension"
    r"|(?<=[.;]),\s*+"
    r"|\s;\s|;\s++"
    r"|,\s++(?=(?:and|but|so|however|which)?\s?(?:he|she|they|we|i|the patient|there|it)\s+[a-z]+)"
    r"|,\s++(?=(?-i:[A-Z])[a-z]+\s(?:[a-z]+\s)?\d[\d.,]*\s?(?:mg|mcg|units?|meq|ml|g|%))"  # the next drug
    r"|\n(?=\s*[-*\u2022])",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:no|not|denie[sd]|denying|without|never|negative|absent|none|neither|nor|free of)\b", re.IGNORECASE
)
_OWN_CLAUSE = re.compile(
    r"\(?\d{1,2}[.)]|(?:and |but |so |however |which )?(?:he|she|they|we|i|the|there|it|no|positive)\b", re.IGNORECASE
)


def split_long(text: str, span: Span) -> Iterator[Span]:
    """Yield `span`, or its parts of about `LIMIT` characters where it has places to pause.

    What a negation governs stays in its part: "denies fever; chills" is never cut at the semicolon.
    """
    start, end = span
    if end - start <= LIMIT:
        yield span
        return
    last: int | None = None
    for pause in _PAUSE.finditer(text, start, end):
        if end - start <= LIMIT:
            break
        if not _is_safe(text, start if last is None else last, pause):
            continue
        if last is not None and pause.end() - start > LIMIT:
            yield _trimmed(text, start, last)
            start = last
        last = pause.end()
    if last is not None and last > start and end - start > LIMIT:
        yield _trimmed(text, start, last)
        start = last
    yield _trimmed(text, start, end)


def _is_safe(text: str, clause_start: int, pause: re.Match[str]) -> bool:
    if _OWN_CLAUSE.match(text, pause.end()):
        return True
    return _NEGATION.search(text, clause_start, pause.start()) is None


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
