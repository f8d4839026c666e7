"""Attachment bytes to `NoteText`: the stage ``extract``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.errors import ParkEvent, SkipEvent
from sidecar.note import media
from sidecar.note.attachment import SIZE_LIMIT, Attachment, check_content
from sidecar.note.decode import decode
from sidecar.note.duplicates import find_duplicates
from sidecar.note.html import charset_of, html_to_text
from sidecar.note.lexicon import NoteLexicon, default_lexicon
from sidecar.note.lines import split_lines
from sidecar.note.sections import find_headings, sections
from sidecar.note.sentences import find_sentences
from sidecar.note.text import NoteText
from sidecar.outcomes import ParkReason, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKUP = frozenset({media.HTML, media.XHTML})


def read_attachment(
    attachment: Attachment,
    data: bytes | None = None,
    *,
    limit: int = SIZE_LIMIT,
    lexicon: NoteLexicon | None = None,
) -> NoteText:
    """Return the text of one attachment; `data` are the bytes fetched from its `url`, at most `limit`.

    Raises `ParkEvent` (``no-content``, ``content-mismatch``, ``format-not-yet``) and `SkipEvent`
    (``no-text``).
    """
    content = attachment.data if data is None else data
    if content is None:
        raise ParkEvent(ParkReason.NO_CONTENT, attachment.fault or "no bytes")
    check_content(attachment, content, limit=limit)
    return extract_bytes(content, attachment.media_type, limit=limit, lexicon=lexicon)


def extract_bytes(
    data: bytes, media_type: str | None, *, limit: int = SIZE_LIMIT, lexicon: NoteLexicon | None = None
) -> NoteText:
    """Return text, sections and sentences of a bare document.

    `media_type` is the label it came with, charset included, or None; the bytes decide where they
    contradict it. Raises `ParkEvent` (``no-content``, ``format-not-yet``) and `SkipEvent` (``no-text``).
    """
    if len(data) > limit:
        raise ParkEvent(ParkReason.NO_CONTENT, f"bytes={len(data)} limit={limit}")
    label = media.parse_media_type(media_type)
    kind = media.sniff(data, label.name)
    if kind not in {media.TEXT, *_MARKUP}:
        raise ParkEvent(ParkReason.FORMAT_NOT_YET, kind)
    text, charset, warnings = _text(data, kind, label.charset)
    if label.name is not None and not _agrees(label.name, kind):
        warnings = ("media-type-mismatch", *warnings)
    return structure(text, kind, charset, warnings, lexicon=lexicon)


def structure(
    text: str,
    media_type: str,
    charset: str | None = None,
    warnings: tuple[str, ...] = (),
    *,
    lexicon: NoteLexicon | None = None,
) -> NoteText:
    """Find sections, sentences and repeats of a text. Raises `SkipEvent` (``no-text``) where it has no words."""
    if not any(map(str.isalnum, text)):
        raise SkipEvent(SkipReason.NO_TEXT)
    words = lexicon or default_lexicon()
    lines = split_lines(text)
    headings = find_headings(text, lines, words.titles)
    sentences = find_sentences(text, lines, headings, words)
    return NoteText(
        text=text,
        media_type=media_type,
        charset=charset,
        sections=sections(headings, len(text)),
        sentences=sentences,
        duplicates=find_duplicates(text, sentences),
        warnings=warnings,
    )


def _text(data: bytes, kind: str, charset: str | None) -> tuple[str, str, tuple[str, ...]]:
    if kind not in _MARKUP:
        decoded = decode(data, (charset,) if charset else ())
        return decoded.text, decoded.charset, decoded.warnings
    decoded = decode(data, tuple(_declared(data, charset)))
    text, warnings = html_to_text(decoded.text, xhtml=kind == media.XHTML)
    return text, decoded.charset, decoded.warnings + warnings


def _declared(data: bytes, charset: str | None) -> Iterator[str]:
    """Yield the charsets that header and document name, the header first (HTML standard)."""
    inner = charset_of(data)
    if charset:
        yield charset
    if inner and inner != charset:
        yield inner


def _agrees(label: str, kind: str) -> bool:
    return label == kind or {label, kind} <= _MARKUP or (kind == media.CDA and label == media.XML)
