"""A cheap look at a bare resource: will it be skipped, and may nobody else want to know?

Most events of a hospital's topic end as skips. This says so from the parsed message in a few microseconds,
without a task, a span or a validated model, and only where the whole path would surely give the same
reason: at anything odd, thin or ours it says nothing, and the whole path decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.intake.envelopes.resource import is_bare
from sidecar.outcomes import SkipReason
from sidecar.references import FHIR_ID, FHIR_TYPE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from sidecar.intake.envelopes.resource import Message

# What R4 and R5 know, with the reason of each; a value that is not here is for the whole path to judge.
_BY_STATUS: Mapping[str, SkipReason | None] = {
    "current": None,
    "superseded": SkipReason.NOT_CURRENT,
    "entered-in-error": SkipReason.NOT_CURRENT,
}
_BY_DOC_STATUS: Mapping[str, SkipReason | None] = {
    **dict.fromkeys(("final", "amended", "corrected", "appended")),
    **dict.fromkeys(("entered-in-error", "cancelled", "deprecated"), SkipReason.NOT_CURRENT),
    **dict.fromkeys(("preliminary", "registered", "partial", "unknown"), SkipReason.PRELIMINARY_SOURCE),
}


@dataclass(frozen=True, slots=True)
class SkipRules:
    """What the peek compares with: the (system, code) pairs that have a task, and our own identifier system."""

    mapped: Container[tuple[str, str]]
    own_system: str


@dataclass(frozen=True, slots=True)
class SkipHint:
    """The reason with which the whole path would skip this version.

    `takes_back` is True where an earlier version may have got a draft that this one takes back (a status
    that no longer stands): skip it only when the ledger holds no open draft of `reference`.
    """

    reference: str
    reason: SkipReason
    takes_back: bool


def peek(message: object, rules: SkipRules) -> SkipHint | None:
    """Return why a parsed record value will be skipped, None when the whole path must look.

    None for every envelope but the bare resource, for our own drafts, for a document that is incomplete
    (the EHR is read) or labelled, and for any shape that would be dead-lettered.
    """
    if not isinstance(message, dict) or not is_bare(message) or "__op" in message or "__deleted" in message:
        return None
    resource_type, logical_id = message["resourceType"], message.get("id")
    if not isinstance(logical_id, str) or not FHIR_ID.fullmatch(logical_id):
        return None
    if resource_type != "DocumentReference":
        named = FHIR_TYPE.fullmatch(resource_type) is not None
        return SkipHint(f"{resource_type}/{logical_id}", SkipReason.TYPE_NOT_MAPPED, False) if named else None
    if not _is_complete(message) or not _is_foreign(message, rules.own_system):
        return None
    reason, takes_back = _reason(message, rules)
    return SkipHint(f"{resource_type}/{logical_id}", reason, takes_back) if reason else None


def _reason(document: Message, rules: SkipRules) -> tuple[SkipReason | None, bool]:
    """Return the first reason in the order of routing, and whether it is one of status."""
    status, doc_status = document.get("status"), document.get("docStatus")
    if not isinstance(status, str) or status not in _BY_STATUS:
        return None, False
    if doc_status is not None and (not isinstance(doc_status, str) or doc_status not in _BY_DOC_STATUS):
        return None, False
    types = _types(document.get("type", {}))
    if types is None:
        return None, False
    reason = _BY_STATUS[status] or (_BY_DOC_STATUS[doc_status] if doc_status else None)
    if reason is not None:
        return reason, True
    if any(pair in rules.mapped for pair in types):
        return None, False
    return SkipReason.TYPE_NOT_MAPPED, False


def _is_complete(document: Message) -> bool:
    """Say whether the event is taken as it came, and holds nothing that reading would refuse or weigh.

    Labels are left to routing, which compares them in a form of their own.
    """
    meta, subject, context = document.get("meta"), document.get("subject", {}), document.get("context", {})
    return (
        isinstance(meta, dict)
        and isinstance(meta.get("versionId"), str)
        and meta["versionId"] != ""
        and "security" not in meta
        and "securityLabel" not in document
        and bool(document.get("content"))
        and isinstance(subject, dict)
        and _is_text(subject.get("reference"))
        and (isinstance(context, list) or (isinstance(context, dict) and _has_encounters(context)))
    )


def _has_encounters(context: Message) -> bool:
    return isinstance(context.get("encounter", []), list | dict)


def _is_foreign(document: Message, own_system: str) -> bool:
    """Say whether no identifier is one of ours, nor anything that cannot be read as one."""
    identifiers = document.get("identifier", [])
    return isinstance(identifiers, list) and all(
        isinstance(item, dict)
        and _is_text(item.get("system"))
        and _is_text(item.get("value"))
        and item.get("system") != own_system
        for item in identifiers
    )


def _types(concept: object) -> list[tuple[str, str]] | None:
    """Return the codings of a type, None when one of them has the wrong shape."""
    if not isinstance(concept, dict) or not _is_text(concept.get("text")):
        return None
    codings = concept.get("coding", [])
    if not isinstance(codings, list) or not all(map(_is_coding, codings)):
        return None
    return [(coding.get("system") or "", coding["code"]) for coding in codings if coding.get("code")]


def _is_coding(coding: object) -> bool:
    return isinstance(coding, dict) and all(_is_text(coding.get(name)) for name in ("system", "code", "display"))


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
