"""What one task asks of its drafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.review.grounding import CHECKS
from sidecar.review.lexicon import CriticalItems, critical_items
from sidecar.review.verdict import OmissionKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.mappings import Mappings

SUMMARY_KINDS = (
    OmissionKind.ALLERGY,
    OmissionKind.ANTICOAGULANT,
    OmissionKind.PENDING_TEST,
    OmissionKind.FOLLOW_UP,
    OmissionKind.RETURN_PRECAUTION,
    OmissionKind.CODE_STATUS,
)


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """`checks` are names in `grounding.CHECKS`; `critical` holds the compiled kinds that a draft must carry."""

    checks: tuple[str, ...]
    critical: CriticalItems


def policy_from(lexicon: Mapping[str, Any]) -> ReviewPolicy:
    """Return the policy of a summary, with critical items as the lexicon `critical-items` lists them."""
    return ReviewPolicy(tuple(CHECKS), critical_items(lexicon, SUMMARY_KINDS))


def load_policy(mappings: Mappings) -> ReviewPolicy:
    """Return the policy with the hospital's own lexicon. Raises `ConfigError` where the file is wrong."""
    return policy_from(mappings.lexicon("critical-items"))
