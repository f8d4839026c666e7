from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from sidecar.drafting.rules import Rules
from sidecar.drafting.task import TaskKind
from sidecar.mappings import Mappings
from sidecar.note.text import NoteText, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.drafting.task import Task

Parts: TypeAlias = list[tuple[str, list[str]]]


def build_note(parts: Parts, *, colon: bool = True) -> NoteText:
    """Lay out sections of sentences as a plain note; an empty title is text before the first one."""
    text, sections, sentences = "", [], []
    for title, bodies in parts:
        start = len(text)
        text += f"{title}{':' if colon else ''}\n" if title else ""
        for body in bodies:
            sentences.append((len(text), len(text) + len(body)))
            text += f"{body}\n"
        text += "\n"
        if title:
            sections.append(Section(title, None, start, len(text)))
    return NoteText(text, "text/plain", "utf-8", tuple(sections), tuple(sentences))


@pytest.fixture(scope="session")
def make_note() -> Callable[..., NoteText]:
    return build_note


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return Mappings.load()


@pytest.fixture(scope="session")
def summary(mappings: Mappings) -> Task:
    return mappings.tasks[TaskKind.SUMMARY]


@pytest.fixture(scope="session")
def rules() -> Rules:
    return Rules.load()
