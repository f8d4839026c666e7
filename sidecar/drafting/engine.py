"""What a drafting engine is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sidecar.drafting.task import Task
    from sidecar.note.text import NoteText


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """One note and the task to draft from it.

    The engine refers to source sentences by number: n is ``note.sentences[n - 1]``.
    """

    task: Task
    note: NoteText


@dataclass(frozen=True, slots=True)
class Statement:
    """One bare statement and the numbers (from 1) of the source sentences it rests on."""

    text: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DraftSection:
    title: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Who drafted: goes on the last line of the draft, into Device and Provenance.

    `digest` identifies weights or rules; `invents` is False for engines whose every statement is
    a sentence of the source, which need no validation report.
    """

    name: str
    version: str
    digest: str
    invents: bool


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    sections: tuple[DraftSection, ...]
    input_tokens: int = 0
    output_tokens: int = 0


class Engine(Protocol):
    """Drafts from one note at a time; safe to call concurrently and to cancel."""

    @property
    def identity(self) -> EngineIdentity: ...

    async def draft(self, request: DraftRequest) -> DraftAnswer:
        """Return sections in the task's order.

        Raises `ParkEvent` (too long, engine failed) and `EngineUnavailable`.
        """
        ...

    async def aclose(self) -> None: ...
