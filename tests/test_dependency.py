"""An outage pauses, a bad document is parked, and one probe at a time asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dependency import OPEN_AFTER, Dependency
from sidecar.errors import EhrUnavailable, ParkEvent


class World:
    """A server that is up or down, and a clock that turns without waiting."""

    def __init__(self) -> None:
        self.up = True
        self.probes = 0
        self.probing = 0
        self.slept: list[float] = []
        self.dependency = Dependency("ehr", self.probe, sleep=self.sleep, jitter=lambda: 1.0)

    async def probe(self) -> None:
        self.probing += 1
        assert self.probing == 1
        self.probes += 1
        await asyncio.sleep(0)
        self.probing -= 1
        if not self.up:
            raise EhrUnavailable

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def call(self) -> str:
        if not self.up:
            raise EhrUnavailable("HTTP 500", suspect=True)
        return "answer"


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_an_answer_passes_through() -> None:
    assert await World().dependency.ask(World().call) == "answer"


async def test_an_outage_opens_the_circuit_and_every_caller_gets_its_answer_in_the_end() -> None:
    world = World()
    world.up = False
    calls = [asyncio.create_task(world.dependency.ask(world.call)) for _ in range(10)]
    await until(lambda: world.dependency.is_down and world.probes > 3)
    assert not any(call.done() for call in calls)
    world.up = True
    assert await asyncio.gather(*calls) == ["answer"] * 10
    assert not world.dependency.is_down
    await world.dependency.aclose()


async def test_a_document_that_fails_alone_is_parked_and_opens_nothing_for_others() -> None:
    world = World()

    async def bad() -> str:
        raise EhrUnavailable("HTTP 500", suspect=True)

    with pytest.raises(ParkEvent, match="retries-exhausted"):
        await world.dependency.ask(bad)
    assert not world.dependency.is_down
    assert await world.dependency.ask(world.call) == "answer"
    await world.dependency.aclose()


async def test_a_busy_server_is_never_the_documents_fault() -> None:
    world, attempts = World(), 0

    async def busy() -> str:
        nonlocal attempts
        attempts += 1
        if attempts <= 4 * OPEN_AFTER:
            raise EhrUnavailable("HTTP 429", retry_after=3)
        return "answer"

    assert await world.dependency.ask(busy) == "answer"
    await world.dependency.aclose()


async def test_the_servers_wish_for_a_pause_is_kept() -> None:
    world, attempts = World(), 0

    async def once() -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise EhrUnavailable("HTTP 503", retry_after=7)
        return "answer"

    await world.dependency.ask(once)
    assert world.slept == [7]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 5))
def test_whatever_the_weather_every_call_ends_with_its_answer(weather: list[bool], callers: int) -> None:
    async def scenario() -> None:
        world, turns = World(), iter(weather)

        async def call() -> str:
            world.up = next(turns, True)
            return await world.call()

        async def sleep(_seconds: float) -> None:
            world.up = next(turns, True)  # time passes, and the weather with it
            await asyncio.sleep(0)

        world.dependency._sleep = sleep

        tasks = [asyncio.create_task(world.dependency.ask(call)) for _ in range(callers)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await world.dependency.aclose()
        assert all(result == "answer" or isinstance(result, ParkEvent) for result in results)

    asyncio.run(scenario())


async def test_cancelling_a_waiting_call_leaves_the_others_alone() -> None:
    world = World()
    world.up = False
    one, two = (asyncio.create_task(world.dependency.ask(world.call)) for _ in range(2))
    await until(lambda: world.dependency.is_down)
    one.cancel()
    world.up = True
    assert await two == "answer"
    with pytest.raises(asyncio.CancelledError):
        await one
    await world.dependency.aclose()
