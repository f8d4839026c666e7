"""Serial per key, concurrent across keys."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Work = TypeVar("Work")


class Lanes(Generic[Work]):
    """Runs `handle(work)` in submission order for each key, at most `concurrency` keys at once.

    `handle` must not raise: it owns every failure. Keys hold memory only while they have work.
    """

    def __init__(self, concurrency: int, handle: Callable[[Work], Awaitable[None]]) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._handle = handle
        self._waiting: dict[str, deque[Work]] = {}
        self._runners: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def buffered(self) -> int:
        """Work submitted and not finished, running work included."""
        return sum(map(len, self._waiting.values()))

    def submit(self, key: str, work: Work) -> None:
        """Queue `work` behind everything submitted for `key`; dropped after `drain` began."""
        if self._closed:
            return
        lane = self._waiting.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._waiting[key] = deque([work])
        runner = asyncio.create_task(self._run(key), name="lane")
        self._runners.add(runner)
        runner.add_done_callback(self._runners.discard)

    async def idle(self) -> None:
        """Return when nothing is queued or running."""
        while self._runners:
            await asyncio.wait(set(self._runners))

    def discard(self, unwanted: Callable[[Work], bool]) -> list[Work]:
        """Drop and return waiting work (never the head) that is `unwanted`, as after a revoked partition."""
        dropped: list[Work] = []
        for lane in self._waiting.values():
            head, *rest = lane
            dropped += filter(unwanted, rest)
            lane.clear()
            lane.extend([head, *(work for work in rest if not unwanted(work))])
        return dropped

    async def drain(self, seconds: float) -> None:
        """Stop starting work, give running work `seconds` to end, then cancel it."""
        self._closed = True
        if not self._runners:
            return
        _, late = await asyncio.wait(set(self._runners), timeout=seconds)
        for runner in late:
            runner.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, key: str) -> None:
        lane = self._waiting[key]
        try:
            while lane and not self._closed:
                async with self._slots:
                    if not self._closed:
                        await self._handle(lane[0])
                lane.popleft()
        finally:
            del self._waiting[key]
