"""Writes one draft at most once, and finds out what became of a write whose answer was lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.chart.client import Receipt
from sidecar.chart.draft import (
    DEVICE_SYSTEM,
    DRAFT_SYSTEM,
    build_device,
    build_document,
    build_provenance,
    device_key,
    text_digest,
)
from sidecar.errors import EhrNotFound, EhrUnavailable, ParkEvent, VersionConflict, WriteUnknown
from sidecar.outcomes import ParkReason
from sidecar.references import relative_reference, same_reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sidecar.chart.client import Chart
    from sidecar.chart.draft import DraftDocument
    from sidecar.chart.profile import Profile
    from sidecar.chart.source import SourceNote
    from sidecar.drafting.engine import EngineIdentity


@dataclass(frozen=True, slots=True)
class FiledDraft:
    """The draft as the server holds it, read back right after filing: servers rewrite text."""

    reference: str
    version: str | None
    text_digest: str | None


class Filing:
    """Knows the target's profile. Safe to call again after any failure: identifiers are stable."""

    def __init__(self, chart: Chart, profile: Profile) -> None:
        self._chart = chart
        self._profile = profile
        self._devices: dict[str, str] = {}

    async def check_patient(self, source: SourceNote) -> str | None:
        """Check subject and encounter of `source` in the EHR; return the encounter's reference.

        Raises `ParkEvent`: `patient-mismatch` when they disagree or no patient is named, `no-encounter`
        when the encounter is not there, or the profile needs one and the note has none.
        """
        if source.subject is None or relative_reference(source.subject, "Patient") is None:
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "no patient")
        if source.encounter is None:
            if self._profile.encounter == "required":
                raise ParkEvent(ParkReason.NO_ENCOUNTER, "note names none")
            return None
        try:
            encounter = await self._chart.read(relative_reference(source.encounter, "Encounter") or source.encounter)
        except EhrNotFound:
            raise ParkEvent(ParkReason.NO_ENCOUNTER, "not in the EHR") from None
        subject = encounter.get("subject")
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if not isinstance(reference, str) or not same_reference(reference, source.subject, "Patient"):
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "encounter of another patient")
        return source.encounter

    async def prepare(self, engine: EngineIdentity) -> None:
        """Make sure of the engine's Device before anything about a draft is sent."""
        await self._device(engine)

    async def write(self, draft: DraftDocument) -> Receipt:
        """Create the draft. Raises `WriteUnknown` when it may exist, `EhrRefused` when it cannot."""
        device = await self._device(draft.engine)
        condition = f"identifier={DRAFT_SYSTEM}|{draft.draft_id}"
        conditional = self._profile.conditional_create == "always"
        try:
            return await self._chart.create(
                build_document(draft, self._profile, device), condition if conditional else None
            )
        except VersionConflict:
            # 412: several match already. Ours is one of them, and a second create would add another.
            found = await self.find(draft.draft_id)
            if found is None:
                raise WriteUnknown("conflict") from None
            return found

    async def find(self, draft_id: str) -> Receipt | None:
        """Search the draft by its identifier; None when the server has none (or the profile cannot search)."""
        if not self._profile.identifier_search:
            raise WriteUnknown("no identifier search")
        found = await self._chart.search("DocumentReference", {"identifier": f"{DRAFT_SYSTEM}|{draft_id}"})
        return next((receipt_of(resource) for resource in found if is_draft(resource, draft_id)), None)

    async def settle(self, seconds_since: float) -> None:
        """Wait until a create sent `seconds_since` ago has surely landed or failed."""
        await asyncio.sleep(max(0.0, self._profile.settle_seconds - seconds_since))

    async def read_back(self, receipt: Receipt) -> FiledDraft:
        """Read the draft as stored. A draft that is gone already was discarded; its text is then unknown."""
        try:
            resource = await self._chart.read(receipt.reference)
        except EhrNotFound:
            return FiledDraft(receipt.reference, receipt.version, None)
        stored = receipt_of(resource)
        return FiledDraft(receipt.reference, stored.version or receipt.version, text_digest(resource))

    async def record_provenance(self, draft: DraftDocument, filed: FiledDraft) -> None:
        """Write the Provenance beside the draft, once: it has no identifier, so it is searched first."""
        if self._profile.provenance != "always":
            return
        if await self._chart.search("Provenance", {"target": filed.reference}):
            return
        device = await self._device(draft.engine)
        await self._chart.create(build_provenance(draft, filed.reference, filed.version, device))

    async def _device(self, engine: EngineIdentity) -> str | None:
        """Return the reference of the engine's Device, made once per server; None where it takes none."""
        if self._profile.provenance != "always":
            return None
        key = device_key(engine)
        if key not in self._devices:
            self._devices[key] = await self._find_or_create_device(engine, f"{DEVICE_SYSTEM}|{key}")
        return self._devices[key]

    async def _find_or_create_device(self, engine: EngineIdentity, identifier: str) -> str:
        found = await self._chart.search("Device", {"identifier": identifier})
        if found:
            return receipt_of(found[0]).reference
        conditional = self._profile.conditional_create == "always"
        try:
            condition = f"identifier={identifier}" if conditional else None
            return (await self._chart.create(build_device(engine), condition)).reference
        except (WriteUnknown, VersionConflict):
            raise EhrUnavailable("device not settled") from None  # searched again at the next try


def receipt_of(resource: Mapping[str, Any]) -> Receipt:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return Receipt(f"{resource['resourceType']}/{resource.get('id')}", version)


def is_draft(resource: Mapping[str, Any], draft_id: str) -> bool:
    """Check the identifier ourselves: a server may ignore a search parameter that it does not know."""
    identifiers = resource.get("identifier")
    return isinstance(identifiers, list) and any(
        isinstance(item, dict) and item.get("system") == DRAFT_SYSTEM and item.get("value") == draft_id
        for item in identifiers
    )
