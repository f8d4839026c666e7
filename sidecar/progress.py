"""What others may watch of an event on its way: the demo's lines, logs, later metrics."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sidecar.outcomes import DeadLettered, Filed, Outcome, Parked, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A record named a document. `source` is a reference, or the record's coordinates where it has none."""

    source: str


@dataclass(frozen=True, slots=True)
class Drafted:
    source: str
    task: str
    statements: int
    not_carried_over: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """One event has its outcome."""

    source: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Observed:
    """An own draft was seen in a new state: signed, edited, discarded."""

    target: str
    state: str


Step = Received | Drafted | Ended | Observed


class ProgressHook(Protocol):
    """Called in the event's own task, so it must be quick and must not raise."""

    def __call__(self, step: Step) -> None: ...


class Progress:
    """Tells every hook."""

    def __init__(self, hooks: Iterable[ProgressHook] = ()) -> None:
        self._hooks = tuple(hooks)

    def tell(self, step: Step) -> None:
        for hook in self._hooks:
            hook(step)


def outcome_names(outcome: Outcome) -> tuple[str, str]:
    """Return outcome and reason as they stand in logs, metrics and JSON."""
    match outcome:
        case Filed(target=target):
            return "filed", target
        case Skipped(reason=reason):
            return "skipped", reason.value
        case Parked(reason=reason):
            return "parked", reason.value
        case DeadLettered(code=code):
            return "dead-lettered", code.value


def log_step(step: Step) -> None:
    """Log what matters to whoever runs the worker; skips only at debug level, a topic may be full of them."""
    match step:
        case Ended(source, outcome):
            name, reason = outcome_names(outcome)
            level = logging.DEBUG if isinstance(outcome, Skipped) else logging.INFO
            logger.log(level, "event-ended", extra={"source": source, "outcome": name, "reason": reason})
        case Observed(target, state):
            logger.info("draft-observed", extra={"target": target, "state": state})
