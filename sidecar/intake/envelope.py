"""Record bytes to events: which shape a message has is found by looking at it.

No standard says how FHIR events travel on Kafka, so each interface engine has its own envelope. One
shape is one pair: how it is recognised and how it is opened. Envelopes hold envelopes (an Azure event in
a CloudEvent, HAPI's message in an outbox row), so what is inside is looked at the same way. No-ops
(handshake, heartbeat, a null value that names nothing) give no event; what no shape recognises is
dead-lettered.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelopes import azure, cloudevents, debezium, hapi, notification, pubsub, resource
from sidecar.intake.envelopes.resource import parse_json, unknown_envelope
from sidecar.references import relative_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.intake.envelopes.resource import Events, Message, Open
    from sidecar.intake.record import Record

MOST_NESTED = 8
"""Envelopes in envelopes; real ones hold three or four. Bounds what a hostile message costs."""

LEAVES: tuple[tuple[Callable[[Message], bool], Callable[[Message], Events]], ...] = (
    (resource.is_bare, resource.open_bare),
    (notification.is_notification, notification.open_notification),
    (azure.is_fhir_change, azure.open_fhir_change),
    (pubsub.is_pubsub, pubsub.open_pubsub),
)
WRAPPERS: tuple[tuple[Callable[[Message], bool], Callable[[Message, Open], Events]], ...] = (
    (notification.is_message, notification.open_message_bundle),
    (cloudevents.is_structured, cloudevents.open_structured),
    (cloudevents.is_event_grid, cloudevents.open_event_grid),
    (hapi.is_resource_modified, hapi.open_resource_modified),
    (debezium.is_change, debezium.open_change),
    (debezium.is_payload, debezium.open_payload),
)


def read_record(record: Record) -> Events:
    """Return the events that `record` carries, in its order; none for a no-op.

    An `EmptyNotification` among them asks for a search. Raises `DeadLetterEvent`: `not-json`,
    `unknown-envelope` or `invalid-resource`, for the whole record.
    """
    if record.headers:
        if cloudevents.is_binary(record):
            return cloudevents.open_binary(record, open_message)
        if pubsub.is_pubsub_record(record):
            return pubsub.open_pubsub_record(record)
    if record.value is None:
        return debezium.open_tombstone(record)
    return open_message(parse_json(record.value))


def lane_key(record: Record) -> str:
    """Return what orders a record: its key, else the patient, else the document; else the record itself.

    Producers should key by patient, so that one partition owns a patient; without a key order holds
    within the partition only, and of several events in one record the first decides.
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
    reference = subject.get("reference") if isinstance(subject, dict) else None
    patient = relative_reference(reference, "Patient") if isinstance(reference, str) else None
    return patient or event.reference


def open_message(message: object, depth: int = 0) -> Events:
    """Return the events of a parsed message. Raises `DeadLetterEvent`, see `read_record`."""
    if depth > MOST_NESTED:
        raise unknown_envelope()
    open_inner = partial(open_message, depth=depth + 1)
    if isinstance(message, dict):
        return _open_object(message, open_inner)
    if isinstance(message, list) and message:
        return tuple(event for item in message for event in open_inner(item))
    if isinstance(message, str) and message.lstrip().startswith(("{", "[")):
        return open_inner(parse_json(message))
    raise unknown_envelope()


def _open_object(message: Message, open_inner: Open) -> Events:
    if debezium.is_flattened(message):  # before the rest: the row may be a resource, and deleted
        return debezium.open_flattened(message, open_inner)
    for recognises, opens in LEAVES:
        if recognises(message):
            return opens(message)
    for recognises, unwraps in WRAPPERS:
        if recognises(message):
            return unwraps(message, open_inner)
    raise unknown_envelope()
