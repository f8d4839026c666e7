"""The renderings that one DocumentReference or DiagnosticReport offers, and their bytes."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.errors import ParkEvent
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZE_LIMIT = 10 * 1024 * 1024
"""Decoded bytes that are read at most; more is parked as ``no-content`` with both numbers."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One FHIR Attachment.

    `media_type` is what the source claims, parameters included. `data` is None when the bytes are
    elsewhere (`url`) or unusable; `fault` then names why, such as ``base64``. `size` counts
    decoded bytes and `hash` is base64 of their SHA-1, both as claimed.
    """

    media_type: str | None
    data: bytes | None
    url: str | None = None
    size: int | None = None
    hash: str | None = None
    fault: str | None = None


def attachments(resource: Mapping[str, Any], *, limit: int = SIZE_LIMIT) -> tuple[Attachment, ...]:
    """Return the attachments of a DocumentReference (`content`) or DiagnosticReport (`presentedForm`).

    The order is the resource's. Nothing is fetched and nothing is raised: what is not usable keeps
    its place with a `fault`.
    """
    return tuple(_attachment(entry, limit) for entry in _entries(resource))


def decode_base64(value: str, *, limit: int = SIZE_LIMIT) -> bytes:
    """Return the bytes of a FHIR base64Binary, white space allowed (RFC 4648 §4 alphabet only).

    Raises `ParkEvent` (``no-content``) for another alphabet, wrong padding, or more than `limit` bytes.
    """
    packed = _BLANK.sub("", value)
    size = len(packed) * 3 // 4 - packed.count("=", len(packed) - 2)
    if size > limit:
        raise ParkEvent(ParkReason.NO_CONTENT, f"bytes={size} limit={limit}")
    if len(packed) % 4 or not _BASE64.fullmatch(packed):
        urlsafe = "-" in packed or "_" in packed
        raise ParkEvent(ParkReason.NO_CONTENT, "base64-urlsafe" if urlsafe else "base64")
    return base64.b64decode(packed)


def check_content(attachment: Attachment, data: bytes, *, limit: int = SIZE_LIMIT) -> None:
    """Compare `data` with the attachment's own `size` and `hash`, where it gives them.

    Raises `ParkEvent`: ``no-content`` over the limit, ``content-mismatch`` where they disagree.
    """
    if len(data) > limit:
        raise ParkEvent(ParkReason.NO_CONTENT, f"bytes={len(data)} limit={limit}")
    if attachment.size is not None and attachment.size != len(data):
        raise ParkEvent(ParkReason.CONTENT_MISMATCH, f"bytes={len(data)} size={attachment.size}")
    if attachment.hash is not None and _BLANK.sub("", attachment.hash) != _sha1(data):
        raise ParkEvent(ParkReason.CONTENT_MISMATCH, "hash")


def _sha1(data: bytes) -> str:
    # FHIR fixes SHA-1 for Attachment.hash; it finds damage here, it guards nothing.
    return base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")


def _entries(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for content in _objects(resource.get("content")):
        yield from _objects([content.get("attachment")])
    yield from _objects(resource.get("presentedForm"))


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _attachment(entry: Mapping[str, Any], limit: int) -> Attachment:
    data, fault = _inline(entry.get("data"), limit)
    return Attachment(
        media_type=_string(entry.get("contentType")),
        data=data,
        url=_string(entry.get("url")),
        size=_size(entry.get("size")),
        hash=_string(entry.get("hash")),
        fault=fault,
    )


def _inline(value: object, limit: int) -> tuple[bytes | None, str | None]:
    if value is None or value == "":
        return None, None
    if not isinstance(value, str):
        return None, "base64"
    try:
        return decode_base64(value, limit=limit), None
    except ParkEvent as event:
        return None, event.detail


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _size(value: object) -> int | None:
    # R4 unsignedInt is a JSON number, R5 integer64 a JSON string.
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return value if isinstance(value, int) and not isinstance(value, bool) else None
