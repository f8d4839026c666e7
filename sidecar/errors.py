"""Every exception this product raises on purpose.

    SidecarError
    ├── ConfigError             settings, mappings or target are wrong; the worker does not start
    ├── Ended                   handling of one event ends here, by decision
    │   ├── SkipEvent
    │   ├── ParkEvent
    │   ├── DeadLetterEvent
    │   └── Abandoned           another worker owns the partition now
    ├── TransientError          the dependency may answer later; retried inside the lane
    │   ├── EhrUnavailable
    │   ├── EngineUnavailable
    │   ├── LedgerUnavailable
    │   └── BrokerUnavailable
    ├── EhrNotFound             404 or 410 for one resource
    ├── EhrRefused              the EHR answered, and the answer is no
    ├── VersionConflict         409 or 412: somebody else wrote in between
    └── WriteUnknown            a create may or may not have happened

Messages are constants and codes: no text of a note, a server or a library is ever put into one,
because exception text ends in logs and traces (PHI).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from sidecar.outcomes import DeadLetterCode, ParkReason, SkipReason

Disposition: TypeAlias = Literal["stop", "skip", "park", "dead-letter", "retry", "decide"]


class SidecarError(Exception):
    """Base of all. `code` is stable and documented; `disposition` says what the caller does with it."""

    code: ClassVar[str] = "error"
    disposition: ClassVar[Disposition] = "decide"


class ConfigError(SidecarError):
    """Settings, a mapping or the target system cannot be worked with.

    The message names the file, line and fix; it never holds a value from a note.
    """

    code = "config"
    disposition = "stop"


class Ended(SidecarError):
    """Control flow, not a failure: a stage decided how the event ends."""


class SkipEvent(Ended):
    code = "skip"
    disposition = "skip"

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class ParkEvent(Ended):
    """`detail` is numbers and codes only, such as ``bytes=20971520 limit=10485760``."""

    code = "park"
    disposition = "park"

    def __init__(self, reason: ParkReason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail


class DeadLetterEvent(Ended):
    code = "dead-letter"
    disposition = "dead-letter"

    def __init__(self, reason: DeadLetterCode) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Abandoned(Ended):
    """No outcome: the record is handled again, from the committed offset, by whoever owns it now."""

    code = "abandoned"
    disposition = "stop"


class TransientError(SidecarError):
    """`retry_after` in seconds is the server's wish, None leaves the pace to us.

    `suspect` is True when the one request may be at fault and not the dependency, as with HTTP 500.
    """

    code = "transient"
    disposition = "retry"

    def __init__(self, detail: str = "", *, retry_after: float | None = None, suspect: bool = False) -> None:
        super().__init__(detail or self.code)
        self.retry_after = retry_after
        self.suspect = suspect


class EhrUnavailable(TransientError):
    code = "ehr-unavailable"


class EngineUnavailable(TransientError):
    code = "engine-unavailable"


class LedgerUnavailable(TransientError):
    code = "ledger-unavailable"


class BrokerUnavailable(TransientError):
    code = "broker-unavailable"


class EhrNotFound(SidecarError):
    """`gone` is True when the server says that it was deleted (410); 404 may also mean: not there yet."""

    code = "ehr-not-found"

    def __init__(self, detail: str = "", *, gone: bool = False) -> None:
        super().__init__(detail or self.code)
        self.gone = gone


class EhrRefused(SidecarError):
    """`status` and the issue codes of the OperationOutcome; never its diagnostics (PHI)."""

    code = "ehr-refused"

    def __init__(self, status: int, issue_codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"HTTP {status} {','.join(issue_codes)}".rstrip())
        self.status = status
        self.issue_codes = issue_codes


class VersionConflict(SidecarError):
    code = "version-conflict"


class WriteUnknown(SidecarError):
    code = "write-unknown"
