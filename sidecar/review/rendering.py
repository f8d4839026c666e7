"""The draft as a clinician reads it: plain text, 72 columns."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from sidecar.review.hygiene import visible
from sidecar.review.verdict import FindingCode, OmissionKind, ReviewedDraft, ReviewedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.drafting.engine import EngineIdentity
    from sidecar.note.text import NoteText, Span
    from sidecar.review.verdict import NotCarriedOver

WIDTH = 72
BANNER = "AI DRAFT - NOT REVIEWED. Check against the note before signing."
EXTRACTIVE = "Extractive: every sentence is copied from the note."
NOT_CARRIED = "NOT CARRIED OVER - check in the note"
REMOVED = "REMOVED BY CHECKS:"
EVIDENCE = "WHERE IT STANDS IN THE NOTE"
ATTRIBUTION = "Per the note: "
_RESERVED = ("AI DRAFT", "NOT CARRIED OVER", "REMOVED BY CHECKS", "WHERE IT STANDS")
_LONGEST_QUOTE = 100
_LONGEST_TITLE = 40
_SHORT = 8  # characters of a digest or id that are enough to find it by

_LABELS = {
    OmissionKind.ALLERGY: "Allergy",
    OmissionKind.ANTICOAGULANT: "Anticoagulant",
    OmissionKind.HIGH_RISK_MEDICATION: "High-risk medication",
    OmissionKind.ABNORMAL_RESULT: "Abnormal result",
    OmissionKind.NEW_DIAGNOSIS: "New diagnosis",
    OmissionKind.PENDING_TEST: "Pending",
    OmissionKind.FOLLOW_UP: "Follow-up",
    OmissionKind.RETURN_PRECAUTION: "Return precaution",
    OmissionKind.CODE_STATUS: "Code status",
    OmissionKind.SAFETY: "Safety",
    OmissionKind.PREGNANCY: "Pregnancy",
    OmissionKind.DEVICE: "Device",
    OmissionKind.MEDICATION_CHANGE: "Medication change",
    OmissionKind.QUALIFIER: "Condition",
}

_REASONS = {
    FindingCode.NUMBER: "number not in the note",
    FindingCode.UNIT: "unit differs from the note",
    FindingCode.FREQUENCY: "frequency differs from the note",
    FindingCode.DATE: "date not in the note",
    FindingCode.NEGATION: "negation differs from the note",
    FindingCode.LATERALITY: "side differs from the note",
    FindingCode.ANATOMY: "site differs from the note",
    FindingCode.NO_EVIDENCE: "not found in the note",
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands around the statements.

    `title` is the task's, `source_title` the display of the source's type, `source_date` an ISO
    date; date and version are None where the source gives none. `attribute_plans` puts "Per the
    note:" before statements that say what to do.
    """

    title: str
    source_title: str
    source_date: str | None
    source_version: str | None
    engine: EngineIdentity
    recipe: str
    draft_id: str
    attribute_plans: bool = False


def render(reviewed: ReviewedDraft, note: NoteText, heading: Heading) -> str:
    """Return the text that is filed, with a line end after the last line.

    Evidence is numbered in order of first use. Every line that begins in the first column is ours:
    what a statement says can only follow "- " or stand indented, so it cannot pass for a heading,
    and a bracketed number in a statement is put in parentheses, so it cannot pass for a mark.
    """
    marks = _Marks(note)
    body = [*_statements(reviewed.statements, marks, heading), *_not_carried(reviewed.not_carried_over, marks)]
    lines = [*_head(heading), "", *body, *_removed(reviewed.removed), "", *marks.lines(), *_last(heading)]
    return "\n".join(lines) + "\n"


class _Marks:
    """Numbers evidence spans in order of first use."""

    def __init__(self, note: NoteText) -> None:
        self._note = note
        self._numbers: dict[Span, int] = {}

    def of(self, spans: tuple[Span, ...]) -> str:
        numbers = [self._numbers.setdefault(span, len(self._numbers) + 1) for span in spans]
        return "".join(f"[{number}]" for number in numbers)

    def of_item(self, span: Span) -> str:
        """Mark the sentence that holds an item, or the item itself where its sentence is too long to quote."""
        return self.of((_shown_with(self._note, span),))

    def lines(self) -> Iterator[str]:
        if not self._numbers:
            return
        yield EVIDENCE
        for span, number in self._numbers.items():
            yield from _wrap(f"[{number}] {_place(self._note, span)}: {_quote(self._note.slice(span))}", "", "    ")


def _shown_with(note: NoteText, span: Span) -> Span:
    for sentence in note.sentences:
        if sentence[0] <= span[0] and span[1] <= sentence[1]:
            return sentence if sentence[1] - sentence[0] <= _LONGEST_QUOTE else span
    return span


def _place(note: NoteText, span: Span) -> str:
    section = note.section_of(span)
    title = visible(section.title).strip(' :"') if section else ""
    return title[:_LONGEST_TITLE].strip() or "Note"


def _quote(text: str) -> str:
    words = visible(text)
    if len(words) <= _LONGEST_QUOTE:
        return f'"{words}"'
    cut = words.rfind(" ", 0, _LONGEST_QUOTE + 1)
    return f'"{words[: cut if cut > 0 else _LONGEST_QUOTE]} ..."'


def _head(heading: Heading) -> list[str]:
    title = f"{heading.title} of {heading.source_title}"
    if heading.source_date:
        title += f", {heading.source_date}"
    if heading.source_version:
        title += f" (version {heading.source_version})"
    lines = [BANNER, *_wrap(visible(title), "", "  ")]
    return lines if heading.engine.invents else [*lines, EXTRACTIVE]


def _statements(statements: tuple[ReviewedStatement, ...], marks: _Marks, heading: Heading) -> Iterator[str]:
    for title, group in groupby(statements, key=lambda statement: statement.section):
        yield _section_title(title)
        for statement in group:
            text = f"{_attribution(statement, heading)}{plain_of_marks(visible(statement.text))}"
            yield from _wrap(f"{text} {marks.of(statement.evidence)}", "- ", "  ")


def _section_title(title: str) -> str:
    """Return the heading line of a section; a title in the words of a block of ours is set apart from it."""
    shown = plain_of_marks(visible(title)).upper()[:WIDTH].strip() or "SUMMARY"
    return f"SECTION: {shown}"[:WIDTH] if shown.startswith(_RESERVED) or not shown[0].isalnum() else shown


_PLAN = re.compile(
    r"^(?:start|stop|hold|continue|increase|decrease|discontinue|resume|switch|change|begin|initiate|add|taper|give|take"
    r"|avoid|recommend|refer|order|obtain|schedule|follow)\b|\b(?:recommend|should|advise[ds]?|plan(?:s|ned)?\s+to)\b",
    re.IGNORECASE,
)


def _attribution(statement: ReviewedStatement, heading: Heading) -> str:
    return ATTRIBUTION if heading.attribute_plans and _PLAN.search(statement.text) else ""


_MARK = re.compile(r"\[(\s*\d[\d\s,;\u2013-]*)\]")


def plain_of_marks(text: str) -> str:
    """Return `text` with "[3]" as "(3)": marks in a draft are ours alone."""
    return _MARK.sub(r"(\1)", text)


def _not_carried(items: tuple[NotCarriedOver, ...], marks: _Marks) -> Iterator[str]:
    if items:
        yield NOT_CARRIED
    for item in items:
        text = plain_of_marks(visible(item.text))
        yield from _wrap(f"{_LABELS[item.kind]}: {text} {marks.of_item(item.source_span)}", "! ", "  ")


def _removed(removed: tuple[ReviewedStatement, ...]) -> Iterator[str]:
    if not removed:
        return
    reasons = Counter(_reason(statement) for statement in removed)
    noun = "statement" if len(removed) == 1 else "statements"
    told = ", ".join(reason if len(reasons) == 1 else f"{count} {reason}" for reason, count in reasons.items())
    yield from _wrap(f"{REMOVED} {len(removed)} {noun} ({told})", "", "  ")


def _reason(statement: ReviewedStatement) -> str:
    for finding in statement.findings:
        if finding.severity == "error":
            return _REASONS.get(finding.code, finding.code.value.replace("-", " "))
    return statement.verdict.value


def _last(heading: Heading) -> Iterator[str]:
    engine = heading.engine
    line = (
        f"{engine.name} {engine.version} {engine.digest[:_SHORT]}, recipe {heading.recipe[:_SHORT]}, "
        f"draft {heading.draft_id[:_SHORT]}"
    )
    yield from _wrap(line, "", "  ")


def _wrap(text: str, first: str, rest: str) -> list[str]:
    """Wrap at 72 columns between words only."""
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
