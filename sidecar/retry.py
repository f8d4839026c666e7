"""Retries of what may pass by itself, inside the lane, for as long as it takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import stamina

from sidecar.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0


async def until_answered(call: Callable[[], Awaitable[Result]]) -> Result:
    """Await `call` until it raises no `TransientError`, with jittered growing pauses or the server's `Retry-After`.

    An outage must pause intake and lose nothing, so there is no last attempt: the lane waits, its
    offset does not pass, and a drain cancels. Safe to cancel.
    """
    async for attempt in stamina.retry_context(
        on=_pause,
        attempts=None,
        timeout=None,
        wait_initial=FIRST_WAIT_SECONDS,
        wait_max=LONGEST_WAIT_SECONDS,
        wait_jitter=FIRST_WAIT_SECONDS,
    ):
        with attempt:
            return await call()
    raise AssertionError  # the context above ends by return or exception only


def _pause(error: Exception) -> bool | float:
    """Say whether to go on, or for how many seconds the server asked us to wait."""
    if not isinstance(error, TransientError):
        return False
    logger.warning("waiting", extra={"code": error.code, "detail": str(error)})
    if error.retry_after is None:
        return True
    return min(max(error.retry_after, FIRST_WAIT_SECONDS), 600.0)
