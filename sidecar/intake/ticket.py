"""The right to go on with one piece of work: given up when newer work or another worker takes over."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from sidecar.errors import Abandoned, SkipEvent
from sidecar.outcomes import SkipReason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

Result = TypeVar("Result")


class Ticket:
    """Tells one running event whether it should still run.

    `stable` is set while the group's assignment is known; during a rebalance nobody can say who owns
    a partition, so a write waits for it.
    """

    def __init__(self, stable: asyncio.Event | None = None) -> None:
        self._stable = stable
        self._stopped = asyncio.Event()
        self._reason: type[Abandoned] | SkipReason | None = None
        self.writing = False

    def supersede(self) -> None:
        """Give up for a newer version of the same document: a draft of this one is not worth finishing."""
        self._stop(SkipReason.SUPERSEDED)

    def abandon(self) -> None:
        """Give up because the partition went to another worker, which reads from the committed offset."""
        self._reason = Abandoned
        self._stopped.set()

    def _stop(self, reason: SkipReason) -> None:
        if self._reason is None:
            self._reason = reason
            self._stopped.set()

    def check(self) -> None:
        """Raise `SkipEvent(superseded)` or `Abandoned` when the work is given up."""
        if self._reason is Abandoned:
            raise Abandoned
        if isinstance(self._reason, SkipReason):
            raise SkipEvent(self._reason)

    async def unless_stopped(self, work: Awaitable[Result]) -> Result:
        """Await `work`, and cancel it as soon as the ticket is given up."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.check()
            return await task
        finally:
            stopped.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        """Fence a write: wait until the assignment is known, go on only if it is still ours.

        While the block runs, a rebalance waits for it, within its budget.
        """
        if self._stable is not None:
            await self._stable.wait()
        self.check()
        self.writing = True
        try:
            yield
        finally:
            self.writing = False
