from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from sidecar.intake.lanes import Lanes
from sidecar.intake.ticket import Ticket


@dataclass(slots=True, eq=False)
class Work:
    number: int
    key: str = "a"
    turns: int = 0
    document: str | None = None
    version: str | None = None
    ticket: Ticket = field(default_factory=Ticket)


def nothing(work: Work) -> None:
    raise AssertionError(work)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30), st.integers(1, 4))
def test_order_holds_in_a_lane_and_concurrency_across_lanes_is_bounded(
    works: list[tuple[str, int]], concurrency: int
) -> None:
    seen: dict[str, list[int]] = defaultdict(list)
    running: set[str] = set()
    most = 0

    async def handle(work: Work) -> None:
        nonlocal most
        assert work.key not in running
        running.add(work.key)
        most = max(most, len(running))
        for _ in range(work.turns):
            await asyncio.sleep(0)
        seen[work.key].append(work.number)
        running.discard(work.key)

    async def scenario() -> None:
        lanes = Lanes(concurrency, handle, nothing)
        for number, (key, turns) in enumerate(works):
            lanes.submit(key, Work(number, key, turns))
        await lanes.idle()
        assert lanes.buffered == 0

    asyncio.run(scenario())
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sum(map(len, seen.values())) == len(works)
    assert most <= concurrency


class Gate:
    """A handler that holds each work until it is let through."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.done: list[int] = []
        self.coalesced: list[int] = []
        self.open = asyncio.Event()

    async def handle(self, work: Work) -> None:
        self.started.append(work.number)
        await self.open.wait()
        self.done.append(work.number)

    def note_coalesced(self, work: Work) -> None:
        self.coalesced.append(work.number)

    def lanes(self, concurrency: int = 1) -> Lanes[Work]:
        return Lanes(concurrency, self.handle, self.note_coalesced)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_of_several_waiting_versions_only_the_newest_runs() -> None:
    gate = Gate()
    lanes = gate.lanes()
    lanes.submit("a", Work(0))
    await settle()
    for number, version in ((1, "3"), (2, "5"), (3, "4")):
        lanes.submit("a", Work(number, document="d", version=version))
    lanes.submit("a", Work(4, document="e", version="1"))
    assert gate.coalesced == [1, 3]
    gate.open.set()
    await lanes.idle()
    assert gate.done == [0, 2, 4]
    assert lanes.buffered == 0


async def test_a_running_draft_is_given_up_for_a_newer_version_only() -> None:
    gate = Gate()
    lanes = gate.lanes()
    running = Work(0, document="d", version="2")
    lanes.submit("a", running)
    await settle()
    for number, version in ((1, "2"), (2, None)):
        lanes.submit("a", Work(number, document="d", version=version))
        running.ticket.check()
    lanes.submit("a", Work(3, document="d", version="1"))
    assert gate.coalesced == [1, 3]  # 1 gave way to 2, and 3 was older than what runs
    lanes.submit("a", Work(4, document="d", version="3"))
    try:
        running.ticket.check()
    except Exception as end:  # noqa: BLE001 - the one that it must be
        assert str(end) == "superseded"  # noqa: PT017 - after a loop of checks that must pass
    else:
        raise AssertionError
    gate.open.set()
    await lanes.idle()


async def test_drain_lets_running_work_end_and_starts_no_more() -> None:
    gate = Gate()
    lanes = gate.lanes()
    for number, key in ((1, "a"), (2, "a"), (3, "b")):
        lanes.submit(key, Work(number))
    await settle()
    draining = asyncio.create_task(lanes.drain(30))
    await settle()
    gate.open.set()
    await draining
    assert (gate.started, gate.done) == ([1], [1])


async def test_drain_cancels_what_does_not_end_in_time() -> None:
    cancelled = asyncio.Event()

    async def handle(_work: Work) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    lanes = Lanes(1, handle, nothing)
    lanes.submit("a", Work(1))
    await settle()
    await lanes.drain(0)
    assert cancelled.is_set()


async def test_while_held_nothing_starts_and_running_work_goes_on() -> None:
    gate = Gate()
    lanes = gate.lanes(4)
    lanes.submit("a", Work(1))
    await settle()
    lanes.hold()
    lanes.submit("b", Work(2))
    gate.open.set()
    await settle()
    assert gate.started == [1]
    assert gate.done == [1]
    lanes.resume()
    await lanes.idle()
    assert gate.done == [1, 2]


async def test_discard_drops_waiting_work_and_returns_it() -> None:
    gate = Gate()
    lanes = gate.lanes(4)
    for number in (1, 2, 3):
        lanes.submit("a", Work(number))
    await settle()
    assert [work.number for work in lanes.discard(lambda work: work.number != 3)] == [2]
    gate.open.set()
    await lanes.idle()
    assert gate.done == [1, 3]
    assert lanes.buffered == 0
