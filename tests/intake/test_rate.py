from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.intake.rate import DraftRate


class Clock:
    """Time that passes only where somebody sleeps; `late` is how much longer than asked a sleep takes."""

    def __init__(self, late: float = 0.0) -> None:
        self.now, self.late = 1000.0, late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.late


@given(
    per_minute=st.floats(0.1, 6000),
    quiet=st.lists(st.floats(0, 500), min_size=1, max_size=30),
    late=st.floats(0, 3),
)
def test_drafts_are_never_closer_than_the_rate_and_never_wait_longer_than_it(
    per_minute: float, quiet: list[float], late: float
) -> None:
    clock = Clock(late)
    rate = DraftRate(per_minute, clock=clock, sleep=clock.sleep)
    interval, begun = 60 / per_minute, []

    async def work() -> None:
        for pause in quiet:
            clock.now += pause
            asked = clock.now
            await rate.take()
            assert clock.now - asked <= interval + late + 1e-6
            begun.append(clock.now)

    asyncio.run(work())
    assert all(later - earlier >= interval - 1e-6 for earlier, later in pairwise(begun))


async def test_the_first_draft_and_a_worker_without_a_limit_do_not_wait() -> None:
    clock = Clock()
    await DraftRate(1, clock=clock, sleep=clock.sleep).take()
    unlimited = DraftRate(0, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        await unlimited.take()
    assert clock.now == 1000.0


async def test_takers_are_served_in_order_and_one_that_is_cancelled_takes_nothing() -> None:
    clock, wake, served = Clock(), asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        await wake.wait()
        await clock.sleep(seconds)

    rate = DraftRate(1, clock=clock, sleep=sleep)
    await rate.take()

    async def taker(name: str) -> None:
        await rate.take()
        served.append((name, clock.now))

    first, second, third = (asyncio.create_task(taker(name)) for name in "abc")
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    wake.set()
    await asyncio.gather(second, third)
    assert served == [("b", 1060.0), ("c", 1120.0)]
