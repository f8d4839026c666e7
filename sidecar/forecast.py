"""What the topics hold for a worker that begins now: counted by outcome, nothing drafted, nothing written.

An upper bound: that a text is too short, a scan or in another language shows only when it is extracted,
and what the EHR holds beside the events is not asked.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from sidecar.chart.source import parse_source
from sidecar.drafting.route import NoteFacts, route
from sidecar.errors import DeadLetterEvent, SkipEvent
from sidecar.intake.envelope import read_record
from sidecar.intake.golive import is_before
from sidecar.intake.record import EmptyNotification
from sidecar.observe import own_draft_id
from sidecar.outcomes import DeadLetterCode, SkipReason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from typing import Any

    from sidecar.intake.record import DocumentEvent, Record
    from sidecar.mappings import Mappings

Row: TypeAlias = tuple[str, str]
"""Outcome, and its reason, code or task."""

DRAFTED, TO_BE_READ, SKIPPED, DEAD_LETTERED, NO_EVENT = (
    "drafted",
    "to be read",
    "skipped",
    "dead-lettered",
    "no event",
)


class Forecast:
    """Counts events. Only the last event of a document counts as it is, the earlier ones are superseded.

    Holds one small entry for each document. `today` is for the age that the tasks allow.
    """

    def __init__(self, mappings: Mappings, today: date, from_time: datetime | None = None) -> None:
        self._mappings = mappings
        self._today = today
        self._from_time = from_time
        self._latest: dict[int, Row] = {}  # by hash: millions of references would fill the memory
        self._others: Counter[Row] = Counter()

    def add(self, record: Record) -> None:
        """Count the events of a record; one from before `from_time` is none of this worker's."""
        if is_before(record, self._from_time):
            return
        try:
            events = read_record(record)
        except DeadLetterEvent as end:
            self._others[DEAD_LETTERED, end.reason.value] += 1
            return
        if not events:
            self._others[NO_EVENT, "handshake, heartbeat or null"] += 1
        for event in events:
            self._add_event(event)

    def _add_event(self, event: DocumentEvent) -> None:
        if isinstance(event, EmptyNotification):
            self._others[TO_BE_READ, "empty notification"] += 1
            return
        document = hash(event.reference)
        if document in self._latest:
            self._others[SKIPPED, SkipReason.SUPERSEDED.value] += 1
        self._latest[document] = self._row(event)

    def _row(self, event: DocumentEvent) -> Row:
        try:
            return self._judge(event)
        except SkipEvent as end:
            return SKIPPED, end.reason.value
        except DeadLetterEvent as end:
            return DEAD_LETTERED, end.reason.value
        except Exception:  # noqa: BLE001 - the worker too gives one such document up and goes on
            return DEAD_LETTERED, DeadLetterCode.POISON.value

    def _judge(self, event: DocumentEvent) -> Row:
        if event.resource_type != "DocumentReference":
            raise SkipEvent(SkipReason.TYPE_NOT_MAPPED)
        if event.retracted:
            raise SkipEvent(SkipReason.NOT_CURRENT)
        if event.resource is None or event.version_id is None or not event.resource.get("content"):
            return TO_BE_READ, "id-only or thin event"
        return self._route(event.resource)

    def _route(self, resource: Mapping[str, Any]) -> Row:
        if own_draft_id(resource) is not None:
            raise SkipEvent(SkipReason.OWN_DRAFT)
        note = parse_source(resource)
        facts = NoteFacts(note.status, note.doc_status, note.types, note.security, note.date)
        return DRAFTED, route(facts, self._mappings, today=self._today).kind.value

    def rows(self) -> list[tuple[str, str, int]]:
        """Return outcome, reason and number of events; what would be drafted first, then the most frequent."""
        counts = self._others + Counter(self._latest.values())
        order = (DRAFTED, TO_BE_READ, SKIPPED, DEAD_LETTERED, NO_EVENT)
        ranked = sorted(counts.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1]))
        return [(outcome, reason, number) for (outcome, reason), number in ranked]
