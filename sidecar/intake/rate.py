"""At most so many drafts a minute, so that years of notes do not reach the clinicians' inboxes in a day."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class DraftRate:
    """A token bucket that holds one token: takes are evenly spaced, and quiet hours save nothing up.

    `per_minute` 0 means no limit. Takers are served in order. One that is cancelled takes nothing.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Return when the next draft may begin."""
        async with self._turn:
            while (wait := self._next - self._clock()) > 0:
                await self._sleep(wait)
            self._next = self._clock() + self._interval
