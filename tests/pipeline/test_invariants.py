"""What must always hold, under kills between any two steps."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.chart.draft import draft_id_of
from sidecar.errors import WriteUnknown
from sidecar.intake.admission import admit
from sidecar.intake.record import Record
from sidecar.ledger.ledger import LIVE, Entry, State
from sidecar.ledger.sql import open_ledger
from sidecar.observe import own_draft_id
from sidecar.quarantine import POISON_DEATHS
from sidecar.testing import MemoryChart, MemoryDeadLetters
from tests.pipeline.test_pipeline import id_only
from tests.support.notes import DISCHARGE, ENCOUNTER, attachment, document, text_of
from tests.support.worker import ENGINE, build


class Killed(BaseException):
    """The process is gone: nothing of ours runs after this."""


class Port:
    """Tells the plan of every call, before and after it; a step of the plan may kill, lose an answer or act."""

    def __init__(self, inner: Any, plan: KillAt | Script) -> None:
        self._inner, self._plan = inner, plan

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._plan.step(f"before {name}")
            result = await value(*args, **kwargs)
            self._plan.step(f"after {name}")
            return result

        return call


class KillAt:
    """Kills at the step of this number, of whatever call."""

    def __init__(self, number: int) -> None:
        self._left = number

    def step(self, call: str) -> None:  # noqa: ARG002 - whatever call
        self._left -= 1
        if self._left == 0:
            raise Killed


class Script:
    """Kills at one step, lets somebody act at another, and loses the answer to one write."""

    def __init__(self, kill: int | None, lose: str | None, act: int | None, do: Callable[[], None]) -> None:
        self.taken = 0
        self._kill, self._lose, self._act, self._do = kill, lose, act, do

    def step(self, call: str) -> None:
        self.taken += 1
        if self.taken == self._act:
            self._do()
        if self.taken == self._kill:
            raise Killed
        if call == self._lose:
            self._lose = None
            raise WriteUnknown


def record(resource: dict[str, Any]) -> Record:
    import orjson

    return Record("t", 0, 0, None, orjson.dumps(resource))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kills=st.lists(st.integers(1, 45), max_size=POISON_DEATHS - 1), amended=st.booleans(), conditional=st.booleans())
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
            plan = KillAt(kill_at)
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


SOURCE = "DocumentReference/a"


@dataclass
class Hospital(MemoryChart):
    """An EHR that publishes every write, and somebody who does one thing to a draft of the note `a`."""

    topic: list[dict[str, Any]] = field(default_factory=list)
    committed: int = 0
    act: str | None = None
    touched: dict[str, Any] | None = None

    def put(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        stored = super().put(resource)
        if stored["resourceType"] == "DocumentReference":
            self.topic.append(stored)
        return stored

    def own(self) -> list[dict[str, Any]]:
        return [draft for draft in self.drafts() if draft["context"]["related"][0]["reference"] == SOURCE]

    def open_drafts(self) -> list[dict[str, Any]]:
        return [d for d in self.own() if (d["status"], d["docStatus"]) == ("current", "preliminary")]

    def let_somebody_act(self) -> None:
        """Act, once, on the open draft if there is one."""
        drafts = self.open_drafts()
        if not drafts or self.touched is not None:
            return
        draft = self.touched = drafts[0]
        match self.act:
            case "edit":
                self.touched = self.put({**draft, "content": [{"attachment": attachment("Seen by Dr. Lee.")}]})
            case "sign":
                self.touched = self.put({**draft, "docStatus": "final"})
            case "retract":
                self.touched = self.put({**draft, "status": "entered-in-error"})
            case "delete":
                reference = f"DocumentReference/{draft['id']}"
                del self.resources[reference]
                self.topic.append(id_only(reference, deleted=True))
            case "touch-meta":  # no person: a server's own batch job
                self.put({**draft, "meta": {**draft["meta"], "tag": [{"code": "indexed"}]}})


async def work(hospital: Hospital, folder: Path, script: Script) -> None:
    """Run one worker from the committed offset to the end of the topic, which its own writes make longer."""
    letters, handled = MemoryDeadLetters(), hospital.committed
    async with open_ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        pipeline = build(Port(hospital, script), Port(ledger, script), letters)
        with suppress(Killed):
            while handled < len(hospital.topic):
                await pipeline.handle(admit(record(hospital.topic[handled])))
                handled += 1
            hospital.committed = handled
    assert not letters.letters


@dataclass(frozen=True)
class Phase:
    """One version of the note: its workers are killed at these steps, but for the last one."""

    kills: list[int] = field(default_factory=list)
    lose: str | None = None
    act: int | None = None


async def amend_and_kill(hospital: Hospital, folder: Path, phases: list[Phase]) -> list[Entry]:
    """Write version after version of the note, then have everything read once more."""
    hospital.put(ENCOUNTER)
    for number, phase in enumerate(phases):
        hospital.put(document("a", text=DISCHARGE + f"\nADDENDUM: seen {number} times."))
        for kill in [*phase.kills, None]:
            await work(hospital, folder, Script(kill, phase.lose, phase.act, hospital.let_somebody_act))
    hospital.committed, before = 0, copy.deepcopy(hospital.resources)
    await work(hospital, folder, Script(None, None, None, hospital.let_somebody_act))
    assert hospital.resources == before
    async with open_ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        return list(await ledger.list_entries())


def newest_draft_id(hospital: Hospital) -> str:
    version = hospital.resources[SOURCE]["meta"]["versionId"]
    return draft_id_of(hospital.base_url, SOURCE, version, "summary")


STEPS = 40
"""More than a phase has: see the test that takes every one of them."""

kills = st.lists(st.integers(1, STEPS), max_size=POISON_DEATHS - 3)
losses = st.sampled_from((None, "before update", "after update"))
phases = st.lists(st.builds(Phase, kills, losses), min_size=2, max_size=4)
acted_phases = st.lists(st.builds(Phase, kills, losses, st.none() | st.integers(1, STEPS)), min_size=2, max_size=3)
ACTS = ("edit", "sign", "retract", "delete", "touch-meta")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(phases=phases, conditional=st.booleans())
def test_one_live_draft_of_the_newest_version_under_amendments_and_kills_between_any_two_steps(
    phases: list[Phase], conditional: bool
) -> None:
    hospital = Hospital(conditional=conditional)
    with tempfile.TemporaryDirectory() as folder:
        entries = asyncio.run(amend_and_kill(hospital, Path(folder), phases))
    (draft,) = hospital.own()
    assert (draft["status"], draft["docStatus"]) == ("current", "preliminary")
    assert own_draft_id(draft) == newest_draft_id(hospital)
    assert f"seen {len(phases) - 1} times" in text_of(draft)
    live = [entry for entry in entries if entry.state in LIVE]
    assert [(entry.draft_id, entry.state) for entry in live] == [(newest_draft_id(hospital), State.FILED)]
    assert live[0].target == f"DocumentReference/{draft['id']}"
    assert {entry.state for entry in entries if entry not in live} <= {State.REPLACED}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    phases=acted_phases,
    act=st.sampled_from(ACTS),
    conditional=st.booleans(),
)
def test_what_a_person_did_to_a_draft_at_any_step_is_never_overwritten(
    phases: list[Phase], act: str, conditional: bool
) -> None:
    hospital = Hospital(conditional=conditional, act=act)
    with tempfile.TemporaryDirectory() as folder:
        entries = asyncio.run(amend_and_kill(hospital, Path(folder), phases))
    check_respected(hospital, act, entries)


@pytest.mark.parametrize("lose", [None, "after update"])
@pytest.mark.parametrize("act", ACTS)
async def test_a_replacement_yields_to_a_person_at_every_single_step(act: str, lose: str | None) -> None:
    """Step by step through the second of three versions, until a step is past its end."""
    for step in range(1, STEPS):
        hospital = Hospital(act=act)
        with tempfile.TemporaryDirectory() as folder:
            entries = await amend_and_kill(hospital, Path(folder), [Phase(), Phase(lose=lose, act=step), Phase()])
        check_respected(hospital, act, entries)
        if hospital.touched is None:
            break
    assert 20 < step < STEPS - 1, "every step was taken"


def check_respected(hospital: Hospital, act: str, entries: list[Entry]) -> None:
    touched = hospital.touched
    if act == "touch-meta" or touched is None:  # no moment came when there was a draft
        (draft,) = hospital.own()
        assert own_draft_id(draft) == newest_draft_id(hospital)
    elif act in ("edit", "sign"):
        assert hospital.own() == [touched]
        state = {"edit": State.EDITED, "sign": State.SIGNED}[act]
        assert {entry.draft_id for entry in entries if entry.state is state} == {own_draft_id(touched)}
    else:
        _check_discard(hospital, touched, entries)


def _check_discard(hospital: Hospital, touched: dict[str, Any], entries: list[Entry]) -> None:
    reference = f"DocumentReference/{touched['id']}"
    assert hospital.resources.get(reference) == (None if hospital.act == "delete" else touched)
    drafts = hospital.open_drafts()
    assert [own_draft_id(draft) for draft in drafts] in ([], [newest_draft_id(hospital)])
    assert own_draft_id(touched) not in [own_draft_id(draft) for draft in drafts]
    if not drafts:  # either the newest one was discarded, or that cannot be told any more and a person is
        (newest,) = [entry for entry in entries if entry.draft_id == newest_draft_id(hospital)]
        told = newest.state is State.ATTENTION and newest.reason == "unknown-write"
        assert newest.state is State.DISCARDED or (told and hospital.act == "delete")


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
        assert deaths == POISON_DEATHS
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
