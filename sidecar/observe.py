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
    edited = None not in (digest, entry.text_digest) and digest != entry.text_digest
    if resource.get("docStatus") in SIGNED_STATUSES:
        return State.SIGNED_EDITED if edited or entry.state is State.EDITED else State.SIGNED
    return State.EDITED if edited else None


def version_of(resource: Mapping[str, Any] | None) -> str | None:
    meta = (resource or {}).get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None
