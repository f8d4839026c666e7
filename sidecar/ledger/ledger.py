"""The durable record of every draft: what was claimed, sent, filed, and what a person did with it.

It holds ids, digests and states only, never text (PHI).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class State(StrEnum):
    CLAIMED = "claimed"  # a worker drafts; nothing was sent
    SENDING = "sending"  # a create may be on its way
    UNKNOWN = "unknown"  # the answer to the create is lost and search did not settle it
    FILED = "filed"  # open draft, untouched as far as we know
    SIGNED = "signed"
    SIGNED_EDITED = "signed-edited"
    EDITED = "edited"  # by a person, still open
    DISCARDED = "discarded"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ATTENTION = "attention"  # a person must look: the source changed after a person worked on its draft
    PARKED = "parked"


LIVE = (State.CLAIMED, State.SENDING, State.UNKNOWN, State.FILED, State.EDITED)
"""States in which a draft exists or may exist unsigned: at most one row per (server, source, task)."""

PERSON = (State.SIGNED, State.SIGNED_EDITED, State.EDITED)
"""States in which a person has put work into the draft: nothing new is written for its source."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one draft is made from. `source` is "DocumentReference/id"."""

    server: str
    source: str
    source_version: str
    task: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `target_version` and `text_digest` are those read back right after filing.

    While the row is `sending` or `unknown`, `text_digest` is that of the text sent. `replaces` is the
    draft id of the row whose draft this one takes, or took, the place of on the same target.
    """

    draft_id: str
    key: Key
    state: State
    reason: str | None
    target: str | None
    target_version: str | None
    text_digest: str | None
    replaces: str | None
    owner: str | None
    attempts: int
    retry_at: datetime | None
    created: datetime
    updated: datetime


class Refusal(StrEnum):
    """Why a claim was not given."""

    HANDLED = "handled"  # this source version has its draft, or a person deleted it
    SUPERSEDED = "superseded"  # a newer version of the source is in the ledger
    DRAFT_OPEN = "draft-open"  # an earlier version's draft is still open
    PERSON_WORKED = "person-worked"  # a person edited or signed an earlier version's draft


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim is ours while `token` stands in the row.

    `deaths` counts the workers that began to draft it and never ended.
    `earlier` is the row of an earlier source version whose draft is to be replaced. It is `replaced` for
    as long as the claim lasts, and `filed` again when the claim ends without a write.
    """

    draft_id: str
    token: str
    deaths: int = 0
    earlier: Entry | None = None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A write was under way when its worker ended; `entry` says what is known of it."""

    entry: Entry


class Ledger(Protocol):
    """Raises `LedgerUnavailable` when the store does not answer. Every method is one transaction."""

    async def claim(self, draft_id: str, key: Key, *, replacing: bool) -> Claimed | Unsettled | Refusal:
        """Claim the right to draft for `key`, over parked work and over claims that a dead worker left.

        With `replacing`, over an earlier version's open draft too; without, that is `DRAFT_OPEN`.
        """
        ...

    async def start_sending(self, claim: Claimed, text_digest: str) -> bool:
        """Move `claimed` to `sending`; False when somebody else took the claim over."""
        ...

    async def adopt(self, entry: Entry) -> Claimed | None:
        """Claim an unsettled row whose write surely did not happen; None when the row has moved on."""
        ...

    async def drop_target(self, claim: Claimed) -> bool:
        """Discard the earlier draft, which is gone: the claim goes on to a new one. False when it is not ours."""
        ...

    async def give_way(self, claim: Claimed, state: State, version: str | None, reason: str) -> None:
        """Give the earlier draft the `state` that a person brought it to; the claim ends in `attention`."""
        ...

    async def record_filed(self, claim: Claimed, target: str, version: str | None, text_digest: str | None) -> None: ...

    async def record_found(self, entry: Entry, target: str, version: str | None, text_digest: str | None) -> None:
        """Settle a row whose lost create was found in the EHR; nothing happens if it has moved on."""
        ...

    async def record_unknown(self, claim: Claimed, retry_at: datetime | None) -> None: ...

    async def record_rejected(self, claim: Claimed, reason: str) -> None:
        """Park a draft that the server refused for good."""
        ...

    async def release(self, claim: Claimed, *, wanted: bool) -> None:
        """Give a claim back as if it had never been: nothing was written.

        Work that was parked before is parked again while it is still `wanted`.
        """
        ...

    async def begin_drafting(self, claim: Claimed) -> None:
        """Leave a mark before a document meets parsers and engine; it stays when the worker dies of it."""
        ...

    async def end_drafting(self, claim: Claimed) -> None: ...

    async def park(self, draft_id: str, key: Key, reason: str, retry_at: datetime | None) -> None:
        """Park what wrote nothing; a row with a draft, or a create under way, is left as it is."""
        ...

    async def record_attention(self, draft_id: str, key: Key, reason: str) -> None: ...

    async def observe(self, draft_id: str, state: State, target: str, version: str | None) -> bool:
        """Settle an own draft by what was seen of it; False when its row does not allow the step.

        A draft that is about to be replaced is settled too: the claim on it gives way.
        """
        ...

    async def find_draft(self, target: str) -> Entry | None:
        """Return the row whose draft `target` holds, as far as it is known."""
        ...

    async def get(self, draft_id: str) -> Entry | None: ...

    async def list_entries(self, state: State | None = None) -> Sequence[Entry]: ...

    async def take_due(self, next_retry: datetime, limit: int) -> Sequence[Entry]:
        """Return parked and unknown rows whose time has come, oldest first, and set their next time."""
        ...

    async def forget_parked(self, entry: Entry) -> None:
        """Drop a parked row that a retry has shown to be obsolete, unless it changed meanwhile."""
        ...

    async def retry(self, *, draft_id: str | None = None, reason: str | None = None) -> int:
        """Make parked rows due now; return how many."""
        ...
