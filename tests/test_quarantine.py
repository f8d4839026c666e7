from __future__ import annotations

import asyncio

from sidecar.quarantine import SUSPECT_DEATHS, Quarantine


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


class Room:
    def __init__(self) -> None:
        self.quarantine = Quarantine()
        self.inside: list[str] = []

    async def visit(self, name: str, deaths: int, leave: asyncio.Event) -> None:
        async with self.quarantine.enter(deaths):
            self.inside.append(name)
            await leave.wait()
            self.inside.remove(name)


async def test_a_suspect_waits_for_all_others_and_keeps_newcomers_out() -> None:
    room, leave, leave_suspect = Room(), asyncio.Event(), asyncio.Event()
    visits = [asyncio.create_task(room.visit(name, 0, leave)) for name in "ab"]
    await settle()
    visits.append(asyncio.create_task(room.visit("suspect", SUSPECT_DEATHS, leave_suspect)))
    await settle()
    visits.append(asyncio.create_task(room.visit("c", 0, leave)))
    await settle()
    assert room.inside == ["a", "b"]
    leave.set()
    await settle()
    assert room.inside == ["suspect"]
    leave_suspect.set()
    await asyncio.gather(*visits)
    assert room.inside == []


async def test_a_suspect_that_is_cancelled_while_waiting_lets_the_others_in_again() -> None:
    room, leave = Room(), asyncio.Event()
    first = asyncio.create_task(room.visit("a", 0, leave))
    await settle()
    suspect = asyncio.create_task(room.visit("suspect", SUSPECT_DEATHS, leave))
    await settle()
    suspect.cancel()
    await settle()
    second = asyncio.create_task(room.visit("b", 0, leave))
    await settle()
    assert room.inside == ["a", "b"]
    leave.set()
    await asyncio.gather(first, second)
