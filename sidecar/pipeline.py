"""The life of one event, top to bottom.

admit → read → route → claim → extract → draft → review → file → settle. Each stage is one named
coroutine or function; what passes between them is frozen. A stage ends an event by raising
`SkipEvent`, `ParkEvent` or `DeadLetterEvent`; what may pass by itself is retried inside the stage.

The claim comes before the parsers, so that a document that kills the worker in one of them leaves a
trace to be recognised by.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sidecar.chart.draft import DraftDocument, draft_id_of
from sidecar.chart.source import SourceNote, parse_source
from sidecar.control import Pauses
from sidecar.drafting.compose import SourceLabel
from sidecar.drafting.route import NoteFacts, route, suits
from sidecar.errors import Abandoned, DeadLetterEvent, EhrNotFound, ParkEvent, SidecarError, SkipEvent
from sidecar.intake.deadletter import DeadLetter
from sidecar.intake.golive import is_before
from sidecar.intake.record import DocumentEvent, EmptyNotification
from sidecar.intake.ticket import Ticket
from sidecar.ledger.ledger import Key
from sidecar.note import attachments, choose, decode_base64, rank, read_attachment
from sidecar.outcomes import DeadLetterCode, DeadLettered, Filed, Parked, ParkReason, Skipped, SkipReason
from sidecar.progress import Drafted, Ended, Progress, Received
from sidecar.quarantine import POISON_DEATHS, Quarantine
from sidecar.reading import Reading
from sidecar.retry import until_answered
from sidecar.telemetry import names
from sidecar.telemetry.tracing import process_span, stage_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Literal

    from opentelemetry.trace import Tracer

    from sidecar.chart.client import Chart
    from sidecar.chart.filing import Filing
    from sidecar.delivery import Delivery
    from sidecar.dependency import Dependency
    from sidecar.drafting.compose import Composer
    from sidecar.drafting.task import Task
    from sidecar.intake.admission import Admission
    from sidecar.intake.deadletter import DeadLetters
    from sidecar.intake.rate import DraftRate
    from sidecar.intake.record import Record
    from sidecar.ledger.ledger import Claimed, Entry, Ledger
    from sidecar.mappings import Mappings
    from sidecar.note import Attachment, NoteLexicon
    from sidecar.note.text import NoteText
    from sidecar.outcomes import Outcome
    from sidecar.review import ReviewedDraft

logger = logging.getLogger(__name__)

MOVES = 3
"""How often a source that changes while it is drafted is started again before its next event is awaited."""

UNROUTED = "unrouted"
"""Stands for the task of a document that could not even be read."""

# Parked work whose cause no clock removes waits for a new version or for `ledger retry`.
_BY_TIMER = frozenset(
    {
        ParkReason.NO_ENCOUNTER,
        ParkReason.PATIENT_MISMATCH,
        ParkReason.DRAFT_OPEN,
        ParkReason.RETRIES_EXHAUSTED,
        ParkReason.ENGINE_FAILED,
        ParkReason.NOT_IN_EHR,
        ParkReason.PAUSED,
    }
)


_MODES = frozenset({SkipReason.DRY_RUN, SkipReason.SHADOW})


class SourceMoved(SidecarError):
    """The EHR holds another version of the source than the one that was drafted; `note` is that one."""

    code = "source-moved"

    def __init__(self, note: SourceNote) -> None:
        super().__init__(self.code)
        self.note = note


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The three that may be down. While one is, intake pauses."""

    ehr: Dependency
    engine: Dependency
    ledger: Dependency

    @property
    def any_down(self) -> bool:
        return self.ehr.is_down or self.engine.is_down or self.ledger.is_down


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline is made of; `app.py` opens them, tests bring their own."""

    chart: Chart
    filing: Filing
    delivery: Delivery
    ledger: Ledger
    composer: Composer
    dead_letters: DeadLetters
    dependencies: Dependencies
    mappings: Mappings
    lexicon: NoteLexicon
    rate: DraftRate
    tracer: Tracer
    progress: Progress


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about handling. Times are seconds, sizes bytes.

    `pauses` is asked for every document that is to be drafted. Records written before `from_time` are
    years of notes that a first go-live leaves alone.
    """

    mode: Literal["dry-run", "shadow", "live"]
    group_id: str
    parked_retry_seconds: float
    attachment_limit_bytes: int
    pauses: Callable[[], Pauses] = Pauses
    from_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One source version and the one draft that may come of it."""

    note: SourceNote
    task: Task
    key: Key
    draft_id: str


class Pipeline:
    """Handles records and parked documents. Every method may be cancelled: the ledger knows how far it came."""

    def __init__(self, parts: Parts, policy: Policy) -> None:
        self._parts = parts
        self._policy = policy
        self._ehr = parts.dependencies.ehr
        self._engine = parts.dependencies.engine
        self._ledger = parts.dependencies.ledger
        self._quarantine = Quarantine()
        self._reading = Reading(parts.chart, parts.ledger, self._ehr, self._ledger, parts.progress)
        self._rate = parts.rate

    async def handle(self, admission: Admission, ticket: Ticket | None = None) -> tuple[Outcome, ...]:
        """Give every event of a record its outcome.

        Raises nothing but cancellation and `Abandoned` (another worker owns the record now); else the
        offset may pass.
        """
        record = admission.record
        with process_span(self._parts.tracer, record, self._policy.group_id) as span:
            if admission.fault is not None:
                outcomes = [await self._refuse(record, admission.fault)]
            else:
                ticket = ticket or Ticket()
                if is_before(record, self._policy.from_time):
                    return self._leave_alone(admission)
                outcomes = []
                for event in admission.events:
                    if isinstance(event, EmptyNotification):
                        outcomes += await self._answer(event, record, ticket)
                    else:
                        outcomes.append(await self._handle_event(event, record, ticket))
            span.set_attribute(names.OUTCOME, [type(outcome).__name__ for outcome in outcomes])
        return tuple(outcomes)

    async def retry(self, entry: Entry) -> Outcome:
        """Handle a parked or unsettled document again, as the EHR holds it now."""
        resource_type, _, logical_id = entry.key.source.partition("/")
        outcome = await self._handle_event(DocumentEvent(resource_type, logical_id), None, Ticket())
        if isinstance(outcome, Skipped):  # nothing is wanted of it any more
            await self._ledger.ask(lambda: self._parts.ledger.forget_parked(entry))
        return outcome

    async def _answer(self, event: EmptyNotification, record: Record, ticket: Ticket) -> list[Outcome]:
        """Search what an `empty` notification is about: everything that changed since the last event seen."""
        try:
            events = await self._reading.search_changes(event)
        except (ParkEvent, EhrNotFound, DeadLetterEvent):
            return [await self._refuse(record, DeadLetterCode.UNKNOWN_ENVELOPE)]  # kept whole, to be replayed
        return [await self._handle_event(item, record, ticket) for item in events]

    def _leave_alone(self, admission: Admission) -> tuple[Outcome, ...]:
        return tuple(self._ended(event.reference, Skipped(SkipReason.TOO_OLD)) for event in admission.events)

    def coalesce(self, admission: Admission) -> None:
        """Tell that a newer version made a waiting record needless."""
        for event in admission.events:
            self.skip(event.reference, SkipReason.SUPERSEDED)

    def skip(self, source: str, reason: SkipReason) -> None:
        """Tell that an event ended without being looked at further."""
        self._ended(source, Skipped(reason))

    async def _refuse(self, record: Record, code: DeadLetterCode) -> Outcome:
        self._parts.progress.tell(Received(record.coordinates))
        await self._dead_letter(record, code, DeadLetterEvent.__name__, "admit")
        return self._ended(record.coordinates, DeadLettered(code))

    async def _handle_event(self, event: DocumentEvent, record: Record | None, ticket: Ticket) -> Outcome:
        self._parts.progress.tell(Received(event.reference))
        try:
            outcome: Outcome = await self._live(event, ticket, again=record is None)
        except Abandoned:
            raise
        except SkipEvent as end:
            outcome = Skipped(end.reason)
        except ParkEvent as end:
            outcome = Parked(end.reason)
        except DeadLetterEvent as end:
            await self._dead_letter(record, end.reason, type(end).__name__, "handle")
            outcome = DeadLettered(end.reason)
        except Exception as error:  # noqa: BLE001 - a bug must cost one document, not the worker
            # Not logger.exception: a stack and its message may quote the note.
            logger.error("poison", extra={"error_class": type(error).__name__, "source": event.reference})  # noqa: TRY400 - see above
            await self._dead_letter(record, DeadLetterCode.POISON, type(error).__name__, "handle")
            outcome = DeadLettered(DeadLetterCode.POISON)
        return self._ended(event.reference, outcome)

    def _ended(self, source: str, outcome: Outcome) -> Outcome:
        self._parts.progress.tell(Ended(source, outcome))
        return outcome

    async def _live(self, event: DocumentEvent, ticket: Ticket, *, again: bool) -> Outcome:
        """Take one event through its stages; a source that moves meanwhile starts again as it is now."""
        if event.resource_type != "DocumentReference":
            raise SkipEvent(SkipReason.TYPE_NOT_MAPPED)
        with stage_span(self._parts.tracer, names.READ):
            note = await self._read_note(event, again=again)
        for _ in range(MOVES):
            try:
                return await self._make_draft(self._route(note), ticket)
            except SourceMoved as moved:
                note = moved.note
        raise SkipEvent(SkipReason.SUPERSEDED)

    async def _make_draft(self, job: Job, ticket: Ticket) -> Outcome:
        try:
            self._check_pauses(job)
            claim = await self._parts.delivery.claim(job.draft_id, job.key)
            try:
                return await self._make_claimed(job, claim, ticket)
            except ParkEvent:
                raise  # parking gives the claim back too
            except Exception as end:
                wanted = not (isinstance(end, SkipEvent) and end.reason not in _MODES)
                await self._ledger.ask(lambda: self._parts.ledger.release(claim, wanted=wanted))
                raise
            except asyncio.CancelledError:
                await self._parts.ledger.release(claim, wanted=True)
                raise
        except ParkEvent as end:
            await self._park(job.draft_id, job.key, end)
            raise

    def _check_pauses(self, job: Job) -> None:
        if self._policy.pauses().hold(job.task.kind, job.note.department):
            raise ParkEvent(ParkReason.PAUSED)

    async def _make_claimed(self, job: Job, claim: Claimed, ticket: Ticket) -> Outcome:
        if claim.deaths >= POISON_DEATHS:
            raise DeadLetterEvent(DeadLetterCode.POISON)
        attachment, data = await self._fetch(job)
        await ticket.unless_stopped(self._rate.take())
        async with self._quarantine.enter(claim.deaths), self._marked(claim):
            text = await self._extract(job, attachment, data)
            reviewed = await self._draft(job, text, ticket)
        rendered = self._parts.composer.render(reviewed, text, job.task, label_of(job.note), job.draft_id)
        return await self._file(job, claim, rendered, ticket)

    @asynccontextmanager
    async def _marked(self, claim: Claimed) -> AsyncIterator[None]:
        """Keep a mark in the ledger while parsers and engine run: it outlives a worker that they kill."""
        ledger = self._parts.ledger
        await self._ledger.ask(lambda: ledger.begin_drafting(claim))
        try:
            yield
        except (Exception, asyncio.CancelledError):
            await ledger.end_drafting(claim)
            raise
        await self._ledger.ask(lambda: ledger.end_drafting(claim))

    # read

    async def _read_note(self, event: DocumentEvent, *, again: bool) -> SourceNote:
        try:
            resource = await self._reading.read(event, again=again)
        except ParkEvent as end:
            key = Key(self._parts.chart.base_url, event.reference, event.version_id or "unknown", UNROUTED)
            await self._park(draft_id_of(key.server, key.source, key.source_version, UNROUTED), key, end)
            raise
        if await self._reading.observe(event, resource):
            raise SkipEvent(SkipReason.OWN_DRAFT)
        if resource is None:
            raise SkipEvent(SkipReason.NOT_CURRENT)
        return parse_source(resource)

    # route

    def _route(self, note: SourceNote) -> Job:
        facts = NoteFacts(note.status, note.doc_status, note.types, note.security, note.date)
        task = route(facts, self._parts.mappings, today=datetime.now(UTC).date())
        key = Key(self._parts.chart.base_url, note.reference, note.version, task.kind.value)
        return Job(note, task, key, draft_id_of(key.server, key.source, key.source_version, key.task))

    # extract

    async def _fetch(self, job: Job) -> tuple[Attachment, bytes]:
        """Return the best rendering that can be had, with its bytes; when none can, the best one's reason stands."""
        limit, reasons = self._policy.attachment_limit_bytes, []
        offered = attachments(job.note.resource, limit=limit)
        for attachment in rank(offered) or (choose(offered),):
            try:
                return attachment, await self._content(attachment, limit)
            except ParkEvent as end:
                reasons.append(end)
        raise reasons[0]

    async def _extract(self, job: Job, attachment: Attachment, data: bytes) -> NoteText:
        limit, lexicon = self._policy.attachment_limit_bytes, self._parts.lexicon
        with stage_span(self._parts.tracer, names.EXTRACT) as span:
            # In a thread: a hostile table may take seconds, and the loop must go on polling and beating.
            text = await asyncio.to_thread(read_attachment, attachment, data, limit=limit, lexicon=lexicon)
            suits(text, job.task)
            span.set_attributes({names.MEDIA_TYPE: text.media_type, names.SENTENCES: len(text.sentences)})
            return text

    async def _content(self, attachment: Attachment, limit: int) -> bytes:
        if attachment.data is not None:
            return attachment.data
        url = attachment.url
        if url is None:
            raise ParkEvent(ParkReason.NO_CONTENT, "no data and no link")
        binary = await self._ehr.ask(lambda: self._parts.chart.read_binary(url, attachment.media_type, limit))
        return binary.data if isinstance(binary.data, bytes) else decode_base64(binary.data, limit=limit)

    # draft and review

    async def _draft(self, job: Job, text: NoteText, ticket: Ticket) -> ReviewedDraft:
        composer, started = self._parts.composer, time.monotonic()
        with stage_span(self._parts.tracer, names.DRAFT) as span:
            answer = await ticket.unless_stopped(self._engine.ask(lambda: composer.draft(text, job.task)))
            span.set_attributes(
                {
                    names.GEN_AI_OPERATION: "generate_content",
                    names.GEN_AI_MODEL: composer.engine.name,
                    names.GEN_AI_INPUT_TOKENS: answer.input_tokens,
                    names.GEN_AI_OUTPUT_TOKENS: answer.output_tokens,
                    names.TASK: job.task.kind.value,
                }
            )
        with stage_span(self._parts.tracer, names.REVIEW) as span:
            reviewed = composer.review(text, answer)
            counts = (len(reviewed.statements), len(reviewed.removed), len(reviewed.not_carried_over))
            attributes = (names.STATEMENTS, names.STATEMENTS_REMOVED, names.NOT_CARRIED_OVER)
            span.set_attributes(dict(zip(attributes, counts, strict=True)))
        seconds = time.monotonic() - started
        step = Drafted(job.note.reference, job.task.kind.value, counts[0], counts[2], seconds)
        self._parts.progress.tell(step)
        return reviewed

    # file and settle

    async def _file(self, job: Job, claim: Claimed, text: str, ticket: Ticket) -> Outcome:
        filing, delivery = self._parts.filing, self._parts.delivery
        with stage_span(self._parts.tracer, names.FILE):
            note = await self._read_once_more(job.note)
            encounter = await self._reading.ask_ehr(lambda: filing.check_patient(note))
            if self._policy.mode != "live":
                raise SkipEvent(SkipReason(self._policy.mode))
            draft = DraftDocument(
                job.draft_id, job.task, note, encounter, text, self._parts.composer.engine, datetime.now(UTC)
            )
            async with ticket.write():
                receipt = await delivery.write(claim, draft)
        with stage_span(self._parts.tracer, names.SETTLE):
            await delivery.settle(claim, draft, receipt)
        return Filed(draft.draft_id, receipt.reference)

    async def _read_once_more(self, note: SourceNote) -> SourceNote:
        """Minutes have passed: raise `SourceMoved` when the source is no longer what was drafted."""
        try:
            now = parse_source(await self._reading.ask_ehr(lambda: self._parts.chart.read(note.reference)))
        except EhrNotFound as missing:
            if missing.gone:
                raise SkipEvent(SkipReason.NOT_CURRENT) from None
            raise ParkEvent(ParkReason.NOT_IN_EHR) from None
        if (now.version, now.status, now.doc_status) != (note.version, note.status, note.doc_status):
            raise SourceMoved(now)
        if now.subject != note.subject:
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "event and EHR disagree")
        return now

    async def _park(self, draft_id: str, key: Key, end: ParkEvent) -> None:
        pause = timedelta(seconds=self._policy.parked_retry_seconds)
        retry_at = datetime.now(UTC) + pause if end.reason in _BY_TIMER else None
        told = {"source": key.source, "reason": end.reason.value, "detail": end.detail, "draft_id": draft_id}
        logger.info("parked", extra=told)
        await self._ledger.ask(lambda: self._parts.ledger.park(draft_id, key, end.reason.value, retry_at))

    async def _dead_letter(self, record: Record | None, code: DeadLetterCode, error_class: str, stage: str) -> None:
        """Return after the broker's ack. A retry of parked work has no record; its row stays as it is."""
        if record is None:
            return
        letter = DeadLetter(record, code.value, error_class, stage, 1, datetime.now(UTC))
        await until_answered(lambda: self._parts.dead_letters.send(letter))


def label_of(note: SourceNote) -> SourceLabel:
    date = note.date.date().isoformat() if note.date else None
    return SourceLabel(note.type_display or "note", date, note.version)
