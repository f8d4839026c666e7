"""The engine that invents nothing: it picks sentences of the source and orders them.

Deterministic, and as fast as reading. Whole sentences only, so that no negation, limit or unit is
lost; what a note says is never an instruction to it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sidecar.drafting.engine import DraftAnswer, DraftRequest, DraftSection, EngineIdentity, Statement
from sidecar.drafting.placing import place
from sidecar.drafting.reading import read_note
from sidecar.drafting.rules import Rules
from sidecar.drafting.selection import select
from sidecar.errors import ParkEvent
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from sidecar.drafting.reading import Sentence
    from sidecar.mappings import Mappings

VERSION = "2.0"
"""Raised with every change of the code that can change a draft; the tables have their own digest."""


def open_extractive(mappings: Mappings) -> ExtractiveEngine:
    """Return the engine with the lexicons of these mappings. Raises `ConfigError`."""
    return ExtractiveEngine(Rules.load(mappings.overlay))


class ExtractiveEngine:
    """An `Engine` over rule tables; see `Rules.load` for where they lie."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def identity(self) -> EngineIdentity:
        digest = hashlib.sha256(f"extractive {VERSION} {self._rules.digest}".encode()).hexdigest()
        return EngineIdentity("extractive", VERSION, digest, invents=False)

    async def draft(self, request: DraftRequest) -> DraftAnswer:
        """Return sections in the task's order, statements of each in source order.

        Raises `ParkEvent` (engine-failed) for a note without a sentence that fits into the task's length.
        """
        return extract_draft(request, self._rules)

    async def aclose(self) -> None:
        """Nothing is held open."""


def extract_draft(request: DraftRequest, rules: Rules) -> DraftAnswer:
    task = request.task
    sentences = read_note(request.note, rules)
    chosen = select(place(sentences, task, rules), task, rules)
    if not chosen:
        raise ParkEvent(ParkReason.ENGINE_FAILED, f"sentences={len(sentences)} max_words={task.max_words}")
    sections = (
        DraftSection(
            section.title,
            tuple(Statement(item.text, (item.number,)) for item in sorted(chosen.get(index, ()), key=_number)),
        )
        for index, section in enumerate(task.sections)
    )
    return DraftAnswer(tuple(section for section in sections if section.statements))


def _number(sentence: Sentence) -> int:
    return sentence.number
