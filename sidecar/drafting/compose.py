"""Note and task in, reviewed draft text out: the part of the pipeline that needs neither Kafka nor EHR."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.drafting.engine import DraftRequest
from sidecar.errors import ParkEvent
from sidecar.outcomes import ParkReason
from sidecar.review import REVIEW_VERSION, Heading, render, review

if TYPE_CHECKING:
    from sidecar.drafting.engine import DraftAnswer, Engine, EngineIdentity
    from sidecar.drafting.task import Task
    from sidecar.note.text import NoteText
    from sidecar.review import ReviewedDraft, ReviewPolicy


@dataclass(frozen=True, slots=True)
class SourceLabel:
    """How the draft names its source: type, ISO date and version, each None where the source gives none."""

    title: str
    date: str | None
    version: str | None


class Composer:
    """Drafts with one engine, checks with one policy."""

    def __init__(self, engine: Engine, policy: ReviewPolicy) -> None:
        self._engine = engine
        self._policy = policy

    @property
    def engine(self) -> EngineIdentity:
        return self._engine.identity

    async def probe(self) -> None:
        """Ask whether the engine answers; one that lives in this process does."""

    async def draft(self, note: NoteText, task: Task) -> DraftAnswer:
        """Raise `ParkEvent` when the engine gives nothing usable, `EngineUnavailable` when it may later."""
        answer = await self._engine.draft(DraftRequest(task, note))
        if not any(section.statements for section in answer.sections):
            raise ParkEvent(ParkReason.ENGINE_FAILED, "no statements")
        return answer

    def review(self, note: NoteText, answer: DraftAnswer) -> ReviewedDraft:
        """Check every statement. Raises `ParkEvent(review-blocked)` when too little is left to show."""
        reviewed = review(note, answer.sections, self._policy)
        if reviewed.verdict == "blocked":
            raise ParkEvent(ParkReason.REVIEW_BLOCKED, f"removed={len(reviewed.removed)}")
        return reviewed

    def render(self, reviewed: ReviewedDraft, note: NoteText, task: Task, source: SourceLabel, draft_id: str) -> str:
        heading = Heading(
            title=task.title,
            source_title=source.title,
            source_date=source.date,
            source_version=source.version,
            engine=self.engine,
            recipe=recipe_digest(self.engine, task),
            draft_id=draft_id,
        )
        return render(reviewed, note, heading)


def recipe_digest(engine: EngineIdentity, task: Task) -> str:
    """Return what the draft was made by: engine and its digest, the task as mapped, the review's version."""
    parts = (engine.name, engine.version, engine.digest, repr(task), REVIEW_VERSION)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
