from __future__ import annotations

import asyncio
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from sidecar.intake.lanes import Lanes


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30), st.integers(1, 4))
def test_order_holds_in_a_lane_and_concurrency_across_lanes_is_bounded(
    works: list[tuple[str, int]], concurrency: int
) -> None:
    seen: dict[str, list[int]] = defaultdict(list)
    running: set[str] = set()
    most = 0

    async def handle(work: tuple[str, int, int]) -> None:
        nonlocal most
        key, turns, number = work
        assert key not in running
        running.add(key)
        most = max(most, len(running))
        for _ in range(turns):
            await asyncio.sleep(0)
        seen[key].append(number)
        running.discard(key)

    async def scenario() -> None:
        lanes = Lanes(concurrency, handle)
        for number, (key, turns) in enumerate(works):
            lanes.submit(key, (key, turns, number))
        await lanes.idle()
        assert lanes.buffered == 0

    asyncio.run(scenario())
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sum(map(len, seen.values())) == len(works)
    assert most <= concurrency


async def test_drain_lets_running_work_end_and_starts_no_more() -> None:
    started, release, done = [], asyncio.Event(), []

    async def handle(work: int) -> None:
        started.append(work)
        await release.wait()
        done.append(work)

    lanes = Lanes(1, handle)
    lanes.submit("a", 1)
    lanes.submit("a", 2)
    lanes.submit("b", 3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    draining = asyncio.create_task(lanes.drain(30))
    await asyncio.sleep(0)
    release.set()
    await draining
    assert (started, done) == ([1], [1])


async def test_drain_cancels_what_does_not_end_in_time() -> None:
    cancelled = asyncio.Event()

    async def handle(_work: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    lanes = Lanes(1, handle)
    lanes.submit("a", 1)
    await asyncio.sleep(0)
    await lanes.drain(0)
    assert cancelled.is_set()


async def test_discard_drops_waiting_work_but_never_the_head() -> None:
    release, done = asyncio.Event(), []

    async def handle(work: int) -> None:
        await release.wait()
        done.append(work)

    lanes = Lanes(4, handle)
    for work in (1, 2, 3):
        lanes.submit("a", work)
    await asyncio.sleep(0)
    assert lanes.discard(lambda work: work != 3) == [2]
    release.set()
    await lanes.idle()
    assert done == [1, 3]
