"""Choosing sentences within the length of a draft."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidecar.drafting.placing import Placed
    from sidecar.drafting.reading import Sentence
    from sidecar.drafting.rules import Rules
    from sidecar.drafting.task import Task

_SAME_WORDS = 0.75
_SENTENCE_WORDS = 15
_LONG_WORDS = 30
_FEW_ROWS = 3
_BARE_WORDS = 20
_LEAST = -5.0  # below it are signatures, thanks and disclaimers
_FIRST = 2.0
_FIRST_ESSENTIAL = 6.0  # no list is so long that the draft does not say why the patient came
_PER_WORD = 0.08
_STEM_LETTERS = 5
_LISTED_TOPICS = frozenset({"abnormal-result", "discharge-medication"})
_EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "he",
        "she",
        "it",
        "his",
        "her",
        "its",
        "they",
        "this",
        "that",
        "these",
        "those",
        "there",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "has",
        "have",
        "had",
        "and",
        "or",
        "of",
        "in",
        "on",
        "at",
        "to",
        "with",
        "for",
        "by",
        "as",
        "from",
        "also",
        "noted",
        "seen",
        "found",
        "shows",
        "showed",
        "show",
        "revealed",
        "revealing",
        "reveals",
        "history",
        "patient",
        "patients",
        "who",
        "which",
    ]
)
_STANDS_ALONE = frozenset({"medication-stop", "medication-change", "high-risk-medication", "allergy", "pending"})


@dataclass(frozen=True, slots=True)
class _Unit:
    """Sentences that go in together or not at all: a part of a medication list reads like all of it."""

    index: int
    sentences: tuple[Sentence, ...]
    weight: float
    value: float  # the weight less what its longest sentence costs: two short ones say more than a long one
    length: int
    essential: bool


@dataclass(slots=True)
class _Draft:
    """What is chosen so far, and the room left."""

    task: Task
    room: int
    chosen: dict[int, list[Sentence]] = field(default_factory=dict)
    seen: list[frozenset[str]] = field(default_factory=list)
    stems: list[frozenset[str]] = field(default_factory=list)

    def take(self, unit: _Unit) -> None:
        taken = self.chosen.setdefault(unit.index, [])
        most = self.task.sections[unit.index].max_statements - len(taken)
        if unit.length > self.room or len(unit.sentences) > most or all(map(self._says, unit.sentences)):
            return
        if all(map(self._covers, unit.sentences)):
            return
        self.room -= unit.length
        taken.extend(unit.sentences)
        self.seen.extend(frozenset(sentence.words) for sentence in unit.sentences)
        self.stems.extend(_stems(sentence) for sentence in unit.sentences)

    def holds(self, sentence: Sentence) -> bool:
        return any(sentence in taken for taken in self.chosen.values())

    def drop(self, index: int, sentence: Sentence) -> None:
        if sentence in self.chosen[index]:
            self.chosen[index].remove(sentence)
            self.seen.remove(frozenset(sentence.words))
            self.stems.remove(_stems(sentence))
            self.room += sentence.length

    @property
    def words(self) -> int:
        return sum(self.words_of(index) for index in self.chosen)

    def words_of(self, index: int) -> int:
        return sum(sentence.length for sentence in self.chosen.get(index, ()))

    def _says(self, sentence: Sentence) -> bool:
        words = frozenset(sentence.words)
        return any(_same(words, said) for said in self.seen)

    def _covers(self, sentence: Sentence) -> bool:
        """Say whether one chosen sentence has every word that counts: what another part of the note tells too.

        A diagnosis or an order stands for itself, wherever else its words stand.
        """
        if sentence.role is not None and sentence.role.essential:
            return False
        stems = _stems(sentence)
        return any(stems <= said for said in self.stems)


def select(placed: list[Placed], task: Task, rules: Rules) -> dict[int, list[Sentence]]:
    """Return the chosen sentences by index of the task's section, in no order.

    What is essential comes first, and may take more of the note than the rest. Of both the best comes
    first, where a section pays for the words it has already and an empty one is favoured, until the length
    is reached or the rest is not worth it. A thin draft is filled up. A note in which nothing is worth it
    gives its best sentence.
    """
    room = _room(placed, task, rules.share_of_essentials, rules)
    units = sorted(_units(placed, task, room, rules), key=_rank)
    worthy = [unit for unit in units if unit.weight >= rules.floor]
    draft = _Draft(task, room)
    _take_in_turn(draft, [unit for unit in worthy if unit.essential], rules.spread_of_essentials / room)
    draft.room -= room - _room(placed, task, rules.share_of_note, rules)
    _take_in_turn(draft, [unit for unit in worthy if not unit.essential], rules.spread / room)
    _fill(draft, units, rules)
    _show_the_end(draft, placed)
    if not draft.words:
        _take_any(draft, placed, task)
    return draft.chosen


def _show_the_end(draft: _Draft, placed: list[Placed]) -> None:
    """Carry what became of a drug that was stopped wherever an earlier sentence on it is carried, or neither."""
    ends = _ends(placed)
    for index, sentence in [(index, sentence) for index, taken in draft.chosen.items() for sentence in taken]:
        for drug in sorted(sentence.drugs & ends.keys()):
            at, end = ends[drug]
            if sentence.number >= end.number or draft.holds(end):
                continue
            draft.take(_unit(at, (end,)))
            if not draft.holds(end) and sentence.group == sentence.number:
                draft.drop(index, sentence)
                draft.take(_unit(at, (end,)))


def _ends(placed: list[Placed]) -> dict[str, Placed]:
    """Return the last sentence on each drug that is stopped in the note: the stop, or what is done after it."""
    ends: dict[str, Placed] = {}
    for item in placed:
        for drug in item[1].drugs:
            if "medication-stop" in item[1].topics or (drug in ends and "medication-change" in item[1].topics):
                ends[drug] = item
    return ends


def _fill(draft: _Draft, units: list[_Unit], rules: Rules) -> None:
    """Take what is only fairly worth it while the draft is thin, and more of it while there is next to nothing."""
    for unit in units:
        if draft.words >= rules.enough_words:
            return
        least = rules.thin_floor if draft.words >= _BARE_WORDS else _LEAST
        if least <= unit.weight < rules.floor:
            draft.take(unit)


def _take_in_turn(draft: _Draft, units: list[_Unit], price: float) -> None:
    for unit in _in_turn(_by_section(units), draft, price):
        draft.take(unit)


def _by_section(units: Iterable[_Unit]) -> dict[int, list[_Unit]]:
    queues: dict[int, list[_Unit]] = {}
    for unit in units:
        queues.setdefault(unit.index, []).append(unit)
    return queues


def _in_turn(queues: dict[int, list[_Unit]], draft: _Draft, price: float) -> Iterator[_Unit]:
    """Yield the best unit of the moment, `price` being what a section pays for each word it has."""
    heads = dict.fromkeys(queues, 0)
    while waiting := [index for index, head in heads.items() if head < len(queues[index])]:
        worth = {index: _worth(queues[index][heads[index]], draft.words_of(index), price) for index in waiting}
        best = max(waiting, key=lambda index: (worth[index], -index))
        yield queues[best][heads[best]]
        heads[best] += 1


def _worth(unit: _Unit, words: int, price: float) -> float:
    """Return the value less the price; a row of a few words pays little, so that lists come whole."""
    if not words:
        return unit.value + (_FIRST_ESSENTIAL if unit.essential else _FIRST)
    return unit.value - price * words * min(1.0, unit.length / _SENTENCE_WORDS)


def _room(placed: list[Placed], task: Task, share: float, rules: Rules) -> int:
    words = sum(sentence.length for _, sentence in placed)
    return min(task.max_words, max(rules.least_words, round(words * share)))


def _units(placed: list[Placed], task: Task, room: int, rules: Rules) -> Iterator[_Unit]:
    groups: dict[tuple[int, int], list[Sentence]] = {}
    for index, sentence in placed:
        groups.setdefault((index, sentence.group), []).append(sentence)
    for (index, _), members in groups.items():
        rows = tuple(members)
        whole = _unit(index, rows)
        if len(rows) <= task.sections[index].max_statements and whole.length <= room * _share(rows, rules):
            yield whole
        else:
            yield from (_unit(index, (row,)) for row in _apart(rows))


def _share(rows: tuple[Sentence, ...], rules: Rules) -> float:
    """Return how much of the draft rows may take that go together; a few that are no list may take all."""
    if rows[0].role is not None and rows[0].role.list > 0:
        return rows[0].role.list if len(rows) > 1 else 1.0
    return 1.0 if len(rows) <= _FEW_ROWS else rules.share_of_list


def _apart(rows: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """Return the rows of a list that is too long which may go alone.

    None may where a line before them gives the meaning ("stop the following:"). A medication list shown
    in part reads like all of it, so of that only rows that speak for themselves.
    """
    if rows[0].text.endswith(":"):
        return ()
    medications = sum("medication" in row.topics for row in rows)
    if 2 * medications < len(rows):
        return rows
    return tuple(row for row in rows if row.topics & _STANDS_ALONE)


def _unit(index: int, sentences: tuple[Sentence, ...]) -> _Unit:
    weight = max(sentence.weight for sentence in sentences)
    longest = max(
        _SENTENCE_WORDS if _may_be_long(sentence) else min(_LONG_WORDS, sentence.length) for sentence in sentences
    )
    length = sum(sentence.length for sentence in sentences)
    essential = any(sentence.essential for sentence in sentences)
    return _Unit(index, sentences, weight, weight - longest * _PER_WORD, length, essential)


def _may_be_long(sentence: Sentence) -> bool:
    """Say whether the sentence may be a list on one line, of drugs or of values: long for no fault of its own."""
    listed = sentence.role is not None and sentence.role.list > 0
    return listed or not sentence.topics.isdisjoint(_LISTED_TOPICS)


def _rank(unit: _Unit) -> tuple[float, int]:
    return -unit.value, unit.sentences[0].number


def _take_any(draft: _Draft, placed: list[Placed], task: Task) -> None:
    """Take the best single sentence that fits: a note of nothing but boilerplate still has a first line."""
    draft.room = task.max_words
    heads = (item for item in placed if item[1].group == item[1].number)
    for index, sentence in sorted(heads, key=lambda item: (-item[1].weight, item[1].number)):
        draft.take(_unit(index, (sentence,)))
        if draft.chosen[index]:
            return


def _stems(sentence: Sentence) -> frozenset[str]:
    return frozenset(word[:_STEM_LETTERS] for word in sentence.words if word not in _EMPTY_WORDS)


def _same(words: frozenset[str], said: frozenset[str]) -> bool:
    return len(words & said) >= _SAME_WORDS * len(words | said)
