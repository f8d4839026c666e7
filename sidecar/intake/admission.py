"""A record, opened: what it asks for, or why it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelope import lane_key, read_record

if TYPE_CHECKING:
    from sidecar.intake.record import DocumentEvent, Record
    from sidecar.outcomes import DeadLetterCode


@dataclass(frozen=True, slots=True)
class Admission:
    """`events` in the record's order; none for a no-op, and none when `fault` says why it is unreadable."""

    record: Record
    events: tuple[DocumentEvent, ...]
    fault: DeadLetterCode | None = None

    @property
    def document(self) -> str | None:
        """The one document that a version of which came; None for a record of several, of none, or of a delete.

        A delete has no version to be compared by, so it neither gives way nor makes way.
        """
        single = len(self.events) == 1 and not self.events[0].retracted
        return self.events[0].reference if single else None

    @property
    def version(self) -> str | None:
        return self.events[0].version_id if len(self.events) == 1 else None

    @property
    def lane(self) -> str:
        key = self.record.key
        return key.decode("utf-8", "replace") if key else lane_key(self.record)


def admit(record: Record) -> Admission:
    try:
        return Admission(record, read_record(record))
    except DeadLetterEvent as end:
        return Admission(record, (), end.reason)
