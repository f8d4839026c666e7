"""Review of a draft: every statement grounded, what is wrong removed, what is missing listed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidecar.review.grounding import CHECKS, ground
from sidecar.review.hygiene import visible, without_marks
from sidecar.review.omissions import find_omissions
from sidecar.review.plain import statement_spans
from sidecar.review.source import Source
from sidecar.review.verdict import DraftVerdict, ReviewedDraft, ReviewedStatement, Verdict

if TYPE_CHECKING:
    from sidecar.drafting.engine import DraftSection, Statement
    from sidecar.note.text import NoteText, Span
    from sidecar.review.policy import ReviewPolicy
    from sidecar.review.verdict import Finding, NotCarriedOver

REVIEW_VERSION = "1"
"""Part of the recipe: raised whenever a check or what it releases changes."""


@dataclass(frozen=True, slots=True)
class PlainStatement:
    """`span` and the draft spans of the findings index the draft."""

    span: Span
    verdict: Verdict
    evidence: tuple[Span, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class PlainReview:
    statements: tuple[PlainStatement, ...]
    not_carried_over: tuple[NotCarriedOver, ...]
    verdict: DraftVerdict


def review(note: NoteText, sections: tuple[DraftSection, ...], policy: ReviewPolicy) -> ReviewedDraft:
    """Check what an engine drafted from `note`.

    Statements that are not supported go to `removed`. The verdict is `blocked` when no statement is
    left or more than half were removed, `flagged` when anything was removed, found or not carried
    over, else `clean`. Evidence spans index ``note.text``.
    """
    source = Source(note)
    reviewed = [
        _review(source, section.title, statement, policy) for section in sections for statement in section.statements
    ]
    kept = tuple(each for each in reviewed if each.verdict is Verdict.SUPPORTED)
    removed = tuple(each for each in reviewed if each.verdict is not Verdict.SUPPORTED)
    missing = find_omissions(note, kept, policy.critical)
    findings = any(each.findings for each in kept)
    return ReviewedDraft(kept, removed, missing, judge(len(kept), len(removed), bool(missing or findings)))


def _review(source: Source, section: str, statement: Statement, policy: ReviewPolicy) -> ReviewedStatement:
    text = visible(without_marks(statement.text))
    grounding = ground(source, text, statement.sources, [CHECKS[name] for name in policy.checks])
    return ReviewedStatement(section, text, grounding.verdict, grounding.evidence, grounding.findings)


def review_plain(source: NoteText, draft: NoteText, policy: ReviewPolicy) -> PlainReview:
    """Check a draft that is given as text. Spans index ``draft.text`` and ``source.text``.

    Nothing is removed, so the verdict is `blocked` where `review` would have removed too much.
    """
    prepared = Source(source)
    statements = tuple(_review_span(prepared, draft, span, policy) for span in statement_spans(draft))
    supported = [each for each in statements if each.verdict is Verdict.SUPPORTED]
    kept = tuple(ReviewedStatement("", draft.slice(each.span), each.verdict, each.evidence) for each in supported)
    missing = find_omissions(source, kept, policy.critical)
    findings = any(each.findings for each in supported)
    removed = len(statements) - len(kept)
    return PlainReview(statements, missing, judge(len(kept), removed, bool(missing or findings)))


def _review_span(source: Source, draft: NoteText, span: Span, policy: ReviewPolicy) -> PlainStatement:
    grounding = ground(source, without_marks(draft.slice(span)), (), [CHECKS[name] for name in policy.checks])
    findings = tuple(replace(finding, draft_span=_moved(finding.draft_span, span[0])) for finding in grounding.findings)
    return PlainStatement(span, grounding.verdict, grounding.evidence, findings)


def _moved(span: Span | None, by: int) -> Span | None:
    return None if span is None else (span[0] + by, span[1] + by)


def judge(kept: int, removed: int, is_flagged: bool) -> DraftVerdict:
    """Return what a draft is worth by how many of its statements stand."""
    if kept == 0 or removed > kept:
        return "blocked"
    return "flagged" if removed or is_flagged else "clean"
