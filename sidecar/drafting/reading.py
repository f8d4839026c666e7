"""The source as the extractive engine reads it: sentences with their section, topics and weight."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from sidecar.drafting.cues import split_words
from sidecar.drafting.rules import plain_title
from sidecar.drafting.weighing import Standing, drugs_in, find_topics, is_essential, is_row, weigh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.drafting.rules import Role, Rules
    from sidecar.note.text import NoteText, Section, Span

_LIST_MARKER = re.compile(r"^(?:[-*•·–—]|\(?\d{1,2}[.)](?!\d)|[a-z][.)])\s*(?=\S)")  # noqa: RUF001 - dashes that lists begin with
_POINTS_BACK = re.compile(
    r"(?:this|these|it|both|that|which)\s+(?:also\s+)?(?:was|were|showed|shows|show|revealed|reveals|reveal|demonstrate[sd]?)\b",
    re.IGNORECASE,
)
_HEADS_LIST = re.compile(r"(?::|\bas follows\W?|\bthe following(?: \w+){0,2}\W?)$", re.IGNORECASE)
_DIGITS_IN_BRACKETS = re.compile(r"\[(\d+)\]")
_FRAGMENT_WORDS = 12
_BARE_WORDS = 3
_SPEECHLESS_WORDS = 2
_YIELDED = 6.0
_HOLD_INNER = frozenset({"exam", "systems", "course", "assessment", "plan"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the note, `number` from 1. `text` is what a statement of it reads.

    `block` counts the sections of the note, 0 for text before the first title. `group` is the number of
    the sentence with which a row stands or falls: the head of its list, else its own.
    """

    number: int
    text: str
    words: tuple[str, ...]
    length: int
    block: int
    group: int
    title: str
    role: Role | None
    topics: frozenset[str]
    drugs: frozenset[str]
    weight: float
    essential: bool


def read_note(note: NoteText, rules: Rules) -> list[Sentence]:
    """Return the sentences in source order, without those that the note repeats.

    Rows of lists stay: a diagnosis on admission is not a repeat of the same one at discharge.
    """
    repeats = [repeat for repeat, _ in note.duplicates]
    return list(_weigh(_place(note, repeats), note, rules))


@dataclass(frozen=True, slots=True)
class _Placed:
    number: int
    span: Span
    section: Section | None
    block: int
    position: int  # of the sentence in its section, from 0
    repeats: bool


def _place(note: NoteText, repeats: list[Span]) -> Iterator[_Placed]:
    """Walk sentences and sections together, which both are in order; sections may lie in one another."""
    begun, block, position, repeated = 0, 0, 0, _Spans(repeats)
    open_blocks: list[int] = []
    for number, span in enumerate(note.sentences, 1):
        while begun < len(note.sections) and note.sections[begun].start <= span[0]:
            begun += 1
            open_blocks.append(begun)
        while open_blocks and note.sections[open_blocks[-1] - 1].end <= span[0]:
            open_blocks.pop()
        inner = open_blocks[-1] if open_blocks else 0
        block, position = inner, position + 1 if inner == block else 0
        section = note.sections[block - 1] if block else None
        yield _Placed(number, span, section, block, position, repeated.hold(span))


class _Spans:
    """Spans in order, asked in order."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = sorted(spans)
        self._next = 0

    def hold(self, span: Span) -> bool:
        while self._next < len(self._spans) and self._spans[self._next][1] <= span[0]:
            self._next += 1
        return self._next < len(self._spans) and self._spans[self._next][0] <= span[0]


def _weigh(placed: Iterator[_Placed], note: NoteText, rules: Rules) -> Iterator[Sentence]:
    roles, groups = _Roles(note.sections, rules), _Groups()
    for at in placed:
        words = split_words(note.slice(at.span))
        if not words:
            continue
        topics, row = find_topics(words, rules), is_row(words)
        listed = row or "medication" in topics
        role, need = roles.at(at.block)
        if role is not None and _left(role, at.position, listed=listed):
            role, need = None, _Title.NOT_NEEDED
        if at.repeats and not (role is not None and role.list > 0):
            continue
        titled = at.section if _titled(need, at, words, row=row) else None
        always = need is _Title.ALWAYS or (need is _Title.ROWS and row)
        text = statement_text(note, at.span, titled, always=always)
        standing = Standing(role, at.position)
        yield Sentence(
            number=at.number,
            text=text,
            words=tuple(words),
            length=len(text.split()),
            block=at.block,
            group=groups.of(
                at,
                role,
                listed=listed,
                heads=_HEADS_LIST.search(text) is not None and "salutation" not in topics,
                goes_on=_POINTS_BACK.match(note.slice(at.span)) is not None,
            ),
            title=plain_title(at.section.title) if at.section and role is not None else "",
            role=role,
            topics=frozenset(topics),
            drugs=drugs_in(words, rules) if "medication" in topics else frozenset(),
            weight=weigh(words, topics, rules, standing) - (_YIELDED if roles.yields(role) else 0),
            essential=is_essential(words, topics, rules, standing) and not roles.yields(role),
        )


def _left(role: Role, position: int, *, listed: bool) -> bool:
    """Say whether the text has left the section without a new title: a letter after its date, prose after a list."""
    return 0 < role.first <= position or (role.list > 0 and position > 0 and not listed)


class _Groups:
    """Rows that go together: those of a list role, and those under a line that ends in a colon."""

    def __init__(self) -> None:
        self._block = -1
        self._head: int | None = None
        self._list: int | None = None  # the head of the list that the section is
        self._last = 0

    def of(self, at: _Placed, role: Role | None, *, listed: bool, heads: bool, goes_on: bool) -> int:
        """Return the number of the sentence that heads the group of this one; ask in order.

        `listed`: may be a row of a list; `heads`: introduces the rows that follow; `goes_on`: means
        nothing without the sentence before it.
        """
        if not (goes_on and at.block == self._block):
            self._last = self._find(at, role, listed=listed, heads=heads)
        return self._last

    def _find(self, at: _Placed, role: Role | None, *, listed: bool, heads: bool) -> int:
        if at.block != self._block:
            self._list = at.number if role is not None and role.list > 0 else None
            self._block, self._head = at.block, self._list
        elif not listed:
            self._head = None
        elif self._head is None:
            self._head = self._list
        if heads:
            self._head = at.number
        return at.number if self._head is None else self._head


class _Title(Enum):
    """Which sentences under a title mean nothing, or something else, without it."""

    NOT_NEEDED = auto()
    HEAD = auto()  # a fragment at the head: `ALLERGIES: None.`
    ROWS = auto()  # every row: nobody knows what the title says
    ALWAYS = auto()  # every sentence: `STOPPED MEDICATIONS: Lisinopril.`


class _Roles:
    """Roles of the sections in order; a title that says nothing, or stands inside another, takes what holds it."""

    def __init__(self, sections: tuple[Section, ...], rules: Rules) -> None:
        self._roles: list[tuple[Role | None, _Title]] = [(None, _Title.NOT_NEEDED)]
        for section in sections:
            self._roles.append(self._enter(section, self._roles[-1][0], rules))
        self._names = frozenset(role.name for role, _ in self._roles if role is not None)

    def yields(self, role: Role | None) -> bool:
        """Say whether the note has another section that makes one of this role superfluous."""
        return role is not None and not role.yields_to.isdisjoint(self._names)

    def at(self, block: int) -> tuple[Role | None, _Title]:
        """Return the role of a section, and where its title is needed."""
        return self._roles[block]

    @staticmethod
    def _enter(section: Section, outer: Role | None, rules: Rules) -> tuple[Role | None, _Title]:
        found = rules.role_of(plain_title(section.title))
        if found is None:
            return outer, _Title.ROWS
        inside = found.inner and outer is not None and outer.name in _HOLD_INNER
        need = _Title.ALWAYS if found.labels else _Title.HEAD if found.names else _Title.NOT_NEEDED
        return outer if inside else found, need


def _titled(need: _Title, at: _Placed, words: list[str], *, row: bool) -> bool:
    match need:
        case _Title.ALWAYS:
            return True
        case _Title.ROWS:
            return row or at.position == 0
        case _Title.HEAD:
            return at.position == 0
        case _Title.NOT_NEEDED:
            return at.position == 0 and len(words) <= _SPEECHLESS_WORDS


def statement_text(note: NoteText, span: Span, titled: Section | None, *, always: bool = False) -> str:
    """Return the sentence with white space made single and its list marker gone.

    Under a `titled` section a fragment keeps that title, because `None.` means nothing without
    `ALLERGIES:`; `always` keeps it before longer sentences too. Marks of evidence are ours: `[3]` of a
    note reads `(3)`.
    """
    body = _LIST_MARKER.sub("", " ".join(note.slice(span).split()))
    if titled is not None and (always or len(body.split()) <= _title_words(note, titled, span)):
        body = f"{' '.join(titled.title.split()).rstrip(' :')}: {body}"
    return _DIGITS_IN_BRACKETS.sub(r"(\1)", body)


def _title_words(note: NoteText, section: Section, span: Span) -> int:
    """Return how long a fragment may be that takes its title: one on a line of its own is not run into it."""
    head = note.text[section.start : span[0]].rstrip()
    return _BARE_WORDS if head and head[-1].isalnum() else _FRAGMENT_WORDS
