"""Google Cloud Healthcare API notifications, bridged from Pub/Sub.

Attributes say what happened, `data` is base64: the resource, or only its name (large resources and busy
times too, so `payloadType` decides). A deletion may carry the resource as it was. Google's Pub/Sub
connector for Kafka can make the data the value and the attributes headers instead.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.intake.envelopes.resource import (
    event_of_reference,
    event_of_resource,
    invalid_resource,
    parse_json,
    retraction,
    says_deleted,
)

if TYPE_CHECKING:
    from sidecar.intake.envelopes.resource import Events, Message
    from sidecar.intake.record import DocumentEvent, Record

_PAYLOADS = frozenset({"NameOnly", "FullResource"})
# "DeleteResource" is the one action that takes away; what else Google may add is a change.
_ACTION_SUFFIX = "Resource"


def is_pubsub(message: Message) -> bool:
    return _payload_type(_attributes(message)) in _PAYLOADS


def open_pubsub(message: Message) -> Events:
    attributes, data = _attributes(message), _inner(message).get("data")
    try:
        content = base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except ValueError:
        raise invalid_resource() from None
    return _open(content, _payload_type(attributes), attributes.get("action"), attributes.get("versionId"))


def is_pubsub_record(record: Record) -> bool:
    return record.header("payloadtype") in _PAYLOADS and record.header("action") is not None


def open_pubsub_record(record: Record) -> Events:
    payload_type, action = record.header("payloadtype"), record.header("action")
    return _open(record.value or b"", payload_type, action, record.header("versionid"))


def _open(content: bytes, payload_type: str | None, action: object, version: object) -> Events:
    event = _event_of_content(content, payload_type)
    if event.version_id is None and isinstance(version, str):
        event = replace(event, version_id=version)
    deleted = isinstance(action, str) and says_deleted(action.removesuffix(_ACTION_SUFFIX))
    return (retraction(event) if deleted else event,)


def _event_of_content(content: bytes, payload_type: str | None) -> DocumentEvent:
    if payload_type == "FullResource":
        resource = parse_json(content)
        if not isinstance(resource, dict):
            raise invalid_resource()
        return event_of_resource(resource)
    # projects/P/locations/L/datasets/D/fhirStores/S/fhir/DocumentReference/1
    named = event_of_reference(content.decode("utf-8", "replace"))
    if named is None:
        raise invalid_resource()
    return named


def _inner(message: Message) -> Message:
    inner = message.get("message", message)
    return inner if isinstance(inner, dict) else {}


def _attributes(message: Message) -> Message:
    attributes = _inner(message).get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _payload_type(attributes: Message) -> str | None:
    kind = attributes.get("payloadType")
    return kind if isinstance(kind, str) else None
