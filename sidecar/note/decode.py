"""Bytes to text: which charset, and what was wrong with it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.note.media import looks_utf16

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_IANA = {
    "utf-8": "utf-8",
    "utf-16-le": "utf-16le",
    "utf-16-be": "utf-16be",
    "utf-32-le": "utf-32le",
    "utf-32-be": "utf-32be",
    "cp1252": "windows-1252",
    "ascii": "us-ascii",
}
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
# What the bytes 80 to BF of UTF-8 look like when read as Windows-1252 or ISO-8859-1.
_CP1252_HIGH = re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", errors="ignore")) + "\x80-\x9f"
_MOJIBAKE = re.compile(f"[\u00c2\u00c3][{_CP1252_HIGH}]|\u00e2[\u20ac\u201a\u201e][{_CP1252_HIGH}]|\u00ef\u00bb\u00bf")


@dataclass(frozen=True, slots=True)
class Decoded:
    """`charset` is the IANA name that was used; `warnings` are codes."""

    text: str
    charset: str
    warnings: tuple[str, ...]


def decode(data: bytes, declared: Sequence[str] = ()) -> Decoded:
    r"""Decode by byte order mark, then `declared` charsets in order, UTF-8, UTF-16, Windows-1252.

    Never fails: bytes that Windows-1252 leaves undefined become U+FFFD with a warning. Line ends
    become ``\n``, other control characters go. Double-encoded text is reported, never repaired.
    """
    text, charset, warnings = _decode_bytes(data, declared)
    cleaned = clean(text)
    if _CONTROL.search(text.removeprefix("\ufeff")):
        warnings.append("control-characters-removed")
    if "\ufffd" in cleaned:
        warnings.append("undecodable-bytes")
    if _MOJIBAKE.search(text):
        warnings.append("mojibake")
    return Decoded(cleaned, _iana(charset), tuple(warnings))


def clean(text: str) -> str:
    r"""Return `text` with ``\n`` line ends and without control characters but tab."""
    return _CONTROL.sub("", _LINE_END.sub("\n", text))


def _iana(codec: str) -> str:
    return _IANA.get(codec, codec.replace("iso8859", "iso-8859"))


def _decode_bytes(data: bytes, declared: Sequence[str]) -> tuple[str, str, list[str]]:
    for bom, charset in _BOMS:
        if data.startswith(bom):
            text = data[len(bom) :].decode(charset, errors="replace")
            return text, charset, []
    warnings: list[str] = []
    for name in declared:
        found = _declared(data, name)
        if found is not None:
            return *found, warnings
        warnings.append("charset-mismatch")
    return *_guess(data), warnings[:1]


def _declared(data: bytes, name: str) -> tuple[str, str] | None:
    """Return text and codec where `data` really is in the charset that the source names."""
    from resiliparse.parse.encoding import map_encoding_to_html5  # noqa: PLC0415 - heavy, only where declared

    if name in {"ascii", "us-ascii"}:
        return _strict(data, "ascii")
    if name in {"utf-16", "utf16", "utf-16le", "utf-16be"}:
        sniffed = looks_utf16(data)
        return _strict(data, sniffed) if sniffed else None
    # WHATWG labels: ISO-8859-1 means Windows-1252, and codecs that are no charsets are unknown.
    codec = map_encoding_to_html5(name, fallback_utf8=False)
    return _strict(data, codec) if codec else None


def _guess(data: bytes) -> tuple[str, str]:
    utf16 = looks_utf16(data)
    for codec in (utf16, "utf-8"):
        found = _strict(data, codec) if codec else None
        if found is not None:
            return found
    return data.decode("cp1252", errors="replace"), "cp1252"


def _strict(data: bytes, codec: str) -> tuple[str, str] | None:
    try:
        return data.decode(codec), codec
    except (UnicodeDecodeError, LookupError):
        return None
