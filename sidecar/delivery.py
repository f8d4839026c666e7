"""At most one draft: the claim, the create, and what is done when the answer to a create is lost.

Between any two lines here the worker may be killed. The ledger's state says how far it came, and the
identifier of the draft, the same on every host, lets the EHR say whether a create landed.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidecar.errors import EhrNotFound, EhrRefused, ParkEvent, SkipEvent, WriteUnknown
from sidecar.ledger.ledger import Claimed, Refusal, Unsettled
from sidecar.outcomes import ParkReason, SkipReason

if TYPE_CHECKING:
    from sidecar.chart.client import Receipt
    from sidecar.chart.draft import DraftDocument
    from sidecar.chart.filing import FiledDraft, Filing
    from sidecar.dependency import Dependency
    from sidecar.ledger.ledger import Entry, Key, Ledger

logger = logging.getLogger(__name__)

WRITE_ATTEMPTS = 3
"""How often a create that was lost, and was then searched and not found, is sent again."""


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
        while True:
            answer = await self._store.ask(lambda: self._ledger.claim(draft_id, key))
            if isinstance(answer, Claimed):
                return answer
            if isinstance(answer, Refusal):
                await self._refuse(answer, draft_id, key)
            elif (adopted := await self._settle_lost(answer)) is not None:
                if adopted.draft_id == draft_id:
                    return adopted
                await self._store.ask(lambda claim=adopted: self._ledger.release(claim))  # type: ignore[misc]

    async def _refuse(self, refusal: Refusal, draft_id: str, key: Key) -> None:
        match refusal:
            case Refusal.HANDLED:
                raise SkipEvent(SkipReason.DUPLICATE)
            case Refusal.SUPERSEDED:
                raise SkipEvent(SkipReason.SUPERSEDED)
            case Refusal.DRAFT_OPEN:
                raise ParkEvent(ParkReason.DRAFT_OPEN)
            case Refusal.PERSON_WORKED:
                await self._store.ask(lambda: self._ledger.record_attention(draft_id, key, "source-amended"))
                raise SkipEvent(SkipReason.DEFERRED)

    async def _settle_lost(self, unsettled: Unsettled) -> Claimed | None:
        """Find out whether a create of an earlier worker landed; claim its row when it surely did not."""
        entry = unsettled.entry
        try:
            await self._filing.settle((datetime.now(UTC) - entry.updated).total_seconds())
            found = await self._ehr.ask(lambda: self._filing.find(entry.draft_id))
        except WriteUnknown:
            raise ParkEvent(ParkReason.UNKNOWN_WRITE) from None
        if found is None:
            return await self._store.ask(lambda: self._ledger.adopt(entry))
        await self._record_found(entry, found)
        return None

    async def _record_found(self, entry: Entry, receipt: Receipt) -> None:
        filed = await self._ehr.ask(lambda: self._filing.read_back(receipt))
        await self._store.ask(
            lambda: self._ledger.record_found(entry, filed.reference, filed.version, filed.text_digest)
        )

    async def write(self, claim: Claimed, draft: DraftDocument) -> Receipt:
        """Create the draft under `claim`; a create whose answer is lost is searched before it is sent again.

        Raises `SkipEvent(duplicate)` when another worker took the claim over, `ParkEvent` when the server
        refuses for good or its answer cannot be found out.
        """
        await self._ehr.ask(lambda: self._filing.prepare(draft.engine))
        if not await self._store.ask(lambda: self._ledger.start_sending(claim)):
            raise SkipEvent(SkipReason.DUPLICATE)
        try:
            return await self._create(draft)
        except WriteUnknown:
            await self._store.ask(lambda: self._ledger.record_unknown(claim, None))
            raise ParkEvent(ParkReason.UNKNOWN_WRITE) from None
        except ParkEvent as end:  # retries exhausted: the server said each time that it did nothing
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
                found = await self._ehr.ask(lambda: self._filing.find(draft.draft_id))
                if found is not None:
                    return found
        raise WriteUnknown("attempts")

    async def settle(self, claim: Claimed, draft: DraftDocument, receipt: Receipt) -> FiledDraft:
        """Record the draft as the server holds it, then its Provenance."""
        filed = await self._ehr.ask(lambda: self._filing.read_back(receipt))
        await self._store.ask(
            lambda: self._ledger.record_filed(claim, filed.reference, filed.version, filed.text_digest)
        )
        try:
            await self._ehr.ask(lambda: self._filing.record_provenance(draft, filed))
        except (WriteUnknown, EhrRefused, EhrNotFound) as error:
            # The draft is in the chart and says itself what it is; Provenance beside it is an extra.
            logger.warning("provenance-not-written", extra={"draft_id": draft.draft_id, "code": error.code})
        return filed
