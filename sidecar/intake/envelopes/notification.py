"""FHIR subscription notifications: R4 Subscriptions-Backport, R4B and R5, on their own or in a message.

The first entry tells: Parameters in R4, SubscriptionStatus from R4B on. `Bundle.type` does not, because
HAPI has sent notifications as transactions (hapi-fhir issue 5208). The published examples disagree on
element names (`type` or `notificationType`) and one names its resources in the entries only.
"""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelopes.resource import (
    event_of_reference,
    event_of_resource,
    invalid_resource,
    retraction,
    unknown_envelope,
)
from sidecar.intake.record import DocumentEvent, EmptyNotification

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.intake.envelopes.resource import Events, Message, Open

_NO_EVENTS = frozenset({"handshake", "heartbeat", "query-status", "query-event"})
_STATUSES = frozenset({"Parameters", "SubscriptionStatus"})
_Changes: TypeAlias = "defaultdict[tuple[str, str], deque[DocumentEvent]]"


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One notification event: the reference of its focus (None in an empty notification) and its time."""

    focus: object
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class _Status:
    """What Parameters and SubscriptionStatus both say."""

    kind: object
    subscription: object
    occurrences: tuple[_Occurrence, ...]


def is_notification(message: Message) -> bool:
    return message.get("resourceType") == "Bundle" and _first_type(message) in _STATUSES


def open_notification(message: Message) -> Events:
    """Return one event for each focus, in order; one `EmptyNotification` for all events that name none."""
    first, *entries = _entries(message)
    status = _read_status(first["resource"])
    if status.kind in _NO_EVENTS:
        return ()
    changes = [change for entry in entries if (change := _change(entry))]
    named = [occurrence.focus for occurrence in status.occurrences if occurrence.focus is not None]
    events = _events_of_foci(named, changes) if named else changes
    if len(named) < len(status.occurrences) or (not events and status.kind == "event-notification"):
        events.append(_empty(status))
    if not events:
        raise invalid_resource()
    return tuple(events)


def is_message(message: Message) -> bool:
    return message.get("resourceType") == "Bundle" and _first_type(message) == "MessageHeader"


def open_message_bundle(message: Message, open_inner: Open) -> Events:
    """Open the notification that a FHIR message carries: as a Bundle of its own, or spread over the entries."""
    rest = _entries(message)[1:]
    carried = rest[0].get("resource") if rest else None
    if isinstance(carried, dict) and carried.get("resourceType") == "Bundle":
        return open_inner(carried)
    inner = {"resourceType": "Bundle", "entry": rest}
    if not is_notification(inner):
        raise unknown_envelope()
    return open_notification(inner)


def _read_status(resource: Message) -> _Status:
    return _read_parameters(resource) if resource["resourceType"] == "Parameters" else _read_element(resource)


def _read_element(status: Message) -> _Status:
    kind = status.get("notificationType", status.get("type"))
    occurrences = (
        _Occurrence(_reference(event.get("focus")), _instant(event.get("timestamp")))
        for event in _dicts(status.get("notificationEvent"))
    )
    return _Status(_code(kind), _reference(status.get("subscription")), tuple(occurrences))


def _read_parameters(resource: Message) -> _Status:
    parameters = _dicts(resource.get("parameter"))
    kind = _named(parameters, "type").get("valueCode")
    subscription = _reference(_named(parameters, "subscription").get("valueReference"))
    parts = (_dicts(item.get("part")) for item in parameters if item.get("name") == "notification-event")
    occurrences = (
        _Occurrence(
            _reference(_named(part, "focus").get("valueReference")),
            _instant(_named(part, "timestamp").get("valueInstant")),
        )
        for part in parts
    )
    return _Status(_code(kind), subscription, tuple(occurrences))


def _events_of_foci(foci: Iterable[object], changes: Iterable[DocumentEvent]) -> list[DocumentEvent]:
    """Pair each focus with its entry; a focus without one is id-only.

    A document that changed twice has two entries: each focus takes the next, the last one stays.
    """
    waiting: _Changes = defaultdict(deque)
    for change in changes:
        waiting[change.resource_type, change.id].append(change)
    return [_event_of_focus(focus, waiting) for focus in foci]


def _event_of_focus(focus: object, waiting: _Changes) -> DocumentEvent:
    named = event_of_reference(focus)
    if named is None:
        raise invalid_resource()
    mine = waiting[named.resource_type, named.id]
    if not mine:
        return named
    change = mine.popleft() if len(mine) > 1 else mine[0]
    return change if change.resource is not None or change.retracted else named


def _change(entry: Message) -> DocumentEvent | None:
    """Return what an entry after the first tells: a resource, a DELETE, or only which resource it was."""
    resource = entry.get("resource")
    if isinstance(resource, dict):
        with suppress(DeadLetterEvent):  # context beside the focus may have no id; it is not ours to judge
            return event_of_resource(resource)
    request, response = _dict(entry.get("request")), _dict(entry.get("response"))
    places = (request.get("url"), response.get("location"), entry.get("fullUrl"))
    named = next((event for place in places if (event := event_of_reference(place))), None)
    return retraction(named) if named and request.get("method") == "DELETE" else named


def _empty(status: _Status) -> EmptyNotification:
    subscription = event_of_reference(status.subscription)
    if subscription is None:
        raise invalid_resource()
    times = [occurrence.timestamp for occurrence in status.occurrences if occurrence.timestamp]
    return EmptyNotification("Subscription", subscription.id, since=min(times, default=None))


def _first_type(bundle: Message) -> object:
    first = next(iter(_entries(bundle)), {})
    resource_type = _dict(first.get("resource")).get("resourceType")
    return resource_type if isinstance(resource_type, str) else None


def _entries(bundle: Message) -> list[Message]:
    return _dicts(bundle.get("entry"))


def _named(parameters: Iterable[Message], name: str) -> Message:
    return next((parameter for parameter in parameters if parameter.get("name") == name), {})


def _reference(element: object) -> object:
    return _dict(element).get("reference")


def _code(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _instant(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Message]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
