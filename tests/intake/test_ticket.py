from __future__ import annotations

import asyncio

import pytest

from sidecar.errors import Abandoned, SkipEvent
from sidecar.intake.ticket import Ticket


async def test_work_ends_by_itself_while_the_ticket_stands() -> None:
    async def work() -> int:
        return 7

    assert await Ticket().unless_stopped(work()) == 7


@pytest.mark.parametrize(("stop", "error"), [("supersede", SkipEvent), ("abandon", Abandoned)])
async def test_running_work_is_cancelled_when_the_ticket_is_given_up(stop: str, error: type[Exception]) -> None:
    ticket, cancelled, started = Ticket(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    running = asyncio.create_task(ticket.unless_stopped(work()))
    await started.wait()
    getattr(ticket, stop)()
    with pytest.raises(error):
        await running
    assert cancelled.is_set()


async def test_cancelling_the_caller_cancels_the_work() -> None:
    cancelled, started = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    running = asyncio.create_task(Ticket().unless_stopped(work()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cancelled.is_set()


async def test_a_write_waits_for_the_assignment_and_is_fenced_by_it() -> None:
    stable = asyncio.Event()
    ticket, wrote = Ticket(stable), []

    async def write() -> None:
        async with ticket.write():
            wrote.append(ticket.writing)

    writing = asyncio.create_task(write())
    await asyncio.sleep(0)
    assert not wrote
    stable.set()
    await writing
    assert wrote == [True]
    assert not ticket.writing
    ticket.abandon()
    with pytest.raises(Abandoned):
        await write()
    assert wrote == [True]


async def test_losing_the_partition_outweighs_a_newer_version() -> None:
    ticket = Ticket()
    ticket.supersede()
    ticket.abandon()
    with pytest.raises(Abandoned):
        ticket.check()
