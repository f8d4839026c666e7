"""What must always hold, under kills between any two steps."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.intake.admission import admit
from sidecar.intake.record import Record
from sidecar.ledger.ledger import LIVE
from sidecar.ledger.sql import open_ledger
from sidecar.quarantine import POISON_CLAIMS
from sidecar.testing import MemoryChart, MemoryDeadLetters
from tests.support.notes import DISCHARGE, ENCOUNTER, document
from tests.support.worker import ENGINE, build


class Killed(BaseException):
    """The process is gone: nothing of ours runs after this."""


class Port:
    """Counts the calls that pass and kills before or after the one that the plan names."""

    def __init__(self, inner: Any, plan: Plan) -> None:
        self._inner, self._plan = inner, plan

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._plan.step()
            result = await value(*args, **kwargs)
            self._plan.step()
            return result

        return call


class Plan:
    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Killed


def record(resource: dict[str, Any]) -> Record:
    import orjson

    return Record("t", 0, 0, None, orjson.dumps(resource))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kills=st.lists(st.integers(1, 45), max_size=POISON_CLAIMS - 2), amended=st.booleans(), conditional=st.booleans())
def test_at_most_one_live_draft_and_none_missing_under_kills_between_any_two_steps(
    kills: list[int], amended: bool, conditional: bool
) -> None:
    async def scenario(folder: Path) -> None:
        chart, letters = MemoryChart(conditional=conditional), MemoryDeadLetters()
        chart.put(ENCOUNTER)
        events = [chart.put(document("a")), chart.put(document("b", text=DISCHARGE.replace("67", "71")))]
        if amended:
            events.append(chart.put(document("a", text=DISCHARGE + "\nADDENDUM: seen again.")))
        for kill_at in [*kills, 10_000]:
            plan = Plan(kill_at)
            async with open_ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
                pipeline = build(Port(chart, plan), Port(ledger, plan), letters)
                try:
                    for event in events:  # an uncommitted offset is read again from the start
                        await pipeline.handle(admit(record(event)))
                except Killed:
                    continue
                entries = await ledger.list_entries()
        per_source = Counter(draft["context"]["related"][0]["reference"] for draft in chart.drafts())
        assert per_source == {"DocumentReference/a": 1, "DocumentReference/b": 1}
        live = Counter(entry.key.source for entry in entries if entry.state in LIVE)
        assert live == {"DocumentReference/a": 1, "DocumentReference/b": 1}
        assert all(draft["docStatus"] == "preliminary" for draft in chart.drafts())
        assert not letters.letters

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


def test_a_document_that_kills_every_worker_is_dead_lettered_and_the_others_are_drafted() -> None:
    async def scenario(folder: Path) -> None:
        chart, letters = MemoryChart(), MemoryDeadLetters()
        chart.put(ENCOUNTER)
        events = [chart.put(document("deadly", text=f"DEADLY\n{DISCHARGE}")), chart.put(document("b"))]
        deaths = 0
        while not letters.letters:
            async with open_ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
                pipeline = build(chart, ledger, letters, engine=Deadly())
                try:
                    for event in events:
                        await pipeline.handle(admit(record(event)))
                except Killed:
                    deaths += 1
        assert deaths == POISON_CLAIMS - 1
        assert [letter.code for letter in letters.letters] == ["poison"]
        assert [draft["context"]["related"][0]["reference"] for draft in chart.drafts()] == ["DocumentReference/b"]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


class Deadly:
    """The extractive engine, but for one document."""

    identity = ENGINE().identity

    async def draft(self, request: Any) -> Any:
        if request.note.text.startswith("DEADLY"):
            raise Killed
        return await ENGINE().draft(request)

    async def aclose(self) -> None:
        """Nothing is held open."""
