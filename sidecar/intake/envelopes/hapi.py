"""HAPI FHIR and Smile CDR: the ResourceModified message of a subscription with channel type `message`.

On Kafka it lies under `payload` beside `headers`; some bridges send the inner object alone. The resource
is an escaped string, JSON or XML as the server is set. HAPI 7 and later may leave it out and send
`payloadId` only (events are stored first and submitted by a job), and a delete never has one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.intake.envelopes.resource import (
    event_of_reference,
    invalid_resource,
    is_xml,
    parse_json,
    retraction,
)

if TYPE_CHECKING:
    from sidecar.intake.envelopes.resource import Events, Message, Open
    from sidecar.intake.record import DocumentEvent

_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "MANUALLY_TRIGGERED", "TRANSACTION"})


def is_resource_modified(message: Message) -> bool:
    operation = message.get("operationType")
    return isinstance(operation, str) and operation in _OPERATIONS


def open_resource_modified(message: Message, open_inner: Open) -> Events:
    """Return the event of a ResourceModified message.

    An XML payload is taken as id-only, so the EHR is asked: it holds the same version or a newer one,
    and this way no XML parser stands between the topic and the worker.
    """
    named = _named(message)
    payload = message.get("payload")
    if message["operationType"] == "DELETE" and named is not None:
        return (retraction(named),)
    if not isinstance(payload, str) or not payload or is_xml(payload):
        if named is None:
            raise invalid_resource()
        return (named,)
    events = open_inner(parse_json(payload))
    if message["operationType"] == "DELETE":
        return tuple(map(retraction, events))
    return tuple(_with_version(event, named) for event in events)


def _named(message: Message) -> DocumentEvent | None:
    places = (message.get("payloadId"), message.get("resourceId"), message.get("messageKey"))
    return next((event for place in places if (event := event_of_reference(place))), None)


def _with_version(event: DocumentEvent, named: DocumentEvent | None) -> DocumentEvent:
    """Take the version from the id beside, where the payload was encoded without."""
    if event.version_id is None and named is not None and named.reference == event.reference:
        return replace(event, version_id=named.version_id)
    return event
