"""Bytes of a clinical note to its text, sections and sentences."""

from __future__ import annotations

from sidecar.note.attachment import Attachment, attachments, decode_base64
from sidecar.note.choose import choose, rank
from sidecar.note.content import is_empty_template, language
from sidecar.note.extract import extract_bytes, read_attachment
from sidecar.note.lexicon import NoteLexicon
from sidecar.note.text import NoteText, Section, Span

__all__ = [
    "Attachment",
    "NoteLexicon",
    "NoteText",
    "Section",
    "Span",
    "attachments",
    "choose",
    "decode_base64",
    "extract_bytes",
    "is_empty_template",
    "language",
    "rank",
    "read_attachment",
]
