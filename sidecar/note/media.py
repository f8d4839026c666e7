"""What format the bytes really are: labels in the wild are often wrong, magic bytes rarely."""

from __future__ import annotations

import re
from dataclasses import dataclass

TEXT = "text/plain"
HTML = "text/html"
XHTML = "application/xhtml+xml"
XML = "application/xml"
CDA = "application/cda+xml"
RTF = "application/rtf"
PDF = "application/pdf"
BINARY = "application/octet-stream"

_ALIASES = {
    "text": TEXT,
    "txt": TEXT,
    "ascii text": TEXT,  # athenahealth sends libmagic's words
    "text/ascii": TEXT,
    "text/markdown": TEXT,
    "text/x-markdown": TEXT,
    "html": HTML,
    "xhtml": XHTML,
    "application/xhtml": XHTML,
    "text/xhtml": XHTML,
    "text/xml": XML,
    "application/hl7-cda+xml": CDA,
    "text/rtf": RTF,
    "text/richtext": RTF,
    "application/x-rtf": RTF,
    "rtf": RTF,
    "pdf": PDF,
    "application/x-pdf": PDF,
}
_MAGIC = (
    (b"{\\rtf", RTF),
    (b"%PDF-", PDF),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
)
_UTF8_BOM = b"\xef\xbb\xbf"
_CDA_ROOT = re.compile(rb"<(?:\w+:)?ClinicalDocument[\s>/]")
_PAGE = re.compile(
    rb"(?is)(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])"
)
_XHTML_NAMESPACE = re.compile(rb"(?is)(?:<\?xml[^>]*>\s*)?<div\s[^>]*http://www\.w3\.org/1999/xhtml")
_FRAGMENT = re.compile(rb"(?i)<(?:p|div|span|table|ul|ol|h[1-6]|pre|br|b|i|font|style|meta)\b[^<>]*>")
_XML = re.compile(rb"<\?xml\s")
_CHARSET = re.compile(r"(?i)charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]+)")
_HEAD = 2048


@dataclass(frozen=True, slots=True)
class MediaType:
    """A label such as ``text/html;charset=utf-8``, taken apart; `name` is None where it says nothing."""

    name: str | None
    charset: str | None


def parse_media_type(label: str | None) -> MediaType:
    """Return the lower-case media type, aliases resolved, and its charset parameter."""
    if not label:
        return MediaType(None, None)
    name = label.split(";", 1)[0].strip().lower()
    charset = _CHARSET.search(label)
    known = _ALIASES.get(name, name)
    return MediaType(None if known in {"", BINARY} else known, charset.group(1).lower() if charset else None)


def sniff(data: bytes, label: str | None) -> str:
    """Return the media type to read `data` as: magic bytes first, then `label`, then plain text.

    A label of a binary format that the bytes do not bear out falls back to text: most ``.rtf``
    files that reach us are plain text inside.
    """
    head = data[:_HEAD].removeprefix(_UTF8_BOM).lstrip()
    return _by_magic(head, data) or _by_markup(head, label) or _by_label(data, label)


def _by_magic(head: bytes, data: bytes) -> str | None:
    # ISO 32000 readers accept a header within the first 1024 bytes.
    if b"%PDF-" in data[:1024]:
        return PDF
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _by_markup(head: bytes, label: str | None) -> str | None:
    flat = head.replace(b"\x00", b"")  # UTF-16 markup shows its tags this way
    if not flat.startswith(b"<") and not flat.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    flat = flat.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if _CDA_ROOT.search(flat):
        return CDA
    if _PAGE.match(flat) or _XHTML_NAMESPACE.match(flat):
        return XHTML if label == XHTML or _XML.match(flat) or _XHTML_NAMESPACE.match(flat) else HTML
    if _XML.match(flat):
        return XML
    return HTML if label is None and _FRAGMENT.match(flat) else None


def _by_label(data: bytes, label: str | None) -> str:
    if _is_binary(data):
        return BINARY
    return label if label in {HTML, XHTML, XML, CDA} else TEXT


def _is_binary(data: bytes) -> bool:
    """Say whether control bytes are too many for a text in any charset but UTF-16."""
    sample = data[:_HEAD]
    if looks_utf16(sample) or sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    controls = sum(byte < 9 or 13 < byte < 32 for byte in sample)
    return controls > 4 and controls * 10 > len(sample)


def looks_utf16(data: bytes) -> str | None:
    """Return ``utf-16-le`` or ``utf-16-be`` where every other byte is mostly NUL, as in Western text."""
    sample = data[: _HEAD - _HEAD % 2]
    pairs = len(sample) // 2
    if pairs < 2:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd * 10 >= pairs * 6 and even * 20 <= pairs:
        return "utf-16-le"
    if even * 10 >= pairs * 6 and odd * 20 <= pairs:
        return "utf-16-be"
    return None
