"""`sidecar demo`: broker, EHR and worker in one process, with sample notes moving through them."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.app import open_worker
from sidecar.demo.broker import embedded_broker
from sidecar.demo.clinician import discard, edit_and_sign, sign
from sidecar.demo.ehr import demo_ehr
from sidecar.demo.samples import load_samples
from sidecar.outcomes import DeadLettered, Filed, Parked, Skipped
from sidecar.progress import Drafted, Ended, Observed, Received, outcome_names
from sidecar.settings import EhrSettings, KafkaSettings, LedgerSettings, Settings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from sidecar.demo.ehr import DemoEhr
    from sidecar.outcomes import Outcome
    from sidecar.progress import Step

TOPIC = "ehr.documents"
PARTITIONS = 4
LEDGER = "ledger.db"
_TIMEOUT_SECONDS = 90.0


@dataclass(slots=True)
class Watch:
    """Follows the worker's progress: prints a line a step, remembers outcomes of source notes."""

    show: Callable[[str], None]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    observed: dict[str, str] = field(default_factory=dict)
    _own: set[str] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, step: Step) -> None:
        line = self._line(step)
        if line:
            self.show(line)
        self._changed.set()

    def _line(self, step: Step) -> str | None:
        match step:
            case Received(source):
                return None if source in self._own else f"received  {source}"
            case Drafted(source, task, statements, not_carried_over, seconds):
                more = f", {not_carried_over} not carried over" if not_carried_over else ""
                return f"drafted   {source}: {task}, {statements} statements{more}, {seconds * 1000:.0f} ms"
            case Ended(source, outcome):
                return self._end(source, outcome)
            case Observed(target, state):
                self.observed[target] = state
                return f"observed  {target}: {state}"

    def _end(self, source: str, outcome: Outcome) -> str | None:
        if source in self._own:
            return None
        if isinstance(outcome, Filed):
            self._own.add(outcome.target)
        self.outcomes.setdefault(source, outcome)
        name, reason = outcome_names(outcome)
        joint = "as" if name == "filed" else "because"
        return f"{name:9} {source} {joint} {reason}" + (" (preliminary)" if name == "filed" else "")

    async def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Return True once `condition` holds, False when it does not within the time limit."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Demo:
    ehr: DemoEhr
    watch: Watch
    sources: tuple[str, ...]
    ledger: Path


@asynccontextmanager
async def open_demo(notes: Path | None, port: int, show: Callable[[str], None]) -> AsyncIterator[Demo]:
    """Start everything on free ports and publish the notes; stop everything at the end.

    `port` is the inbox page's, 0 for a free one. Raises `ConfigError` for unusable notes or a taken port.
    """
    samples = load_samples(notes)
    watch = Watch(show)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sidecar-demo-")))
        broker = await stack.enter_async_context(embedded_broker())
        await broker.create_topic(TOPIC, PARTITIONS)
        ehr = await stack.enter_async_context(demo_ehr(folder / "ehr.db", broker.bootstrap_servers, TOPIC, port=port))
        show(f"broker    {broker.bootstrap_servers}, topic {TOPIC}; FHIR {ehr.base_url}")
        settings = _settings(broker.bootstrap_servers, ehr.base_url, folder)
        worker = await stack.enter_async_context(open_worker(settings, [watch]))
        stopping = asyncio.Event()
        running = asyncio.create_task(worker.run(stopping))
        try:
            for resource in (*samples.chart, *samples.documents):
                await ehr.load(resource)
            sources = tuple(f"DocumentReference/{document['id']}" for document in samples.documents)
            yield Demo(ehr, watch, sources, folder / LEDGER)
        finally:
            stopping.set()
            await running


def _settings(bootstrap_servers: str, base_url: str, folder: Path) -> Settings:
    return Settings(
        mode="live",
        # The embedded broker lets a first join wait for half the session timeout: take the least.
        kafka=KafkaSettings(
            bootstrap_servers=(bootstrap_servers,), topics=(TOPIC,), group_id="demo", session_timeout_seconds=6
        ),
        ehr=EhrSettings(profile="demo", base_url=base_url),
        worker=WorkerSettings(concurrency=4, drain_seconds=5),
        ledger=LedgerSettings(url=f"sqlite:///{folder / LEDGER}"),
    )


async def run_demo(notes: Path | None, port: int) -> int:
    """Run until cancelled, showing every step and then the inbox page's address."""
    async with open_demo(notes, port, _print) as demo:
        await demo.watch.wait_for(lambda: _settled(demo))
        _print(f"\nThe clinician's inbox: {demo.ehr.inbox_url}   (Ctrl-C stops everything)")
        await asyncio.Event().wait()
    return 0


async def run_once(notes: Path | None, port: int) -> int:
    """Run the samples and a scripted clinician through; return 1 when an event was lost or not settled."""
    async with open_demo(notes, port, _print) as demo:
        await demo.watch.wait_for(lambda: _settled(demo))
        drafts = [outcome.target for outcome in demo.watch.outcomes.values() if isinstance(outcome, Filed)]
        wanted = await _review(demo, drafts[:3])
        reviewed = await demo.watch.wait_for(lambda: demo.watch.observed.items() >= wanted.items())
        lost = sum(source not in demo.watch.outcomes for source in demo.sources)
        _print(f"\nThe clinician's inbox was {demo.ehr.inbox_url}")
        _print(_summary(demo, lost))
    return 0 if lost == 0 and reviewed else 1


def _settled(demo: Demo) -> bool:
    return all(source in demo.watch.outcomes for source in demo.sources)


async def _review(demo: Demo, drafts: list[str]) -> dict[str, str]:
    """Sign the first draft, edit and sign the second, discard the third; return what the ledger must come to say."""
    base = demo.ehr.base_url
    ids = [draft.partition("/")[2] for draft in drafts]
    if len(ids) > 0:
        await sign(base, ids[0])
    if len(ids) > 1:
        await edit_and_sign(base, ids[1], lambda text: f"{text}\nSeen with the patient.\n")
    if len(ids) > 2:
        await discard(base, ids[2])
    return dict(zip(drafts, ("signed", "signed-edited", "discarded"), strict=False))


def _summary(demo: Demo, lost: int) -> str:
    outcomes = [demo.watch.outcomes[source] for source in demo.sources if source in demo.watch.outcomes]
    states = list(demo.watch.observed.values())
    counts = {
        "events": len(demo.sources),
        "filed": _count(outcomes, Filed),
        "skipped": _count(outcomes, Skipped),
        "parked": _count(outcomes, Parked),
        "deadlettered": _count(outcomes, DeadLettered),
        "signed": states.count("signed"),
        "edited": states.count("signed-edited"),
        "discarded": states.count("discarded"),
        "lost": lost,
    }
    return "demo: " + " ".join(f"{name}={count}" for name, count in counts.items())


def _count(outcomes: Iterable[Outcome], kind: type[Outcome]) -> int:
    return sum(isinstance(outcome, kind) for outcome in outcomes)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the demo speaks to a person
