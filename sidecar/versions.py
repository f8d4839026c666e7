"""Order of source versions, where there is one."""

from __future__ import annotations

from datetime import datetime


def is_newer(one: str | None, other: str | None) -> bool:
    """Compare versions where they can be: numbers, and time stamps of one form; else False.

    FHIR's `meta.versionId` is opaque (Google's are base64), so "not newer" does not mean "older".
    """
    if one is None or other is None:
        return False
    if one.isascii() and other.isascii() and one.isdigit() and other.isdigit():
        return int(one) > int(other)
    try:
        return datetime.fromisoformat(one) > datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
