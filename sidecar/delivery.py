"""At most one draft: the claim, the write, and what is done when the answer to a write is lost.

Between any two lines here the worker may be killed. The ledger's state says how far it came, and the
identifier of the draft, the same on every host, lets the EHR say whether a write landed.

The draft of an amended source takes the place of its earlier, untouched draft: same id, new identifier.
What a person touched stays as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sidecar.chart.filing import FiledDraft, found_at, is_draft
from sidecar.errors import EhrNotFound, EhrRefused, ParkEvent, SkipEvent, VersionConflict, WriteUnknown
from sidecar.ledger.ledger import Claimed, Refusal, State
from sidecar.observe import seen_state, standing, version_of
from sidecar.outcomes import ParkReason, SkipReason
from sidecar.references import same_reference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from sidecar.chart.client import Receipt
    from sidecar.chart.draft import DraftDocument
    from sidecar.chart.filing import Filing
    from sidecar.dependency import Dependency
    from sidecar.ledger.ledger import Entry, Key, Ledger

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

WRITE_ATTEMPTS = 3
"""How often a create that was lost, and was then searched and not found, is sent again."""

AMENDED = "source-amended"
"""Why a person must look: the source changed after a person worked on its draft."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a draft is written over: a document, and the one version of it that may be lost."""

    target: str
    version: str


class Delivery:
    """Brings ledger and EHR to agree. Safe to cancel anywhere."""

    def __init__(self, filing: Filing, ledger: Ledger, ehr: Dependency, store: Dependency) -> None:
        self._filing = filing
        self._ledger = ledger
        self._ehr = ehr
        self._store = store

    async def claim(self, draft_id: str, key: Key) -> Claimed:
        """Claim the one draft of this source version, settling what an earlier worker left open.

        Raises `SkipEvent` (duplicate, superseded, deferred) and `ParkEvent` (draft-open, unknown-write).
        """
        replacing = self._filing.can_replace
        while True:
            answer = await self._store.ask(lambda: self._ledger.claim(draft_id, key, replacing=replacing))
            if isinstance(answer, Claimed):
                return self._within_profile(answer)
            if isinstance(answer, Refusal):
                await self._refuse(answer, draft_id, key)
            elif (adopted := await self._settle_lost(answer.entry)) is not None:
                if adopted.draft_id == draft_id:
                    return self._within_profile(adopted)
                await self._store.ask(lambda claim=adopted: self._ledger.release(claim, wanted=True))  # type: ignore[misc]

    def _within_profile(self, claim: Claimed) -> Claimed:
        """Refuse a replacement that a worker under another profile began: parked, it gives the draft back."""
        if claim.earlier is not None and not self._filing.can_replace:
            raise ParkEvent(ParkReason.DRAFT_OPEN)
        return claim

    async def _refuse(self, refusal: Refusal, draft_id: str, key: Key) -> None:
        match refusal:
            case Refusal.HANDLED:
                raise SkipEvent(SkipReason.DUPLICATE)
            case Refusal.SUPERSEDED:
                raise SkipEvent(SkipReason.SUPERSEDED)
            case Refusal.DRAFT_OPEN:
                raise ParkEvent(ParkReason.DRAFT_OPEN)
            case Refusal.PERSON_WORKED:
                await self._store.ask(lambda: self._ledger.record_attention(draft_id, key, AMENDED))
                raise SkipEvent(SkipReason.DEFERRED)

    async def _settle_lost(self, entry: Entry) -> Claimed | None:
        """Find out whether a write of an earlier worker landed; claim its row when it surely did not."""
        await self._filing.settle((datetime.now(UTC) - entry.updated).total_seconds())
        try:
            if entry.target is not None and entry.replaces is not None:
                return await self._settle_replacement(entry, entry.target)
            found = await self._find_out(lambda: self._filing.find(entry.draft_id))
        except WriteUnknown:
            raise ParkEvent(ParkReason.UNKNOWN_WRITE) from None
        if found is None:
            return await self._store.ask(lambda: self._ledger.adopt(entry))
        await self._record_found(entry, found)
        return None

    async def _settle_replacement(self, entry: Entry, target: str) -> Claimed | None:
        resource = await self._find_out(lambda: self._filing.read_draft(target))
        if resource is not None and is_draft(resource, entry.draft_id):
            await self._record_found(entry, found_at(resource))
            return None
        claim = await self._store.ask(lambda: self._ledger.adopt(entry))
        if claim is None or claim.earlier is None:
            return claim
        if resource is None:
            # Deleted before our write or after it? A draft that a person deleted is not made again.
            await self._give_way(claim, State.DISCARDED, None, ParkReason.UNKNOWN_WRITE.value)
            return None
        state = standing(resource, claim.earlier)
        if state in (State.FILED, State.DISCARDED):
            return claim
        await self._give_way(claim, state, version_of(resource), AMENDED)
        return None

    async def _record_found(self, entry: Entry, receipt: Receipt) -> None:
        filed = await self._ehr.ask(lambda: self._filing.read_back(receipt, entry.text_digest))
        await self._store.ask(
            lambda: self._ledger.record_found(entry, filed.reference, filed.version, filed.text_digest)
        )
        await self._look_again(entry.draft_id, filed)

    async def _find_out(self, question: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the EHR what became of a write; where it will not say, the write stays unknown."""
        try:
            return await self._ehr.ask(question)
        except (ParkEvent, EhrRefused, EhrNotFound):
            raise WriteUnknown("not settled") from None

    async def write(self, claim: Claimed, draft: DraftDocument) -> Receipt:
        """Write the draft under `claim`; a write whose answer is lost is looked for before it is sent again.

        Raises `SkipEvent`: `duplicate` when another worker took the claim over, `deferred` when a person
        worked on the draft that was to be replaced. Raises `ParkEvent` when the server refuses for good or
        its answer cannot be found out.
        """
        await self._ehr.ask(lambda: self._filing.prepare(draft.engine))
        place = await self._find_place(claim, draft)
        if not await self._store.ask(lambda: self._ledger.start_sending(claim, draft.text_digest)):
            raise SkipEvent(SkipReason.DUPLICATE)
        try:
            return await (self._create(draft) if place is None else self._replace(claim, draft, place))
        except WriteUnknown:
            await self._store.ask(lambda: self._ledger.record_unknown(claim, None))
            raise ParkEvent(ParkReason.UNKNOWN_WRITE) from None
        except ParkEvent as end:  # the server said each time that it did nothing
            reason = end.reason.value
            await self._store.ask(lambda: self._ledger.record_rejected(claim, reason))
            raise
        except EhrRefused as refused:
            await self._store.ask(lambda: self._ledger.record_rejected(claim, ParkReason.REJECTED_WRITE.value))
            detail = f"HTTP {refused.status} {','.join(refused.issue_codes)}"
            raise ParkEvent(ParkReason.REJECTED_WRITE, detail) from None

    async def _create(self, draft: DraftDocument) -> Receipt:
        for _ in range(WRITE_ATTEMPTS):
            try:
                return await self._ehr.ask(lambda: self._filing.write(draft))
            except WriteUnknown:
                await self._filing.settle(0)
                found = await self._find_out(lambda: self._filing.find(draft.draft_id))
                if found is not None:
                    return found
        raise WriteUnknown("attempts")

    async def _find_place(self, claim: Claimed, draft: DraftDocument) -> Place | None:
        """Read the earlier draft once more, right before it is written over; None when there is none."""
        target = claim.earlier.target if claim.earlier is not None else None
        if target is None:
            return None
        try:
            resource = await self._ehr.ask(lambda: self._filing.read_draft(target))
        except EhrRefused as refused:
            raise ParkEvent(ParkReason.RETRIES_EXHAUSTED, f"HTTP {refused.status}") from None
        return await self._judge(claim, draft, target, resource)

    async def _replace(self, claim: Claimed, draft: DraftDocument, place: Place) -> Receipt:
        """Write over the earlier draft. Every answer but a clear yes is settled by reading the document again."""
        for _ in range(WRITE_ATTEMPTS):
            target, version, lost = place.target, place.version, False
            try:
                return await self._ehr.ask(lambda at=target, of=version: self._filing.replace(draft, at, of))  # type: ignore[misc]
            except (VersionConflict, EhrNotFound):
                pass
            except WriteUnknown:
                lost = True
                await self._filing.settle(0)
            resource = await self._find_out(lambda at=target: self._filing.read_draft(at))  # type: ignore[misc]
            if resource is not None and is_draft(resource, draft.draft_id):
                return found_at(resource)
            if resource is None and lost:
                raise WriteUnknown("gone")  # before our write or after it
            found = await self._judge(claim, draft, target, resource)
            if found is None:
                return await self._create(draft)
            place = found
        raise WriteUnknown("attempts")

    async def _judge(
        self, claim: Claimed, draft: DraftDocument, target: str, resource: Mapping[str, Any] | None
    ) -> Place | None:
        """Say what may be written over; None when the earlier draft is gone, and a new one is made.

        Raises `SkipEvent(deferred)` when a person worked on it, `ParkEvent` when it cannot be written over.
        """
        if claim.earlier is None:
            return None
        state = State.DISCARDED if resource is None else standing(resource, claim.earlier)
        if resource is None or state is State.DISCARDED:
            if not await self._store.ask(lambda: self._ledger.drop_target(claim)):
                raise SkipEvent(SkipReason.DUPLICATE)
            return None
        version = version_of(resource)
        if state is not State.FILED:
            await self._give_way(claim, state, version, AMENDED)
            raise SkipEvent(SkipReason.DEFERRED)
        if not _same_patient(resource, draft):
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "earlier draft of another patient")
        if version is None:
            raise ParkEvent(ParkReason.DRAFT_OPEN, "no version")
        return Place(target, version)

    async def _give_way(self, claim: Claimed, state: State, version: str | None, reason: str) -> None:
        await self._store.ask(lambda: self._ledger.give_way(claim, state, version, reason))

    async def settle(self, claim: Claimed, draft: DraftDocument, receipt: Receipt) -> FiledDraft:
        """Record the draft as the server holds it, then its Provenance. From here on the draft is filed."""
        try:
            filed = await self._ehr.ask(lambda: self._filing.read_back(receipt, draft.text_digest))
        except (ParkEvent, EhrRefused):
            # It is there, and cannot be read now: what was sent stands for what is stored.
            filed = FiledDraft(receipt.reference, receipt.version, draft.text_digest)
        await self._store.ask(
            lambda: self._ledger.record_filed(claim, filed.reference, filed.version, filed.text_digest)
        )
        await self._look_again(draft.draft_id, filed)
        try:
            await self._ehr.ask(lambda: self._filing.record_provenance(draft, filed))
        except (ParkEvent, VersionConflict, EhrRefused, EhrNotFound) as error:
            # The draft is in the chart and says itself what it is; Provenance beside it is an extra.
            logger.warning("provenance-not-written", extra={"draft_id": draft.draft_id, "code": error.code})
        return filed

    async def _look_again(self, draft_id: str, filed: FiledDraft) -> None:
        """Settle at once what somebody did before the read-back: its event may have come too early to count."""
        if not filed.moved:
            return
        entry = await self._store.ask(lambda: self._ledger.get(draft_id))
        if entry is None:
            return
        try:
            resource = await self._find_out(lambda: self._filing.read_draft(filed.reference))
        except WriteUnknown:
            return  # the next event about it tells
        state, version = seen_state(resource, entry), version_of(resource)
        if state is not None:
            await self._store.ask(lambda: self._ledger.observe(draft_id, state, filed.reference, version))


def _same_patient(resource: Mapping[str, Any], draft: DraftDocument) -> bool:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    ours = draft.source.subject
    return isinstance(reference, str) and ours is not None and same_reference(reference, ours, "Patient")
