"""A breaker around one dependency: outages pause everything, a single bad document does not.

While the dependency fails, its circuit opens: callers wait, intake pauses, and one probe at a time
asks whether it answers again. A call that keeps failing while the probe is answered is the
document's own trouble and is parked.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, TypeVar

from sidecar.errors import ParkEvent, TransientError
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

OPEN_AFTER = 5
"""Failures in a row, of any callers, that open the circuit; and failures of one call that make it suspect."""
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 600.0


class Dependency:
    """Asks one dependency, for as long as it takes.

    `probe` is one cheap request that tells whether it answers at all. `sleep` and `jitter` (a factor
    from 0.5 to 1) are injected in tests.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[object]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311 - spreads retries
    ) -> None:
        self.name = name
        self._probe = probe
        self._sleep = sleep
        self._jitter = jitter
        self._answers = asyncio.Event()
        self._answers.set()
        self._failures = 0
        self._prober: asyncio.Task[None] | None = None
        self._probing = asyncio.Lock()

    @property
    def is_down(self) -> bool:
        return not self._answers.is_set()

    async def ask(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Await `call` until it raises no `TransientError`. Safe to cancel.

        Raises `ParkEvent(retries-exhausted)` for a suspect call: it failed `OPEN_AFTER` times by errors
        that may be the document's own while the dependency answers its probe.
        """
        suspicion = attempts = 0
        while True:
            await self._answers.wait()
            try:
                result = await call()
            except TransientError as error:
                attempts += 1
                suspicion = suspicion + 1 if error.suspect else 0
                self._fail(error)
                if suspicion >= OPEN_AFTER:
                    if await self._answers_probe():
                        self._recover()
                        raise ParkEvent(ParkReason.RETRIES_EXHAUSTED, error.code) from None
                    suspicion = 0
                await self._sleep(self._wait(attempts, error))
            else:
                self._failures = 0
                return result

    def _fail(self, error: TransientError) -> None:
        self._failures += 1
        if self._failures < OPEN_AFTER or self.is_down:
            return
        self._answers.clear()
        logger.warning("dependency-down", extra={"code": error.code, "detail": self.name})
        self._prober = asyncio.create_task(self._probe_until_answered(error), name=f"probe-{self.name}")

    async def _probe_until_answered(self, error: TransientError) -> None:
        attempts = 0
        while self.is_down:
            attempts += 1
            await self._sleep(self._wait(attempts, error))
            if await self._answers_probe():
                self._recover()

    async def _answers_probe(self) -> bool:
        try:
            async with self._probing:
                await self._probe()
        except TransientError:
            return False
        except Exception as error:  # noqa: BLE001 - any other answer is an answer, or a bug to be seen by a call
            logger.info("probe-answered", extra={"detail": self.name, "error_class": type(error).__name__})
        return True

    def _recover(self) -> None:
        self._failures = 0
        if self.is_down:
            logger.info("dependency-up", extra={"detail": self.name})
            self._answers.set()

    def _wait(self, attempts: int, error: TransientError) -> float:
        """Return the pause in seconds: the server's wish where it has one, else growing with jitter."""
        if error.retry_after is not None:
            return min(max(error.retry_after, FIRST_WAIT_SECONDS), LONGEST_RETRY_AFTER_SECONDS)
        growing: float = FIRST_WAIT_SECONDS * 2 ** min(attempts - 1, 10)
        return min(growing, LONGEST_WAIT_SECONDS) * self._jitter()

    async def aclose(self) -> None:
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)
