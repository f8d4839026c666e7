"""Which section of the draft a source sentence would go to."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from sidecar.drafting.rules import title_holds

if TYPE_CHECKING:
    from sidecar.drafting.reading import Sentence
    from sidecar.drafting.rules import Rules
    from sidecar.drafting.task import Task

_OPENING_SENTENCES = 2
_REASON = "reason"

Placed: TypeAlias = tuple[int, "Sentence"]
"""Index of a section of the task, and a sentence."""


def place(sentences: list[Sentence], task: Task, rules: Rules) -> list[Placed]:
    """Return each sentence with the draft section it belongs to.

    In this order: a topic that moves it out of its source section (an allergy told in the history), the
    title of its source section, the opening of a note without titles, another of its topics, the section
    of the sentence before it. Rows of a group stay together.
    """
    placing = _Placing(task, rules)
    placed, last = [], 0
    for _, members in groupby(sentences, key=attrgetter("group")):
        rows = list(members)
        last = placing.index_of_list(rows, last) if len(rows) > 1 else placing.index_of(rows[0], last)
        placed += [(last, row) for row in rows]
    return placed


class _Placing:
    def __init__(self, task: Task, rules: Rules) -> None:
        self._task = task
        self._rules = rules
        self._by_topic = {topic: index for index, section in enumerate(task.sections) for topic in section.topics}
        self._movers = sorted(
            (topic for topic in rules.topics.values() if topic.moves_from and topic.name in self._by_topic),
            key=lambda topic: (-topic.weight, topic.name),
        )
        self._by_title: dict[str, int | None] = {}

    def index_of_list(self, rows: list[Sentence], last: int) -> int:
        """Return the section of the head of a list, for medications theirs whatever the title says.

        A history that names drugs stays one: "valve replacement, on chronic Coumadin".
        """
        medications = sum("medication" in row.topics for row in rows)
        told = rows[0].role is not None and rows[0].role.past
        if 2 * medications >= len(rows) and not told and "medication" in self._by_topic:
            return self._by_topic["medication"]
        return self.index_of(rows[0], last)

    def index_of(self, sentence: Sentence, last: int) -> int:
        for find in (self._moved, self._of_title, self._of_opening, self._of_topic):
            if (found := find(sentence)) is not None:
                return found
        return last

    def _moved(self, sentence: Sentence) -> int | None:
        role = sentence.role.name if sentence.role else "none"
        for topic in self._movers:
            if topic.name in sentence.topics and not topic.moves_from.isdisjoint({role, "any"}):
                # "67-year-old man seen for follow-up after a changed dose" still says why he was seen.
                if _REASON in sentence.topics and "any" not in topic.moves_from:
                    continue
                return self._by_topic[topic.name]
        return None

    def _of_title(self, sentence: Sentence) -> int | None:
        """Return the section with the longest phrase in the title, else with one in a title of the same role."""
        if not sentence.title:
            return None
        if sentence.title not in self._by_title:
            found = self._match(sentence.title)
            if found is None and sentence.role is not None:
                found = self._match(" ".join(sentence.role.titles[:1]))
            self._by_title[sentence.title] = found
        return self._by_title[sentence.title]

    @staticmethod
    def _of_opening(sentence: Sentence) -> int | None:
        """Return the first section for the first words of a note without titles: they say why it was written."""
        opens = sentence.number <= _OPENING_SENTENCES and not sentence.title and "normal" not in sentence.topics
        return 0 if opens else None

    def _match(self, title: str) -> int | None:
        best, length = None, 0
        for index, section in enumerate(self._task.sections):
            for phrase in section.from_sections:
                if len(phrase) > length and title_holds(title, phrase):
                    best, length = index, len(phrase)
        return best

    def _of_topic(self, sentence: Sentence) -> int | None:
        topics = sentence.topics & self._by_topic.keys()
        if not topics:
            return None
        return self._by_topic[min(topics, key=lambda name: (-self._rules.topics[name].weight, name))]
