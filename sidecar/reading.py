"""What an event is about, read as far as needed; and what it says of our own drafts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from sidecar.errors import EhrNotFound, EhrRefused, ParkEvent
from sidecar.intake.envelopes.resource import event_of_resource
from sidecar.observe import own_draft_id, seen_state, version_of
from sidecar.outcomes import ParkReason
from sidecar.progress import Observed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sidecar.chart.client import Chart
    from sidecar.dependency import Dependency
    from sidecar.intake.record import DocumentEvent, EmptyNotification
    from sidecar.ledger.ledger import Entry, Ledger
    from sidecar.progress import Progress

Result = TypeVar("Result")

FIRST_SEARCH = timedelta(days=1)
"""How far back the first answer to an `empty` notification searches; what was handled before is a duplicate."""

OVERLAP = timedelta(minutes=1)
"""For clocks that differ and commits that come late."""


class Reading:
    """Asks the EHR about events, and the ledger whether they are about drafts of ours."""

    def __init__(self, chart: Chart, ledger: Ledger, ehr: Dependency, store: Dependency, progress: Progress) -> None:
        self._chart = chart
        self._ledger = ledger
        self._ehr = ehr
        self._store = store
        self._progress = progress
        self._last_seen = datetime.now(UTC) - FIRST_SEARCH

    async def search_changes(self, event: EmptyNotification) -> list[DocumentEvent]:
        """Return an event for every document that changed since the last one seen.

        Raises `ParkEvent`, `EhrNotFound` and `DeadLetterEvent` when the EHR cannot tell.
        """
        since = min(filter(None, (event.since, self._last_seen))) - OVERLAP
        parameters = {"_lastUpdated": f"ge{since.isoformat(timespec='seconds')}", "_sort": "_lastUpdated"}
        asked = datetime.now(UTC)
        found = await self.ask_ehr(lambda: self._chart.search("DocumentReference", parameters))
        events = [event_of_resource(resource) for resource in found]
        self._last_seen = asked
        return events

    async def read(self, event: DocumentEvent, *, again: bool) -> Mapping[str, object] | None:
        """Return the resource as the event has it or, where that is too thin, as the EHR has it; None when deleted.

        What an event names and the EHR does not show may come yet: it is parked, and given up when it is
        asked for `again`.
        """
        if event.retracted:
            return None
        if event.resource is not None and event.version_id is not None and event.resource.get("content"):
            return event.resource
        try:
            return await self.ask_ehr(lambda: self._chart.read(event.reference))
        except EhrNotFound as missing:
            if event.resource is not None:
                return event.resource  # judged by what came
            if missing.gone or again or await self._find_entry(event, None) is not None:
                return None
            raise ParkEvent(ParkReason.NOT_IN_EHR) from None

    async def ask_ehr(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Read from the EHR; a read that it refuses is this document's trouble."""
        try:
            return await self._ehr.ask(call)
        except EhrRefused as refused:
            detail = f"HTTP {refused.status} {','.join(refused.issue_codes)}".rstrip()
            raise ParkEvent(ParkReason.RETRIES_EXHAUSTED, detail) from None

    async def observe(self, event: DocumentEvent, resource: Mapping[str, object] | None) -> bool:
        """Settle the ledger when the event is about one of our drafts; say whether it was."""
        draft_id = own_draft_id(resource) if resource is not None else None
        entry = await self._find_entry(event, draft_id)
        if entry is None:
            return draft_id is not None
        state = seen_state(resource, entry)
        if state is not None:
            version = version_of(resource)
            moved = await self._store.ask(lambda: self._ledger.observe(entry.draft_id, state, event.reference, version))
            if moved:
                self._progress.tell(Observed(event.reference, state.value))
        return True

    async def _find_entry(self, event: DocumentEvent, draft_id: str | None) -> Entry | None:
        if draft_id is not None:
            return await self._store.ask(lambda: self._ledger.get(draft_id))
        if event.resource is None:  # id-only or deleted: only the ledger can tell whose it is
            return await self._store.ask(lambda: self._ledger.find_draft(event.reference))
        return None
