"""Which sentences of the source a statement rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.review.source import holds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.note.text import Span
    from sidecar.review.source import Sentence, Source
    from sidecar.review.words import Word

_MOST_EVIDENCE = 3
_MOST_SENTENCES = 6  # a line of vital signs may gather six lines of a flow sheet
_LEAST_GAIN = 0.1  # of the statement's weight that one more sentence has to add
_LEAST_CITED = 0.2  # of the statement's weight that a citation of the engine has to hold


@dataclass(frozen=True, slots=True)
class Alignment:
    """`sentences` are best first; `coverage` is the weighted share (0 to 1) of the statement's words they hold.

    Numbers, sides and negations do not count for it: whether those are right is for the checks to say.
    """

    sentences: tuple[Sentence, ...]
    coverage: float

    @property
    def evidence(self) -> tuple[Span, ...]:
        """At most three spans, best first; neighbours are joined where there would be more."""
        spans = [sentence.span for sentence in self.sentences]
        if len(spans) > _MOST_EVIDENCE:
            spans = _join_neighbours(self.sentences)
        return tuple(spans[:_MOST_EVIDENCE])


def align(source: Source, text: str, of_words: tuple[Word, ...], cited: tuple[int, ...] = ()) -> Alignment:
    """Find the sentences that `text` rests on: word for word, as cited, else by shared words.

    `of_words` are the words of `text`. `cited` are sentence numbers from 1, as the engine gave them;
    one that shares too little with the statement, or does not exist, is passed over.
    """
    verbatim = _verbatim(source, text, cited)
    if verbatim:
        return Alignment(verbatim, 1.0)
    cover = _Cover(source, of_words)
    cover.take_cited(cited)
    cover.take_best()
    cover.take_for_numbers(of_words)
    return Alignment(tuple(cover.taken), cover.share)


def _verbatim(source: Source, text: str, cited: tuple[int, ...]) -> tuple[Sentence, ...]:
    for sentence in _numbered(source, cited):
        if holds(sentence.text, text):
            return (sentence,)
    if whole := source.sentence_that_says(text):
        return (whole,)
    span = source.find(text)
    return source.overlapping(span)[:_MOST_SENTENCES] if span else ()


def _numbered(source: Source, numbers: Iterable[int]) -> list[Sentence]:
    return [source.sentences[number - 1] for number in numbers if 0 < number <= len(source.sentences)]


class _Cover:
    """Takes sentences one by one until the statement's words are covered or no sentence adds enough."""

    def __init__(self, source: Source, of_words: tuple[Word, ...]) -> None:
        content = [word for word in of_words if word.is_content] or list(of_words)
        self.source = source
        self.light = {word.key for word in content if word.is_light}
        self.weights = {word.key: source.weight(word.key) * (0.5 if word.is_light else 1) for word in content}
        self.total = sum(self.weights.values())
        self.missing = set(self.weights)
        self.taken: list[Sentence] = []

    @property
    def share(self) -> float:
        counted = self.weights.keys() - self.light or self.weights.keys()
        total = sum(self.weights[key] for key in counted)
        return sum(self.weights[key] for key in counted - self.missing) / total if total else 0.0

    def take_cited(self, cited: tuple[int, ...]) -> None:
        for sentence in _numbered(self.source, dict.fromkeys(cited)):
            held = sum(weight for key, weight in self.weights.items() if key in sentence.keys)
            if held >= _LEAST_CITED * self.total and len(self.taken) < _MOST_SENTENCES:
                self._take(sentence)

    def take_best(self) -> None:
        while self.missing and len(self.taken) < _MOST_SENTENCES:
            best = self._best()
            if best is None:
                return
            self._take(best)

    def take_for_numbers(self, of_words: tuple[Word, ...]) -> None:
        """Take, for a number that no sentence holds yet, one that holds it beside the word it stands beside here.

        Values of a long statement may come from many sentences; that word is what each is a value of.
        """
        telling = [word for word in of_words if word.is_number or (word.is_content and not word.is_light)]
        for place, word in enumerate(telling):
            if not word.is_number or word.key not in self.missing or len(self.taken) == _MOST_SENTENCES:
                continue
            beside = [near.key for near in telling[max(place - 1, 0) : place + 2] if not near.is_number]
            for number in self.source.holding(word.key):
                if any(key in self.source.sentences[number - 1].keys for key in beside):
                    self._take(self.source.sentences[number - 1])
                    break

    def _take(self, sentence: Sentence) -> None:
        self.taken.append(sentence)
        self.missing -= sentence.keys

    def _best(self) -> Sentence | None:
        gains = self._gains()
        if not gains:
            return None
        number = min(gains, key=lambda number: (-gains[number], self._length(number), number))
        return self.source.sentences[number - 1] if gains[number] >= _LEAST_GAIN * self.total else None

    def _gains(self) -> dict[int, float]:
        gains: dict[int, float] = {}
        # Words first: a further sentence that adds a number and no word would support any number there is.
        for key in sorted(self.missing, key=lambda key: (key in self.light, key)):
            for number in self.source.holding(key):
                if number in gains or not (key in self.light and self.taken):
                    gains[number] = gains.get(number, 0.0) + self.weights[key]
        return gains

    def _length(self, number: int) -> int:
        return len(self.source.sentences[number - 1].words)


def _join_neighbours(sentences: tuple[Sentence, ...]) -> list[Span]:
    joined: list[list[Sentence]] = []
    for sentence in sorted(sentences, key=lambda each: each.number):
        if joined and sentence.number == joined[-1][-1].number + 1:
            joined[-1].append(sentence)
        else:
            joined.append([sentence])
    rank = {sentence.number: place for place, sentence in enumerate(sentences)}
    joined.sort(key=lambda group: min(rank[sentence.number] for sentence in group))
    return [(group[0].start, group[-1].span[1]) for group in joined]
