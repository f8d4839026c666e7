from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import pytest

from sidecar.drafting.engine import DraftSection, Statement
from sidecar.mappings import load_lexicon
from sidecar.note.text import NoteText, Section
from sidecar.review import ReviewPolicy, policy_from, review

if TYPE_CHECKING:
    from sidecar.review import ReviewedDraft, ReviewedStatement

_TITLE = re.compile(r"([A-Z][A-Z ]+):(?=\s|$)")
_SENTENCE = re.compile(r"(?:\(?\d+[.)]\s+)?\S.*?(?:(?<!\bDr)[.!?](?=\s|$)|$)")


def build_note(text: str) -> NoteText:
    """Every line is a paragraph of its own, and "PLAN:" at its head begins a section."""
    titles, sentences = [], []
    for line in re.finditer(r"[^\n]+", text):
        title = _TITLE.match(line.group())
        start = line.start() + (title.end() if title else 0)
        if title:
            titles.append((title[1], line.start()))
        sentences += [match.span() for match in _SENTENCE.finditer(text, start, line.end())]
    ends = [start for _, start in titles[1:]] + [len(text)]
    sections = tuple(Section(title, None, start, end) for (title, start), end in zip(titles, ends, strict=False))
    return NoteText(text, "text/plain", "utf-8", sections, tuple(sentences))


class NoteOf(Protocol):
    def __call__(self, text: str) -> NoteText: ...


@pytest.fixture(scope="session")
def note_of() -> NoteOf:
    return build_note


@pytest.fixture(scope="session")
def policy() -> ReviewPolicy:
    return policy_from(load_lexicon("critical-items"))


class Judge(Protocol):
    def __call__(self, source: str, statement: str, *sources: int) -> ReviewedStatement: ...


@pytest.fixture(scope="session")
def judge(policy: ReviewPolicy) -> Judge:
    """Review one statement against a source."""

    def judged(source: str, statement: str, *sources: int) -> ReviewedStatement:
        reviewed = review(build_note(source), (DraftSection("S", (Statement(statement, sources),)),), policy)
        return (*reviewed.statements, *reviewed.removed)[0]

    return judged


class Draft(Protocol):
    def __call__(self, source: str, *statements: str) -> ReviewedDraft: ...


@pytest.fixture(scope="session")
def draft(policy: ReviewPolicy) -> Draft:
    """Review several statements of one section against a source."""

    def drafted(source: str, *statements: str) -> ReviewedDraft:
        section = DraftSection("SUMMARY", tuple(Statement(statement, ()) for statement in statements))
        return review(build_note(source), (section,), policy)

    return drafted
