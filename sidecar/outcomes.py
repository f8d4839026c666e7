"""How handling of one event ends, and every reason it can end with.

The enums are closed: a place that needs a new reason adds one member with one line of meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class SkipReason(StrEnum):
    """Why no draft is wanted for this version of a document."""

    NOT_CURRENT = "not-current"  # superseded, entered in error, or deleted
    PRELIMINARY_SOURCE = "preliminary-source"  # somebody's own unsigned draft
    OWN_DRAFT = "own-draft"  # written by us
    TYPE_NOT_MAPPED = "type-not-mapped"  # no task for its type
    RESTRICTED = "restricted"  # confidentiality or sensitivity label, or opt-out
    TOO_OLD = "too-old"  # older than the task's limit
    NO_TEXT = "no-text"  # content is there but holds no words
    TOO_LITTLE = "too-little"  # fewer words than the task's minimum
    EMPTY_TEMPLATE = "empty-template"  # headings and nothing under them
    LANGUAGE = "language"  # not a language that the checks know
    DUPLICATE = "duplicate"  # this version was handled already
    SUPERSEDED = "superseded"  # a newer version of it is waiting or known
    DEFERRED = "deferred"  # the task's own rule says not now, not later
    DRY_RUN = "dry-run"  # mode: nothing is written
    SHADOW = "shadow"  # mode: drafted and reviewed, not written here


class ParkReason(StrEnum):
    """Why a draft is not made now; something brings the document back."""

    NO_ENCOUNTER = "no-encounter"  # the encounter is not in the EHR yet
    PATIENT_MISMATCH = "patient-mismatch"  # note, encounter and patient disagree
    FORMAT_NOT_YET = "format-not-yet"  # no extractor for its format
    NO_CONTENT = "no-content"  # missing, not decodable, over a limit, or outside the EHR
    CONTENT_MISMATCH = "content-mismatch"  # size or hash disagree with the bytes
    TOO_LONG = "too-long"  # does not fit any plan of the engine
    PAUSED = "paused"  # task or department is paused
    SENSITIVE_CONTENT = "sensitive-content"  # a person must decide
    REVIEW_BLOCKED = "review-blocked"  # no draft that may be shown
    ENGINE_FAILED = "engine-failed"  # the engine gave nothing usable
    RETRIES_EXHAUSTED = "retries-exhausted"  # fails while its dependency answers others
    UNKNOWN_WRITE = "unknown-write"  # the server's answer to the create is lost
    REJECTED_WRITE = "rejected-write"  # the server refused for good
    NOT_IN_EHR = "not-in-ehr"  # an event names it, the EHR does not show it yet
    DRAFT_OPEN = "draft-open"  # a draft of an earlier version is open and the target cannot replace it


class DeadLetterCode(StrEnum):
    """What cannot be read at all, or kills the worker."""

    NOT_JSON = "not-json"
    UNKNOWN_ENVELOPE = "unknown-envelope"
    INVALID_RESOURCE = "invalid-resource"
    POISON = "poison"


@dataclass(frozen=True, slots=True)
class Filed:
    """A preliminary draft is in the EHR."""

    draft_id: str
    target: str  # "DocumentReference/123" on the EHR


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Parked:
    reason: ParkReason


@dataclass(frozen=True, slots=True)
class DeadLettered:
    code: DeadLetterCode


Outcome: TypeAlias = Filed | Skipped | Parked | DeadLettered
