"""Runs a suspect alone: when it kills the worker again, it was no bystander."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SUSPECT_DEATHS = 2
"""So many workers died while they drafted it, perhaps of something beside it. Now it is drafted alone."""
POISON_DEATHS = 4
"""Two of them died with it alone: it is dead-lettered."""


class Quarantine:
    """Many may be inside together, or one alone."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()
        self._inside = 0
        self._alone = False

    @asynccontextmanager
    async def enter(self, deaths: int) -> AsyncIterator[None]:
        """Enter together with others or, with `SUSPECT_DEATHS` deaths and more, alone."""
        suspect = deaths >= SUSPECT_DEATHS
        async with self._condition:
            await self._condition.wait_for(lambda: not self._alone)
            if suspect:
                self._alone = True  # nobody else enters from here on
                await self._wait_until_empty()
            self._inside += 1
        try:
            yield
        finally:
            async with self._condition:
                self._inside -= 1
                self._alone = self._alone and not suspect
                self._condition.notify_all()

    async def _wait_until_empty(self) -> None:
        try:
            await self._condition.wait_for(lambda: self._inside == 0)
        except asyncio.CancelledError:
            self._alone = False
            self._condition.notify_all()
            raise
