"""The resources that file one draft: DocumentReference, and beside it Device and Provenance.

Shapes follow FHIR R4 (built through the R4B models, which R4 shares for these) and HL7 AI
Transparency on FHIR 1.0.0-ballot for the label AIAST.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sidecar import __version__
from sidecar.chart.bindings import ensure_draft
from sidecar.references import relative_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.chart.profile import Profile
    from sidecar.chart.source import SourceNote
    from sidecar.drafting.engine import EngineIdentity
    from sidecar.drafting.task import Coding, Task

DRAFT_SYSTEM = "urn:ehr-draft-sidecar:draft"
DEVICE_SYSTEM = "urn:ehr-draft-sidecar:engine"
_NAMESPACE = uuid.UUID("4b0f0f0e-5d1c-5a0b-9f2e-6a1f4d9b7c33")
AIAST = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


def draft_id_of(server: str, source: str, source_version: str, task: str) -> str:
    """Return the identifier of the one draft of (EHR base, source id, source version, task), on every host the same."""
    return str(uuid.uuid5(_NAMESPACE, f"{server}|{source}|{source_version}|{task}"))


@dataclass(frozen=True, slots=True)
class DraftDocument:
    """What is filed: the text and everything that places it in the chart. `encounter` as read and checked."""

    draft_id: str
    task: Task
    source: SourceNote
    encounter: str | None
    text: str
    engine: EngineIdentity
    created: datetime

    @property
    def text_digest(self) -> str:
        """Digest of the text as sent; what is read back may differ, because servers rewrite."""
        return digest_of(self.text)


def build_document(draft: DraftDocument, profile: Profile, device: str | None) -> dict[str, Any]:
    """Build the preliminary DocumentReference (DESIGN §4.4). `device` is a Device reference where there is one."""
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "identifier": [{"system": DRAFT_SYSTEM, "value": draft.draft_id}],
        "status": "current",
        "docStatus": "preliminary",
        "type": _concept(draft.task.type),
        "category": [_concept(draft.task.category)],
        "subject": {"reference": relative_reference(draft.source.subject or "", "Patient")},
        "date": _instant(draft.created),
        "description": f"{draft.task.title} - AI draft, not reviewed",
        "content": [{"attachment": _attachment(draft, profile)}],
        "context": _context(draft, profile),
    }
    if profile.author != "omit":
        resource["author"] = [_author(draft.engine, device if profile.author == "device" else None)]
    if profile.security_labels:
        resource["meta"] = {"security": [AIAST]}
    return _checked(resource)


def build_device(engine: EngineIdentity) -> dict[str, Any]:
    """Build the Device that stands for one engine with one set of weights or rules."""
    resource = {
        "resourceType": "Device",
        "identifier": [{"system": DEVICE_SYSTEM, "value": device_key(engine)}],
        "status": "active",
        "manufacturer": "ehr-draft-sidecar",
        "deviceName": [{"name": f"AI drafting engine {engine.name}", "type": "model-name"}],
        "version": [
            {"value": engine.version},
            {"value": f"digest {engine.digest}"},
            {"value": f"sidecar {__version__}"},
        ],
    }
    return _checked(resource)


def device_key(engine: EngineIdentity) -> str:
    return f"{engine.name}-{engine.version}-{engine.digest[:16]}-sidecar-{__version__}"


def build_provenance(draft: DraftDocument, target: str, version: str | None, device: str | None) -> dict[str, Any]:
    """Build the Provenance: the Device assembled `target` from the source version."""
    who = _author(draft.engine, device)
    entity = f"{draft.source.reference}/_history/{draft.source.version}"
    resource = {
        "resourceType": "Provenance",
        "target": [{"reference": f"{target}/_history/{version}" if version else target}],
        "recorded": _instant(draft.created),
        "reason": [{"coding": [AIAST]}],
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "assembler",
                        }
                    ]
                },
                "who": who,
            }
        ],
        "entity": [
            {
                "role": "source",
                "what": {"reference": entity if _is_version_id(draft.source) else draft.source.reference},
            }
        ],
    }
    return _checked(resource)


def _is_version_id(source: SourceNote) -> bool:
    meta = source.resource.get("meta")
    return isinstance(meta, dict) and meta.get("versionId") == source.version


def _concept(coding: Coding) -> dict[str, Any]:
    return {
        "coding": [{"system": coding.system, "code": coding.code, "display": coding.display}],
        "text": coding.display,
    }


def _attachment(draft: DraftDocument, profile: Profile) -> dict[str, Any]:
    data = draft.text.encode("utf-8")
    return {
        "contentType": profile.attachment,
        "data": base64.b64encode(data).decode("ascii"),
        "size": len(data),
        # FHIR fixes SHA-1 for Attachment.hash; it finds damage, it guards nothing.
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii"),
        "title": f"AI draft: {draft.task.title}",
        "creation": _instant(draft.created),
    }


def _context(draft: DraftDocument, profile: Profile) -> dict[str, Any]:
    context: dict[str, Any] = {"related": [{"reference": draft.source.reference}]}
    if draft.encounter and profile.encounter != "omit":
        context["encounter"] = [{"reference": draft.encounter}]
    if draft.source.period:
        context["period"] = dict(draft.source.period)
    return context


def _author(engine: EngineIdentity, device: str | None) -> dict[str, str]:
    display = f"AI drafting engine {engine.name}"
    return {"reference": device, "display": display} if device else {"display": display}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _checked(resource: dict[str, Any]) -> dict[str, Any]:
    """Validate through the model, then send what was built: a dump would rewrite time stamps and numbers."""
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415 - a second to import

    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    ensure_draft(resource)
    return resource


def text_digest(resource: Mapping[str, Any]) -> str | None:
    """Return a digest of the text of a filed draft, to tell later whether a person changed it.

    Line ends and trailing blanks do not count: servers rewrite them. None when the text cannot be read here.
    """
    content = resource.get("content")
    try:
        data = base64.b64decode(content[0]["attachment"]["data"])  # type: ignore[index]  # any shape: see except
        text = data.decode("utf-8")
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    return digest_of(text)


def digest_of(text: str) -> str:
    return hashlib.sha256("\n".join(line.rstrip() for line in text.strip().splitlines()).encode()).hexdigest()
