"""The composition root: opens every part from `Settings`, runs them, drains them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import stamina.instrumentation
from aiokafka.errors import KafkaError
from opentelemetry.trace import NoOpTracer

from sidecar.chart.auth import authorization
from sidecar.chart.client import FhirClient
from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.chart.filing import Filing
from sidecar.chart.profile import profile_of, settle_profile
from sidecar.control import ControlFile
from sidecar.delivery import Delivery
from sidecar.dependency import Dependency
from sidecar.drafting.compose import Composer
from sidecar.drafting.engines import open_engine
from sidecar.errors import Abandoned, BrokerUnavailable, ConfigError
from sidecar.http import Tls, open_http
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.deadletter import KafkaDeadLetters
from sidecar.intake.kafka import client_options
from sidecar.intake.peek import SkipRules, peek
from sidecar.intake.rate import DraftRate
from sidecar.ledger.sql import open_ledger
from sidecar.mappings import Mappings
from sidecar.note import NoteLexicon
from sidecar.oneshot import workbench
from sidecar.outcomes import ParkReason
from sidecar.pipeline import Dependencies, Parts, Pipeline, Policy
from sidecar.progress import Progress, log_step
from sidecar.retry import until_answered
from sidecar.review import load_policy
from sidecar.telemetry.tracing import open_tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sidecar.drafting.engine import Engine
    from sidecar.intake.admission import Admission
    from sidecar.intake.ticket import Ticket
    from sidecar.ledger.sql import SqlLedger
    from sidecar.oneshot import Workbench
    from sidecar.progress import ProgressHook
    from sidecar.settings import EhrSettings, Settings

logger = logging.getLogger(__name__)

DUE_SECONDS = 1.0
DUE_BATCH = 20


class Worker:
    """One consumer of the group, with everything that it needs open."""

    def __init__(self, settings: Settings, pipeline: Pipeline, parts: Parts, control: ControlFile) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._parts = parts
        self._control = control
        self._skip_rules = SkipRules(parts.mappings.note_types.keys(), DRAFT_SYSTEM)
        # With tracing on every event has its trace, skipped ones too.
        skips = self._skips if isinstance(parts.tracer, NoOpTracer) else no_skips
        self.intake = Intake(
            settings.kafka, settings.worker, Handlers(self._handle, pipeline.coalesce, skips, self._is_paused)
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping`, then drain within `worker.drain_seconds`."""
        if self._settings.mode == "off":
            logger.info("mode-off", extra={"mode": "off"})
            await stopping.wait()
            return
        retries = asyncio.create_task(self._retry_parked(), name="parked")
        try:
            await self.intake.run(stopping)
        finally:
            retries.cancel()
            await asyncio.gather(retries, return_exceptions=True)

    async def _handle(self, admission: Admission, ticket: Ticket) -> bool:
        try:
            await self._pipeline.handle(admission, ticket)
        except Abandoned:
            return False
        return True

    def _skips(self, admission: Admission) -> bool:
        """End what no part of us can want at once: most of a hospital's topic. Status is not judged here,
        because a status that no longer stands may take a draft back.
        """
        resource = admission.events[0].resource if len(admission.events) == 1 else None
        hint = peek(resource, self._skip_rules)
        if hint is None or hint.takes_back:
            return False
        self._pipeline.skip(hint.reference, hint.reason)
        return True

    def _is_paused(self) -> bool:
        return self._parts.dependencies.any_down or self._control.pauses.everything

    async def _retry_parked(self) -> None:
        """Bring parked work back when its time has come, a pause has ended, or `sidecar ledger retry` made it due."""
        pause = timedelta(seconds=self._settings.worker.parked_retry_seconds)
        ledger, pauses = self._parts.ledger, self._control.pauses
        while True:
            if self._control.pauses != pauses:
                pauses = self._control.pauses
                await until_answered(lambda: ledger.retry(reason=ParkReason.PAUSED.value))
            entries = await until_answered(lambda: ledger.take_due(datetime.now(UTC) + pause, DUE_BATCH))
            for entry in entries:
                await self._pipeline.retry(entry)
            if len(entries) < DUE_BATCH:
                await asyncio.sleep(DUE_SECONDS)


def no_skips(_admission: Admission) -> bool:
    return False


@asynccontextmanager
async def open_worker(
    settings: Settings, hooks: Iterable[ProgressHook] = (), *, engine: Engine | None = None
) -> AsyncIterator[Worker]:
    """Open all parts; close them in reverse order at the end.

    Waits for an EHR or a broker that does not answer yet. Raises `ConfigError` for what waiting cannot mend.
    `engine` is the seam for tests; it stays the caller's to close.
    """
    stamina.instrumentation.set_on_retry_hooks([])  # the default hooks log the arguments of the call (PHI)
    async with AsyncExitStack() as stack:
        mappings = Mappings.load(settings.mappings.dir)
        profile = profile_of(mappings.profile(settings.ehr.profile))
        if engine is None:
            engine = await stack.enter_async_context(open_engine(settings.engine, mappings))
        composer = Composer(engine, load_policy(mappings))
        chart = await stack.enter_async_context(open_chart(settings.ehr))
        profile = settle_profile(profile, await until_answered(chart.capabilities))
        ledger = await stack.enter_async_context(open_ledger(settings.ledger.url))
        dead_letters = await stack.enter_async_context(_open_dead_letters(settings))
        filing = Filing(chart, profile)
        dependencies = await stack.enter_async_context(_open_dependencies(chart, composer, ledger))
        tracer = stack.enter_context(open_tracing())
        control = ControlFile(settings.worker.control_file)
        parts = Parts(
            chart=chart,
            filing=filing,
            delivery=Delivery(filing, ledger, dependencies.ehr, dependencies.ledger),
            dependencies=dependencies,
            ledger=ledger,
            composer=composer,
            dead_letters=dead_letters,
            mappings=mappings,
            lexicon=NoteLexicon.load(settings.mappings.dir),
            rate=DraftRate(settings.worker.drafts_per_minute),
            tracer=tracer,
            progress=Progress((log_step, *hooks)),
        )
        yield Worker(settings, Pipeline(parts, _policy(settings, control)), parts, control)


@asynccontextmanager
async def _open_dependencies(chart: FhirClient, composer: Composer, ledger: SqlLedger) -> AsyncIterator[Dependencies]:
    dependencies = Dependencies(
        Dependency("ehr", chart.capabilities), Dependency("engine", composer.probe), Dependency("ledger", ledger.probe)
    )
    try:
        yield dependencies
    finally:
        for dependency in (dependencies.ehr, dependencies.engine, dependencies.ledger):
            await dependency.aclose()


@asynccontextmanager
async def open_workbench(settings: Settings) -> AsyncIterator[Workbench]:
    """Open what `sidecar draft` needs: engine, checks and mappings, no network."""
    mappings = Mappings.load(settings.mappings.dir)
    profile = profile_of(mappings.profile(settings.ehr.profile))
    async with open_engine(settings.engine, mappings) as engine:
        yield workbench(Composer(engine, load_policy(mappings)), mappings, profile, settings.ehr.base_url)


@asynccontextmanager
async def open_chart(settings: EhrSettings) -> AsyncIterator[FhirClient]:
    """Open the client of the configured EHR. Raises `ConfigError`."""
    if not settings.base_url or not settings.base_url.startswith(("http://", "https://")):
        raise ConfigError("ehr.base_url must be the FHIR base URL, http(s)://…; SIDECAR_EHR__BASE_URL sets it too")
    tls = Tls(settings.ca_file, settings.client_cert_file, settings.client_key_file)
    async with open_http(
        settings.base_url, authorize=authorization(settings), tls=tls, timeout=settings.timeout_seconds
    ) as http:
        yield FhirClient(http, settings.base_url)


@asynccontextmanager
async def _open_dead_letters(settings: Settings) -> AsyncIterator[KafkaDeadLetters]:
    kafka = settings.kafka

    async def start() -> KafkaDeadLetters:
        letters = KafkaDeadLetters(client_options(kafka), kafka.group_id, kafka.dead_letter_payload)
        try:
            await letters.start()
        except KafkaError:
            await letters.stop()
            raise BrokerUnavailable("not reachable") from None
        return letters

    letters = await until_answered(start)
    try:
        yield letters
    finally:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(letters.stop(), 5)


def _policy(settings: Settings, control: ControlFile) -> Policy:
    return Policy(
        pauses=lambda: control.pauses,
        from_time=settings.kafka.from_time,
        mode="dry-run" if settings.mode == "off" else settings.mode,
        group_id=settings.kafka.group_id,
        parked_retry_seconds=settings.worker.parked_retry_seconds,
        attachment_limit_bytes=settings.ehr.attachment_limit_bytes,
    )
