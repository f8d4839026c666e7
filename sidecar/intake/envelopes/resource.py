"""What every envelope ends in: a resource, or a reference to one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from sidecar.errors import DeadLetterEvent
from sidecar.intake.record import DocumentEvent
from sidecar.outcomes import DeadLetterCode
from sidecar.references import FHIR_ID, FHIR_TYPE, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.intake.record import Record, Resource

    Open: TypeAlias = Callable[[object], tuple[DocumentEvent, ...]]
    """Opens what an envelope holds, one level deeper."""

Message: TypeAlias = dict[str, Any]
Events: TypeAlias = tuple[DocumentEvent, ...]

_DELETED = re.compile(r"(?<!un)deleted?(?:[._/-]?v\d+)?$", re.IGNORECASE)


def parse_json(value: bytes | str) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse UTF-8 JSON, with or without a byte order mark."""
    data = value.encode() if isinstance(value, str) else value
    try:
        return orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise DeadLetterEvent(DeadLetterCode.NOT_JSON) from None


def unknown_envelope() -> DeadLetterEvent:
    return DeadLetterEvent(DeadLetterCode.UNKNOWN_ENVELOPE)


def invalid_resource() -> DeadLetterEvent:
    return DeadLetterEvent(DeadLetterCode.INVALID_RESOURCE)


def is_bare(message: Message) -> bool:
    """Say whether the message is the resource itself, as most interface engines send it.

    Bundles are envelopes, and Azure's event data has a `resourceType` of its own.
    """
    resource_type = message.get("resourceType")
    return isinstance(resource_type, str) and resource_type != "Bundle" and "resourceFhirId" not in message


def open_bare(message: Message) -> Events:
    return (event_of_resource(message),)


def event_of_resource(resource: Resource) -> DocumentEvent:
    """Return the event for a resource that came whole. Raises `DeadLetterEvent(invalid-resource)`."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return event_of(resource.get("resourceType"), resource.get("id"), version, resource)


def event_of(
    resource_type: object, logical_id: object, version: object = None, resource: Resource | None = None
) -> DocumentEvent:
    """Return the event for type, id and version. Raises `DeadLetterEvent(invalid-resource)`.

    A version that is no string, and no integer as Azure and databases write it, counts as absent.
    """
    if not isinstance(resource_type, str) or not FHIR_TYPE.fullmatch(resource_type):
        raise invalid_resource()
    if not isinstance(logical_id, str) or not FHIR_ID.fullmatch(logical_id):
        raise invalid_resource()
    return DocumentEvent(resource_type, logical_id, _version(version), resource)


def event_of_reference(reference: object) -> DocumentEvent | None:
    """Return the event for a reference, relative or absolute, versioned or not; None when it names no resource."""
    parsed = parse_reference(reference) if isinstance(reference, str) else None
    return DocumentEvent(*parsed) if parsed else None


def document_of_key(record: Record) -> DocumentEvent | None:
    """Return the event for a record key that names a document; quotes are what Connect's JSON converter adds."""
    key = (record.key or b"").decode("utf-8", "replace").strip().strip('"')
    named = event_of_reference(key)
    return named if named is not None and named.resource_type == "DocumentReference" else None


def retraction(event: DocumentEvent) -> DocumentEvent:
    """Return the delete of what `event` is about. What was deleted is not kept: it must not be drafted."""
    return replace(event, resource=None, retracted=True)


def says_deleted(kind: object) -> bool:
    """Say whether an event type ends in "delete" or "deleted" (and perhaps ".v1"): all that producers agree on."""
    return isinstance(kind, str) and _DELETED.search(kind) is not None


def is_xml(payload: object) -> bool:
    return isinstance(payload, str) and payload.lstrip("\ufeff \t\r\n").startswith("<")


def _version(version: object) -> str | None:
    if isinstance(version, bool):
        return None
    return str(version) if isinstance(version, int | str) else None
