"""Checks every statement of a draft against its note; no network, no clock, no engine."""

from __future__ import annotations

from sidecar.review.policy import ReviewPolicy, load_policy, policy_from
from sidecar.review.rendering import Heading, render
from sidecar.review.review import REVIEW_VERSION, PlainReview, PlainStatement, review, review_plain
from sidecar.review.verdict import (
    Finding,
    FindingCode,
    NotCarriedOver,
    OmissionKind,
    ReviewedDraft,
    ReviewedStatement,
    Verdict,
)

__all__ = [
    "REVIEW_VERSION",
    "Finding",
    "FindingCode",
    "Heading",
    "NotCarriedOver",
    "OmissionKind",
    "PlainReview",
    "PlainStatement",
    "ReviewPolicy",
    "ReviewedDraft",
    "ReviewedStatement",
    "Verdict",
    "load_policy",
    "policy_from",
    "render",
    "review",
    "review_plain",
]
