"""What one Kafka record asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

Resource: TypeAlias = Mapping[str, Any]
"""A FHIR resource as it came, unknown fields and all. Never changed, never sent back from a model."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic, copied out of the client library. Timestamps are milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0

    @property
    def coordinates(self) -> str:
        """`topic:partition:offset`, which names the record in logs and to support."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    def header(self, name: str) -> str | None:
        """Return the first header called `name`, without regard to case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("utf-8", "replace")
        return None


@dataclass(frozen=True, slots=True)
class DocumentEvent:
    """One change of one resource.

    `resource` is None where the event only names it: the EHR is then asked. `retracted` is True for
    a delete. A topic may carry other resource types too; `resource_type` tells.
    """

    resource_type: str
    id: str
    version_id: str | None = None
    resource: Resource | None = None
    retracted: bool = False

    @property
    def reference(self) -> str:
        return f"{self.resource_type}/{self.id}"


@dataclass(frozen=True, slots=True)
class EmptyNotification(DocumentEvent):
    """Something changed under a subscription, and the notification (payload `empty`) does not say what.

    It is an event about the subscription: `resource_type` is Subscription, `id` its id. Answered by a
    search `DocumentReference?_lastUpdated=ge...` from the last event seen, or from `since` where that is
    earlier: the time of the earliest change told here, timezone-aware, None where the server gave none.
    """

    since: datetime | None = None
