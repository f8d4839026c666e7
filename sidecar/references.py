"""FHIR references: relative or absolute, with or without a version."""

from __future__ import annotations

import re

# FHIR allows them as ids, but in the path of a request `.` and `..` name another resource (RFC 3986, 5.2.4).
_ID = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-.]{1,64}"
FHIR_ID = re.compile(_ID)
FHIR_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_REFERENCE = re.compile(rf"(?:^|/)(?P<type>[A-Z][A-Za-z]+)/(?P<id>{_ID})(?:/_history/(?P<version>{_ID}))?/?\Z")


def parse_reference(reference: str) -> tuple[str, str, str | None] | None:
    """Split a reference into type, id and version; None when it names no resource."""
    match = _REFERENCE.search(reference)
    return (match["type"], match["id"], match["version"]) if match else None


def relative_reference(reference: str, resource_type: str) -> str | None:
    """Return `Type/id` of a reference to `resource_type`, else None."""
    parsed = parse_reference(reference)
    return f"{parsed[0]}/{parsed[1]}" if parsed and parsed[0] == resource_type else None


def same_reference(one: str, other: str, resource_type: str) -> bool:
    """Say whether both name the same resource of one type, base URLs and versions apart."""
    relative = relative_reference(one, resource_type)
    return relative is not None and relative == relative_reference(other, resource_type)
