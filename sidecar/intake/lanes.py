"""Serial per key, concurrent across keys; of several waiting versions of one document only the newest runs."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sidecar.versions import is_newer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sidecar.intake.ticket import Ticket


class Work(Protocol):
    """What a lane needs to know of a piece of work. `document` None is never coalesced."""

    @property
    def document(self) -> str | None: ...

    @property
    def version(self) -> str | None: ...

    @property
    def ticket(self) -> Ticket: ...


AnyWork = TypeVar("AnyWork", bound=Work)


@dataclass(slots=True)
class _Lane(Generic[AnyWork]):
    waiting: deque[AnyWork] = field(default_factory=deque)
    running: AnyWork | None = None


class Lanes(Generic[AnyWork]):
    """Runs `handle(work)` in submission order for each key, at most `concurrency` keys at once.

    `coalesced` is told of work that a newer version of the same document made needless. Neither may
    raise: they own every failure. A key holds memory only while it has work.
    """

    def __init__(
        self,
        concurrency: int,
        handle: Callable[[AnyWork], Awaitable[None]],
        coalesced: Callable[[AnyWork], None],
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._handle = handle
        self._coalesced = coalesced
        self._lanes: dict[str, _Lane[AnyWork]] = {}
        self._runners: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._closed = False
        self._buffered = 0

    @property
    def buffered(self) -> int:
        """Work submitted and not finished, running work included."""
        return self._buffered

    def running(self) -> Iterator[AnyWork]:
        return (lane.running for lane in self._lanes.values() if lane.running is not None)

    def submit(self, key: str, work: AnyWork) -> None:
        """Queue `work` behind everything submitted for `key`; dropped after `drain` began."""
        if self._closed:
            return
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            runner = asyncio.create_task(self._run(key, lane), name="lane")
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)
        elif work.document is not None and not self._makes_way(lane, work):
            self._coalesced(work)
            return
        lane.waiting.append(work)
        self._buffered += 1

    def _makes_way(self, lane: _Lane[AnyWork], work: AnyWork) -> bool:
        """Drop what `work` makes needless; False when it is itself older than what waits or runs.

        A running draft is given up for a version known to be newer only: the same version again, or an
        event that names none, waits behind it and costs nothing.
        """
        waiting = [item for item in lane.waiting if item.document == work.document]
        running = lane.running if lane.running is not None and lane.running.document == work.document else None
        if any(is_newer(item.version, work.version) for item in (*waiting, running) if item is not None):
            return False
        for item in waiting:
            lane.waiting.remove(item)
            self._buffered -= 1
            self._coalesced(item)
        if running is not None and is_newer(work.version, running.version):
            running.ticket.supersede()
        return True

    def hold(self) -> None:
        """Start nothing more until `resume`; running work goes on."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def discard(self, unwanted: Callable[[AnyWork], bool]) -> list[AnyWork]:
        """Drop and return waiting work that is `unwanted`, as after a lost partition."""
        dropped: list[AnyWork] = []
        for lane in self._lanes.values():
            kept: deque[AnyWork] = deque()
            for work in lane.waiting:
                (dropped if unwanted(work) else kept).append(work)
            lane.waiting = kept
        self._buffered -= len(dropped)
        return dropped

    async def idle(self) -> None:
        """Return when nothing is queued or running."""
        while self._runners:
            await asyncio.wait(set(self._runners))

    async def drain(self, seconds: float) -> None:
        """Stop starting work, give running work `seconds` to end, then cancel it."""
        self._closed = True
        self._open.set()  # so that held lanes see the end
        if not self._runners:
            return
        _, late = await asyncio.wait(set(self._runners), timeout=seconds)
        for runner in late:
            runner.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, key: str, lane: _Lane[AnyWork]) -> None:
        try:
            while lane.waiting and not self._closed:
                async with self._slots:
                    await self._open.wait()
                    await self._run_next(lane)
        finally:
            self._buffered -= len(lane.waiting)
            del self._lanes[key]

    async def _run_next(self, lane: _Lane[AnyWork]) -> None:
        if self._closed or not lane.waiting:
            return
        lane.running = lane.waiting.popleft()
        try:
            await self._handle(lane.running)
        finally:
            lane.running = None
            self._buffered -= 1
