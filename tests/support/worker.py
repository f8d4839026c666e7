"""A pipeline on fakes and a real ledger file, for tests that need no broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import orjson
from opentelemetry.trace import NoOpTracer, Tracer

from sidecar.chart.filing import Filing
from sidecar.chart.profile import Profile, profile_of, settle_profile
from sidecar.delivery import Delivery
from sidecar.dependency import Dependency
from sidecar.drafting.compose import Composer
from sidecar.drafting.engine import Engine
from sidecar.drafting.extractive import open_extractive
from sidecar.intake.admission import admit
from sidecar.intake.rate import DraftRate
from sidecar.intake.record import Record
from sidecar.ledger.sql import SqlLedger, open_ledger
from sidecar.mappings import Mappings
from sidecar.note import NoteLexicon
from sidecar.outcomes import Outcome
from sidecar.pipeline import Dependencies, Parts, Pipeline, Policy
from sidecar.progress import Progress, ProgressHook
from sidecar.review import load_policy
from sidecar.testing import MemoryChart, MemoryDeadLetters

MAPPINGS = cache(Mappings.load)
REVIEW = cache(lambda: load_policy(MAPPINGS()))
LEXICON = cache(NoteLexicon.load)
ENGINE = cache(lambda: open_extractive(MAPPINGS()))


async def answers() -> None:
    """Probe of a dependency that is there."""


def profile(**changes: Any) -> Profile:
    found = replace(profile_of(MAPPINGS().profile("demo")), settle_seconds=0.0)
    return replace(found, **changes)


@dataclass(slots=True)
class Rig:
    pipeline: Pipeline
    chart: MemoryChart
    ledger: SqlLedger
    letters: MemoryDeadLetters

    async def event(self, value: object) -> Outcome:
        """Handle one record that carries one event."""
        (outcome,) = await self.events(value)
        return outcome

    async def events(self, value: object) -> tuple[Outcome, ...]:
        data = value if isinstance(value, bytes) else orjson.dumps(value)
        return await self.pipeline.handle(admit(Record("t", 0, 0, None, data)))

    async def publish(self, resource: dict[str, Any]) -> Outcome:
        """Store in the EHR, then handle the event of that write."""
        return await self.event(self.chart.put(resource))


def build(
    chart: Any,
    ledger: Any,
    letters: Any,
    *,
    target: Profile | None = None,
    mode: Literal["dry-run", "shadow", "live"] = "live",
    engine: Engine | None = None,
    tracer: Tracer | None = None,
    hooks: tuple[ProgressHook, ...] = (),
) -> Pipeline:
    filing = Filing(chart, target or profile())
    dependencies = Dependencies(*(Dependency(name, answers) for name in ("ehr", "engine", "ledger")))
    parts = Parts(
        chart=chart,
        filing=filing,
        delivery=Delivery(filing, ledger, dependencies.ehr, dependencies.ledger),
        dependencies=dependencies,
        ledger=ledger,
        composer=Composer(engine or ENGINE(), REVIEW()),
        dead_letters=letters,
        mappings=MAPPINGS(),
        lexicon=LEXICON(),
        rate=DraftRate(0),
        tracer=tracer or NoOpTracer(),
        progress=Progress(hooks),
    )
    return Pipeline(parts, Policy(mode, "g", 0.0, 10 * 1024 * 1024))


@asynccontextmanager
async def open_rig(tmp_path: Path, **options: Any) -> AsyncIterator[Rig]:
    chart, letters = MemoryChart(), MemoryDeadLetters()
    async with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        yield Rig(build(chart, ledger, letters, **options), chart, ledger, letters)


__all__ = ["MAPPINGS", "Rig", "build", "open_rig", "profile", "settle_profile"]
