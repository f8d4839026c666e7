"""What the demo EHR writes on Kafka for one event.

FHIR defines no Kafka channel, so hospitals differ: most interface engines send the bare resource,
some the notification Bundle of the R4 Subscriptions Backport guide, with or without the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from sidecar.demo.store import Event

Envelope: TypeAlias = Literal["bare", "notification-full", "notification-id-only"]

SUBSCRIPTION = "Subscription/demo-documents"
TOPIC = "http://example.org/fhir/SubscriptionTopic/document-written"
_RESPONSE_STATUS = {"POST": "201", "PUT": "200", "DELETE": "204"}


def render_event(event: Event, envelope: Envelope, base_url: str) -> dict[str, Any]:
    """Return the record value. A deletion has no resource and is always an id-only notification."""
    if event.method == "DELETE":
        return _notification(event, base_url, full=False)
    if envelope == "bare":
        return event.version.resource
    return _notification(event, base_url, full=envelope == "notification-full")


def _notification(event: Event, base_url: str, *, full: bool) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "history",
        "timestamp": event.version.last_updated,
        "entry": [_status_entry(event, base_url), _focus_entry(event, base_url, full=full)],
    }


def _status_entry(event: Event, base_url: str) -> dict[str, Any]:
    number = str(event.seq)  # numbers are strings in the backport
    part = [
        {"name": "event-number", "valueString": number},
        {"name": "timestamp", "valueInstant": event.version.last_updated},
        {"name": "focus", "valueReference": {"reference": f"{base_url}/{event.version.reference}"}},
    ]
    parameters = [
        {"name": "subscription", "valueReference": {"reference": f"{base_url}/{SUBSCRIPTION}"}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": number},
        {"name": "notification-event", "part": part},
    ]
    return {
        "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{event.seq:012d}",
        "resource": {"resourceType": "Parameters", "parameter": parameters},
        "request": {"method": "GET", "url": f"{SUBSCRIPTION}/$status"},
        "response": {"status": "200"},
    }


def _focus_entry(event: Event, base_url: str, *, full: bool) -> dict[str, Any]:
    url = "DocumentReference" if event.method == "POST" else event.version.reference
    entry: dict[str, Any] = {
        "fullUrl": f"{base_url}/{event.version.reference}",
        "request": {"method": event.method, "url": url},
        "response": {"status": _RESPONSE_STATUS[event.method], "lastModified": event.version.last_updated},
    }
    if full:
        entry["resource"] = event.version.resource
    return entry
