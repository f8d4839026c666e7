"""Record bytes to events: which shape a message has is found by looking at it.

No standard says how FHIR events travel on Kafka, so each interface engine has its own envelope.
One shape is one pair in `SHAPES`: how it is recognised and how it is opened. No-ops (handshake,
heartbeat, a null value) give no event; what no shape recognises is dead-lettered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from sidecar.errors import DeadLetterEvent
from sidecar.intake.record import DocumentEvent
from sidecar.outcomes import DeadLetterCode
from sidecar.references import FHIR_ID, FHIR_TYPE, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidecar.intake.record import Record, Resource

_NO_EVENTS = ("handshake", "heartbeat", "query-status", "query-event")


def read_record(record: Record) -> tuple[DocumentEvent, ...]:
    """Return the events that `record` carries, in its order; none for a no-op.

    Raises `DeadLetterEvent`: `not-json`, `unknown-envelope` or `invalid-resource`.
    """
    if record.value is None:
        return ()
    message = parse_json(record.value)
    for recognises, opens in SHAPES:
        if recognises(message):
            return tuple(opens(message))
    raise DeadLetterEvent(DeadLetterCode.UNKNOWN_ENVELOPE)


def lane_key(record: Record) -> str:
    """Return what orders a record: its key, else the patient, else the document; else the record itself.

    Producers should key by patient, so that one partition owns a patient; without a key order holds
    within the partition only.
    """
    if record.key:
        return record.key.decode("utf-8", "replace")
    try:
        event = next(iter(read_record(record)), None)
    except DeadLetterEvent:
        event = None
    if event is None:
        return record.coordinates
    subject = (event.resource or {}).get("subject")
    patient = subject.get("reference") if isinstance(subject, dict) else None
    return patient if isinstance(patient, str) else event.reference


def parse_json(value: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse UTF-8 JSON, with or without a byte order mark."""
    try:
        return orjson.loads(value.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise DeadLetterEvent(DeadLetterCode.NOT_JSON) from None


def event_of_resource(resource: Resource) -> DocumentEvent:
    """Return the event for a resource that came whole."""
    resource_type, logical_id = resource.get("resourceType"), resource.get("id")
    if not isinstance(resource_type, str) or not FHIR_TYPE.fullmatch(resource_type):
        raise DeadLetterEvent(DeadLetterCode.INVALID_RESOURCE)
    if not isinstance(logical_id, str) or not FHIR_ID.fullmatch(logical_id):
        raise DeadLetterEvent(DeadLetterCode.INVALID_RESOURCE)
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return DocumentEvent(resource_type, logical_id, version if isinstance(version, str) else None, resource)


# Shape 1: the resource itself, as most interface engines send it.


def _is_bare(message: object) -> bool:
    return isinstance(message, dict) and isinstance(message.get("resourceType"), str) and not _is_bundle(message)


def _open_bare(message: Resource) -> Iterator[DocumentEvent]:
    yield event_of_resource(message)


# Shape 2: R4 Subscriptions-Backport notification, a history Bundle whose first entry is a Parameters.


def _is_bundle(message: object) -> bool:
    return isinstance(message, dict) and message.get("resourceType") == "Bundle"


def _is_backport(message: object) -> bool:
    if not isinstance(message, dict) or not _is_bundle(message):
        return False
    first = next(iter(_entries(message)), {})
    resource = first.get("resource")
    return isinstance(resource, dict) and resource.get("resourceType") == "Parameters"


def _open_backport(message: Resource) -> Iterator[DocumentEvent]:
    entries = _entries(message)
    status = _parameters(entries[0]["resource"])
    if next((p.get("valueCode") for p in status if p.get("name") == "type"), None) in _NO_EVENTS:
        return
    for parameter in status:
        if parameter.get("name") == "notification-event":
            yield from _open_notification_event(parameter, entries[1:])


def _open_notification_event(parameter: Mapping[str, Any], entries: list[dict[str, Any]]) -> Iterator[DocumentEvent]:
    for part in _dicts(parameter.get("part")):
        value = part.get("valueReference")
        if part.get("name") != "focus" or not isinstance(value, dict):
            continue
        focus = parse_reference(str(value.get("reference", "")))
        if focus is None:
            raise DeadLetterEvent(DeadLetterCode.INVALID_RESOURCE)
        yield _event_of_focus(focus, entries)


def _event_of_focus(focus: tuple[str, str, str | None], entries: list[dict[str, Any]]) -> DocumentEvent:
    """Return the event of one focus: its entry may hold the resource, a DELETE, or nothing (id-only)."""
    resource_type, logical_id, version = focus
    for entry in entries:
        resource = entry.get("resource")
        if isinstance(resource, dict):
            if (resource.get("resourceType"), resource.get("id")) == (resource_type, logical_id):
                return event_of_resource(resource)
            continue
        request = entry.get("request")
        if not isinstance(request, dict) or request.get("method") != "DELETE":
            continue
        deleted = parse_reference(str(request.get("url", "")))
        if deleted is not None and deleted[:2] == (resource_type, logical_id):
            return DocumentEvent(resource_type, logical_id, version, retracted=True)
    return DocumentEvent(resource_type, logical_id, version)


def _entries(bundle: Resource) -> list[dict[str, Any]]:
    return _dicts(bundle.get("entry"))


def _parameters(resource: Resource) -> list[dict[str, Any]]:
    return _dicts(resource.get("parameter"))


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


SHAPES: tuple[tuple[Callable[[Any], bool], Callable[[Any], Iterator[DocumentEvent]]], ...] = (
    (_is_backport, _open_backport),
    (_is_bare, _open_bare),
)
