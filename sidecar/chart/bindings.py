"""What may leave for the EHR: the codes that fhir.resources does not check, and the one draft state.

fhir.resources accepts `docStatus: "draft"` or an empty `content`; this module does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.errors import SidecarError

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITABLE = frozenset({"DocumentReference", "Device", "Provenance"})
"""Nothing else is ever created; discrete clinical facts have no draft state."""

_FINALISING = ("authenticator", "attester", "signature")


class NotADraft(SidecarError):
    """A resource that is no unsigned draft was about to be sent. A bug, stopped at the last step."""

    code = "not-a-draft"
    disposition = "stop"


def ensure_draft(resource: Mapping[str, Any]) -> None:
    """Raise `NotADraft` unless `resource` may be written: the guard of "never final".

    Every write passes here, after everything that could have changed the resource.
    """
    kind = resource.get("resourceType")
    if kind not in WRITABLE:
        raise NotADraft("resource type")
    if any(name in resource for name in _FINALISING):
        raise NotADraft("signature")
    if kind == "DocumentReference":
        _ensure_draft_document(resource)


def _ensure_draft_document(resource: Mapping[str, Any]) -> None:
    if resource.get("status") != "current" or resource.get("docStatus") != "preliminary":
        raise NotADraft("status")
    subject = resource.get("subject")
    if not isinstance(subject, dict) or not str(subject.get("reference", "")).strip():
        raise NotADraft("subject")
    content = resource.get("content")
    if not isinstance(content, list) or len(content) != 1:
        raise NotADraft("content")
    attachment = content[0].get("attachment", {})
    if not attachment.get("data") or not attachment.get("contentType"):
        raise NotADraft("attachment")
