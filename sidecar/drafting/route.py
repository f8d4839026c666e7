"""Whether a document gets a draft, and by which task: decisions on facts, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from sidecar.errors import SkipEvent
from sidecar.outcomes import SkipReason

if TYPE_CHECKING:
    from sidecar.drafting.task import Task
    from sidecar.mappings import Mappings, NoteType
    from sidecar.note.text import NoteText

# R4 knows four docStatus values; R5 took the whole CompositionStatus, and servers send those early.
_SIGNED = frozenset({None, "final", "amended", "corrected", "appended"})
_WITHDRAWN = frozenset({"entered-in-error", "cancelled", "deprecated"})


@dataclass(frozen=True, slots=True)
class NoteFacts:
    """What routing needs to know of a source document.

    `types` and `security` are (system, code) in the order of the resource, an absent system is "";
    `security` holds meta.security and securityLabel together. `date` is timezone-aware.
    """

    status: str
    doc_status: str | None
    types: tuple[tuple[str, str], ...]
    security: tuple[tuple[str, str], ...] = ()
    date: datetime | None = None


def route(facts: NoteFacts, mappings: Mappings, *, today: date | None) -> Task:
    """Return the task for a document.

    Raises `SkipEvent` with the first reason that applies, in this order: not-current,
    preliminary-source, restricted, type-not-mapped, too-old. `today` None leaves age out.
    """
    check_status(facts)
    check_labels(facts, mappings)
    task = note_type(facts, mappings).task
    _check_age(facts, task, today)
    return task


def check_status(facts: NoteFacts) -> None:
    """Raise `SkipEvent` unless the document is current and signed.

    A docStatus that no release of FHIR knows, and R5's `unknown`, count as unsigned.
    """
    if facts.status != "current" or facts.doc_status in _WITHDRAWN:
        raise SkipEvent(SkipReason.NOT_CURRENT)
    if facts.doc_status not in _SIGNED:
        raise SkipEvent(SkipReason.PRELIMINARY_SOURCE)


def check_labels(facts: NoteFacts, mappings: Mappings) -> None:
    """Raise `SkipEvent` for a document under a label of mappings/notes/restricted.yaml."""
    if any(mappings.is_restricted(system, code) for system, code in facts.security):
        raise SkipEvent(SkipReason.RESTRICTED)


def note_type(facts: NoteFacts, mappings: Mappings) -> NoteType:
    """Return the mapping of the first type that has one; `type` often holds a local code and a LOINC code."""
    for key in facts.types:
        if found := mappings.note_types.get(key):
            return found
    raise SkipEvent(SkipReason.TYPE_NOT_MAPPED)


def suits(note: NoteText, task: Task) -> None:
    """Raise `SkipEvent` (empty-template, too-little, language, in this order) for a text not worth a draft."""
    from sidecar.note import is_empty_template, language  # noqa: PLC0415 - routing itself needs no text

    if is_empty_template(note):
        raise SkipEvent(SkipReason.EMPTY_TEMPLATE)
    if len(note.text.split()) < task.min_words:
        raise SkipEvent(SkipReason.TOO_LITTLE)
    if language(note) not in task.languages:
        raise SkipEvent(SkipReason.LANGUAGE)


def _check_age(facts: NoteFacts, task: Task, today: date | None) -> None:
    """Let a document without a date pass: its age is unknown, and nothing is lost for that."""
    if today is None or task.max_age_days is None or facts.date is None:
        return
    if (today - facts.date.astimezone(UTC).date()).days > task.max_age_days:
        raise SkipEvent(SkipReason.TOO_OLD)
