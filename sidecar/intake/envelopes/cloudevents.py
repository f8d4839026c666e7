"""CloudEvents 1.0 over Kafka, structured and binary, and Event Grid's own form, which says the same.

Structured: the whole event is the value, under `content-type: application/cloudevents+json` (a batch is
an array of them). Binary: headers `ce_*` hold the attributes, the value is the data. The data may be a
resource or any other envelope; where it is none (XML, a vendor's own object, absent), a `subject` that
names a resource makes the event id-only.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelopes.resource import (
    document_of_key,
    event_of_reference,
    invalid_resource,
    parse_json,
    retraction,
    says_deleted,
)
from sidecar.outcomes import DeadLetterCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.intake.envelopes.resource import Events, Message, Open
    from sidecar.intake.record import Record

# What Event Grid sends once when a subscription is made; a forwarder passes it on.
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


def is_structured(message: Message) -> bool:
    return isinstance(message.get("specversion"), str)


def open_structured(message: Message, open_inner: Open) -> Events:
    return _open(message.get("type"), message.get("subject"), lambda: open_inner(_data(message)))


def is_event_grid(message: Message) -> bool:
    return isinstance(message.get("eventType"), str) and "data" in message


def open_event_grid(message: Message, open_inner: Open) -> Events:
    if message["eventType"] == _VALIDATION:
        return ()
    return _open(message["eventType"], message.get("subject"), lambda: open_inner(message["data"]))


def is_binary(record: Record) -> bool:
    return record.header("ce_specversion") is not None and not _has_structured_type(record)


def open_binary(record: Record, open_inner: Open) -> Events:
    """Open a record in binary mode: the value is the data."""
    value, kind, subject = record.value, record.header("ce_type"), record.header("ce_subject")
    if value is None:
        return _open_without_data(record, kind, subject)
    return _open(kind, subject, lambda: open_inner(parse_json(value)))


def _open_without_data(record: Record, kind: object, subject: object) -> Events:
    """Open a null value.

    Data is optional in CloudEvents, so this is a delete only where `ce_type` says so. Else a subject that
    names a resource is id-only (the EHR knows whether it is gone), and without one it is a no-op.
    """
    named = event_of_reference(subject)
    if says_deleted(kind):
        named = named or document_of_key(record)
        return (retraction(named),) if named else ()
    return (named,) if named else ()


def _has_structured_type(record: Record) -> bool:
    return (record.header("content-type") or "").lower().startswith("application/cloudevents")


def _open(kind: object, subject: object, open_data: Callable[[], Events]) -> Events:
    try:
        events = open_data()
    except DeadLetterEvent as end:
        named = event_of_reference(subject)
        if named is None or end.reason is DeadLetterCode.INVALID_RESOURCE:
            raise
        events = (named,)
    return tuple(map(retraction, events)) if says_deleted(kind) else events


def _data(message: Message) -> object:
    if "data_base64" not in message:
        return message.get("data")
    try:
        return parse_json(base64.b64decode(message["data_base64"], validate=True))
    except (TypeError, ValueError):
        raise invalid_resource() from None
