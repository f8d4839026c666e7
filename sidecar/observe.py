"""The other branch of the pipeline: what became of our own drafts.

An event about a draft of ours settles its ledger entry and never makes a draft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.chart.draft import DRAFT_SYSTEM, text_digest
from sidecar.ledger.ledger import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.ledger.ledger import Entry

SIGNED_STATUSES = frozenset({"final", "amended", "corrected", "appended"})
GONE = frozenset({"entered-in-error", "superseded", "cancelled", "deprecated"})

# We never send these: a signature begun, or a restriction that a new version of ours would take off again.
_SET_BY_OTHERS = ("authenticator", "securityLabel")


def own_draft_id(resource: Mapping[str, Any]) -> str | None:
    """Return the draft id that a resource carries as identifier; None for everybody else's."""
    identifiers = resource.get("identifier")
    if not isinstance(identifiers, list):
        return None
    for item in identifiers:
        if isinstance(item, dict) and item.get("system") == DRAFT_SYSTEM and isinstance(item.get("value"), str):
            return str(item["value"])
    return None


def seen_state(resource: Mapping[str, Any] | None, entry: Entry) -> State | None:
    """Say what was done with the draft of `entry`, from the draft as it is now; None for nothing new.

    `resource` None means deleted. Edited means that the text is no longer the one read back after
    filing, so a server that rewrites text on create does not look like a person.
    """
    if resource is None or resource.get("status") in GONE or resource.get("docStatus") in GONE:
        return State.DISCARDED
    digest = text_digest(resource)
    # Before the read-back only the text sent is known, and the server may have rewritten that.
    known = entry.text_digest if entry.state not in (State.SENDING, State.UNKNOWN) else None
    edited = None not in (digest, known) and digest != known
    if resource.get("docStatus") in SIGNED_STATUSES:
        return State.SIGNED_EDITED if edited or entry.state is State.EDITED else State.SIGNED
    return State.EDITED if edited else None


def standing(resource: Mapping[str, Any], entry: Entry) -> State:
    """Say how the draft of `entry` stands, right before it is replaced; `FILED` only when surely untouched.

    Stricter than `seen_state`: what cannot be told from a person's hand counts as one. A version that
    moved without a change of text or status is a server's own doing.
    """
    seen = seen_state(resource, entry)
    if seen is not None:
        return seen
    return State.FILED if _is_untouched(resource, entry) else State.EDITED


def _is_untouched(resource: Mapping[str, Any], entry: Entry) -> bool:
    if (resource.get("status"), resource.get("docStatus")) != ("current", "preliminary"):
        return False
    if own_draft_id(resource) != entry.draft_id or any(resource.get(name) for name in _SET_BY_OTHERS):
        return False
    if None in (text_digest(resource), entry.text_digest):
        return entry.target_version is not None and version_of(resource) == entry.target_version
    return text_digest(resource) == entry.text_digest


def version_of(resource: Mapping[str, Any] | None) -> str | None:
    meta = (resource or {}).get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None
