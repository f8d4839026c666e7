"""Writes one draft at most once, and finds out what became of a write whose answer was lost."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
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
from sidecar.errors import EhrNotFound, EhrRefused, EhrUnavailable, ParkEvent, VersionConflict, WriteUnknown
from sidecar.outcomes import ParkReason
from sidecar.references import parse_reference, relative_reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sidecar.chart.client import Chart
    from sidecar.chart.draft import DraftDocument
    from sidecar.chart.profile import Profile
    from sidecar.chart.source import SourceNote
    from sidecar.drafting.engine import EngineIdentity


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FiledDraft:
    """The draft as the server holds it, read back right after filing: servers rewrite text.

    `moved` says that somebody else wrote before it could be read back. Version and digest are then those of
    what we sent, as far as they are known, so that their work is never taken for ours.
    """

    reference: str
    version: str | None
    text_digest: str | None
    moved: bool = False


class Filing:
    """Knows the target's profile. Safe to call again after any failure: identifiers are stable."""

    def __init__(self, chart: Chart, profile: Profile) -> None:
        self._chart = chart
        self._profile = profile
        self._devices: dict[str, str | None] = {}
        self._making_device = asyncio.Lock()

    @property
    def can_replace(self) -> bool:
        """Whether the target lets an untouched draft be replaced by that of an amended source."""
        return self._profile.replace == "put"

    async def check_patient(self, source: SourceNote) -> str | None:
        """Check subject and encounter of `source` in the EHR; return the encounter's reference.

        Raises `ParkEvent`: `patient-mismatch` when they disagree or no patient is named, `no-encounter`
        when the encounter is not there, or the profile needs one and the note has none.
        """
        patient = self._local(source.subject, "Patient")
        if patient is None:
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "no patient of this EHR")
        if source.encounter is None:
            if self._profile.encounter == "required":
                raise ParkEvent(ParkReason.NO_ENCOUNTER, "note names none")
            return None
        reference = self._local(source.encounter, "Encounter")
        if reference is None:
            raise ParkEvent(ParkReason.NO_ENCOUNTER, "not of this EHR")
        try:
            encounter = await self._chart.read(reference)
        except EhrNotFound:
            raise ParkEvent(ParkReason.NO_ENCOUNTER, "not in the EHR") from None
        subject = encounter.get("subject")
        theirs = subject.get("reference") if isinstance(subject, dict) else None
        if not isinstance(theirs, str) or self._local(theirs, "Patient") != patient:
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "encounter of another patient")
        return reference

    def _local(self, reference: str | None, resource_type: str) -> str | None:
        """Return `Type/id` of a reference into this EHR; None for another server's, whose ids mean other people."""
        if reference is None:
            return None
        absolute = "://" in reference or reference.startswith("//")
        if absolute and not reference.startswith(self._chart.base_url.rstrip("/") + "/"):
            return None
        return relative_reference(reference, resource_type)

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

    async def replace(self, draft: DraftDocument, target: str, version: str) -> Receipt:
        """Write the draft over `version` of the document `target`, and over no other version of it.

        Raises `VersionConflict` and `EhrNotFound` when it is another one now, `WriteUnknown`, `EhrRefused`.
        """
        device = await self._device(draft.engine)
        document = build_document(draft, self._profile, device)
        return await self._chart.update({**document, "id": target.partition("/")[2]}, version)

    async def read_draft(self, target: str) -> Mapping[str, Any] | None:
        """Read a draft as it is now; None when it was deleted."""
        try:
            return await self._chart.read(target)
        except EhrNotFound:
            return None

    async def find(self, draft_id: str) -> Receipt | None:
        """Search the draft by its identifier; None when the server has none (or the profile cannot search)."""
        if not self._profile.identifier_search:
            raise WriteUnknown("no identifier search")
        found = await self._chart.search("DocumentReference", {"identifier": f"{DRAFT_SYSTEM}|{draft_id}"})
        ours = next((found_at(resource) for resource in found if is_draft(resource, draft_id)), None)
        if ours is None and found:
            # The server ignored the parameter or keeps no identifiers: that is not "not there".
            raise WriteUnknown("search not answered")
        return ours

    async def settle(self, seconds_since: float) -> None:
        """Wait until a create sent `seconds_since` ago has surely landed or failed."""
        await asyncio.sleep(max(0.0, self._profile.settle_seconds - seconds_since))

    async def read_back(self, receipt: Receipt, sent_digest: str | None) -> FiledDraft:
        """Read the draft as stored. A draft that is gone already was discarded."""
        resource = await self.read_draft(receipt.reference)
        if resource is not None:
            stored, digest = receipt_of(resource), text_digest(resource)
            as_answered = not receipt.found and receipt.version in (None, stored.version)
            if as_answered or (digest is not None and digest == sent_digest):
                return FiledDraft(receipt.reference, stored.version or receipt.version, digest)
        return FiledDraft(receipt.reference, None if receipt.found else receipt.version, sent_digest, moved=True)

    async def record_provenance(self, draft: DraftDocument, filed: FiledDraft) -> None:
        """Write the Provenance of this version, once: it has no identifier, so it is searched first."""
        if self._profile.provenance != "always":
            return
        device = await self._device(draft.engine)
        provenance = build_provenance(draft, filed.reference, filed.version, device)
        wanted = provenance["target"][0]["reference"]
        if any(
            _has_target(item, wanted) for item in await self._chart.search("Provenance", {"target": filed.reference})
        ):
            return
        try:
            await self._chart.create(provenance)
        except WriteUnknown:
            raise EhrUnavailable("provenance not settled", suspect=True) from None  # searched again at the next try

    async def _device(self, engine: EngineIdentity) -> str | None:
        """Return the reference of the engine's Device, made once; None where the server takes none.

        A Device beside the draft is an extra: a server that refuses it gets drafts without.
        """
        if self._profile.provenance != "always":
            return None
        key = device_key(engine)
        async with self._making_device:
            if key not in self._devices:
                try:
                    self._devices[key] = await self._find_or_create_device(engine, f"{DEVICE_SYSTEM}|{key}")
                except (EhrRefused, EhrNotFound) as error:
                    logger.warning("device-not-written", extra={"code": error.code, "detail": str(error)})
                    self._devices[key] = None
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
            raise EhrUnavailable("device not settled", suspect=True) from None  # searched again at the next try


def receipt_of(resource: Mapping[str, Any]) -> Receipt:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return Receipt(f"{resource['resourceType']}/{resource.get('id')}", version)


def found_at(resource: Mapping[str, Any]) -> Receipt:
    return replace(receipt_of(resource), found=True)


def _has_target(provenance: Mapping[str, Any], reference: str) -> bool:
    """Say whether it is about this version: a draft that was replaced has one Provenance a version."""
    targets = [item.get("reference") for item in provenance.get("target") or [] if isinstance(item, dict)]
    return any(isinstance(item, str) and parse_reference(item) == parse_reference(reference) for item in targets)


def is_draft(resource: Mapping[str, Any], draft_id: str) -> bool:
    """Check the identifier ourselves: a server may ignore a search parameter that it does not know."""
    identifiers = resource.get("identifier")
    return isinstance(identifiers, list) and any(
        isinstance(item, dict) and item.get("system") == DRAFT_SYSTEM and item.get("value") == draft_id
        for item in identifiers
    )
