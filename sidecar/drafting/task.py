"""The documentation tasks that exist, and what a mapping file says about one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    """Closed on purpose: there is no kind for diagnosis, treatment advice or drug interaction."""

    SUMMARY = "summary"
    PATIENT_MESSAGE = "patient-message"
    INTAKE_FORM = "intake-form"
    DOCUMENT_DRAFT = "document-draft"
    GLOSSARY = "glossary"


@dataclass(frozen=True, slots=True)
class TaskSection:
    """One section of the draft: its title and the titles of source sections that feed it."""

    title: str
    from_sections: tuple[str, ...]
    topics: tuple[str, ...]
    max_statements: int


@dataclass(frozen=True, slots=True)
class Coding:
    system: str
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class Task:
    """One `mappings/tasks/*.yaml`, loaded and checked.

    `max_words` bounds the statements of the draft; `min_words` is the least a note must hold;
    `max_age_days` None means no limit.
    """

    kind: TaskKind
    title: str
    type: Coding
    category: Coding
    sections: tuple[TaskSection, ...]
    min_words: int
    max_words: int
    max_age_days: int | None
    languages: tuple[str, ...]
