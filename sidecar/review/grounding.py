"""The verdict on one statement: what it rests on, and what the checks say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.review.align import align
from sidecar.review.checks import Check, Claim
from sidecar.review.laterality import check_laterality
from sidecar.review.negation import check_negation
from sidecar.review.numbers import check_numbers
from sidecar.review.verdict import Finding, FindingCode, Verdict
from sidecar.review.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidecar.note.text import Span
    from sidecar.review.source import Source

CHECKS: Mapping[str, Check] = {
    "numbers": check_numbers,
    "negation": check_negation,
    "laterality": check_laterality,
}

_LEAST_COVERAGE = 0.4


@dataclass(frozen=True, slots=True)
class Grounding:
    verdict: Verdict
    evidence: tuple[Span, ...]
    findings: tuple[Finding, ...]


def ground(source: Source, text: str, cited: tuple[int, ...], checks: Iterable[Check]) -> Grounding:
    """Align one bare statement with the source and run `checks` over it."""
    of_words = words(text)
    alignment = align(source, text, of_words, cited)
    if alignment.coverage < _LEAST_COVERAGE:
        return _without_evidence(text)
    claim = Claim(text, of_words, alignment, source)
    findings = tuple(finding for check in checks for finding in check(claim))
    return Grounding(_verdict(findings), alignment.evidence, findings)


def _without_evidence(text: str) -> Grounding:
    message = "Nothing in the note says this."
    finding = Finding(FindingCode.NO_EVIDENCE, "error", (0, len(text)), None, message)
    return Grounding(Verdict.UNSUPPORTED, (), (finding,))


def _verdict(findings: tuple[Finding, ...]) -> Verdict:
    errors = [finding for finding in findings if finding.severity == "error"]
    if any(finding.source_span is not None for finding in errors):
        return Verdict.CONTRADICTED
    return Verdict.UNSUPPORTED if errors else Verdict.SUPPORTED
