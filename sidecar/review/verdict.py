"""What review says about a draft."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from sidecar.note.text import Span

Severity: TypeAlias = Literal["warning", "error"]
DraftVerdict: TypeAlias = Literal["clean", "flagged", "blocked"]


class Verdict(StrEnum):
    """What one statement is worth."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNSUPPORTED = "unsupported"
    OUT_OF_SCOPE = "out-of-scope"
    UNSAFE = "unsafe"


class FindingCode(StrEnum):
    NUMBER = "number"
    UNIT = "unit"
    DOSE = "dose"
    FREQUENCY = "frequency"
    ATTRIBUTE_SWAP = "attribute-swap"
    NEGATION = "negation"
    LATERALITY = "laterality"
    ANATOMY = "anatomy"
    DATE = "date"
    PERSON = "person"
    TEMPORALITY = "temporality"
    CERTAINTY = "certainty"
    MEDICATION = "medication"
    PROBLEM = "problem"
    CAUSALITY = "causality"
    ALLERGY = "allergy"
    COMPARISON = "comparison"
    DIAGNOSIS_SUGGESTION = "diagnosis-suggestion"
    TREATMENT_ADVICE = "treatment-advice"
    INTERACTION_CLAIM = "interaction-claim"
    FOREIGN_CONTENT = "foreign-content"
    INJECTION = "injection"
    MARKUP = "markup"
    NO_EVIDENCE = "no-evidence"
    QUALIFIER = "qualifier"
    INSTRUCTION = "instruction"
    JARGON = "jargon"
    READABILITY = "readability"
    CODE = "code"
    SOURCE_CONFLICT = "source-conflict"


class OmissionKind(StrEnum):
    """Kinds of critical items of the source that no statement carries."""

    ALLERGY = "allergy"
    ANTICOAGULANT = "anticoagulant"
    HIGH_RISK_MEDICATION = "high-risk-medication"
    ABNORMAL_RESULT = "abnormal-result"
    NEW_DIAGNOSIS = "new-diagnosis"
    PENDING_TEST = "pending-test"
    FOLLOW_UP = "follow-up"
    RETURN_PRECAUTION = "return-precaution"
    CODE_STATUS = "code-status"
    SAFETY = "safety"
    PREGNANCY = "pregnancy"
    DEVICE = "device"
    MEDICATION_CHANGE = "medication-change"
    QUALIFIER = "qualifier"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. Spans index the statement's draft text and the source text.

    `message` is a sentence that a clinician understands; it goes to the draft's reader and to
    stdout of `sidecar review`, never to a log.
    """

    code: FindingCode
    severity: Severity
    draft_span: Span | None
    source_span: Span | None
    message: str


@dataclass(frozen=True, slots=True)
class ReviewedStatement:
    """`text` is bare; `evidence` are spans of the source text, best first, at most three."""

    section: str
    text: str
    verdict: Verdict
    evidence: tuple[Span, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class NotCarriedOver:
    """A critical item of the source that no statement carries. `text` is the source's own words."""

    kind: OmissionKind
    text: str
    source_span: Span


@dataclass(frozen=True, slots=True)
class ReviewedDraft:
    """Statements in draft order, removed ones apart, and what the draft leaves out."""

    statements: tuple[ReviewedStatement, ...]
    removed: tuple[ReviewedStatement, ...]
    not_carried_over: tuple[NotCarriedOver, ...]
    verdict: DraftVerdict
