"""A note prepared once, so that every statement of a draft can be looked up in it."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.review.words import Word, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import NoteText, Span


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the source; offsets of `words` index `text`, `start` is where it begins in the source.

    `keys` are those of its words and of its section's title: "None." says something under "Complications".
    """

    number: int
    start: int
    text: str
    words: tuple[Word, ...]
    keys: frozenset[str]

    @property
    def span(self) -> Span:
        return self.start, self.start + len(self.text)


class Source:
    """Sentences of a note, an index of their words, and how much each word says."""

    __slots__ = ("_by_text", "_document", "_postings", "note", "sentences")

    def __init__(self, note: NoteText) -> None:
        self.note = note
        self.sentences = tuple(_sentences(note))
        self._postings = _index(self.sentences)
        self._document = _Document(note.text)
        self._by_text = {_comparable(sentence.text): sentence for sentence in reversed(self.sentences)}

    def weight(self, key: str) -> float:
        """Return how much `key` says: rare words much, words in every sentence little."""
        found = len(self._postings.get(key, ())) or 1
        return math.log(1 + len(self.sentences) / found)

    def holding(self, key: str) -> tuple[int, ...]:
        """Return the numbers of the sentences that hold `key`, in order."""
        return self._postings.get(key, ())

    def sentence_that_says(self, text: str) -> Sentence | None:
        """Return the first sentence that is `text`, case, white space and a last full stop aside."""
        return self._by_text.get(_comparable(text))

    def find(self, text: str) -> Span | None:
        """Return where the source says `text` word for word, case, white space and a last full stop aside."""
        return self._document.find(text)

    def overlapping(self, span: Span) -> tuple[Sentence, ...]:
        """Return the sentences that share at least one character with `span`."""
        first = bisect_right(self.sentences, span[0], key=lambda sentence: sentence.start)
        found = []
        for sentence in self.sentences[max(first - 1, 0) :]:
            if sentence.start >= span[1]:
                break
            if sentence.span[1] > span[0]:
                found.append(sentence)
        return tuple(found)


def _sentences(note: NoteText) -> Iterator[Sentence]:
    titles = [(section.start, _keys(words(section.title))) for section in note.sections]
    for number, (start, end) in enumerate(note.sentences, 1):
        place = bisect_right(titles, start, key=lambda title: title[0]) - 1
        found = words(note.text[start:end])
        title = titles[place][1] if place >= 0 and start < note.sections[place].end else frozenset()
        yield Sentence(number, start, note.text[start:end], found, _keys(found) | title)


def _keys(of_words: tuple[Word, ...]) -> frozenset[str]:
    return frozenset(word.key for word in of_words)


def _index(sentences: tuple[Sentence, ...]) -> dict[str, tuple[int, ...]]:
    postings: defaultdict[str, list[int]] = defaultdict(list)
    for sentence in sentences:
        for key in sentence.keys:
            postings[key].append(sentence.number)
    return {key: tuple(numbers) for key, numbers in postings.items()}


class _Document:
    """The text with white space folded and case dropped, and the way back to its offsets."""

    __slots__ = ("_folded", "_folded_starts", "_starts")

    def __init__(self, text: str) -> None:
        pieces = list(re.finditer(r"\S+", text))
        self._starts = [piece.start() for piece in pieces]
        folded = [_lower(piece.group()) for piece in pieces]
        self._folded = " ".join(folded)
        self._folded_starts = _starts(folded)

    def find(self, text: str) -> Span | None:
        wanted = _comparable(text)
        if not wanted:
            return None
        at = self._folded.find(wanted)
        while at >= 0:
            if _whole(self._folded, at, at + len(wanted)):
                return self._offset(at), self._offset(at + len(wanted) - 1) + 1
            at = self._folded.find(wanted, at + 1)
        return None

    def _offset(self, at: int) -> int:
        piece = bisect_right(self._folded_starts, at) - 1
        return self._starts[piece] + at - self._folded_starts[piece]


def _comparable(text: str) -> str:
    return _fold_space(text).rstrip(".")


def is_same(text: str, other: str) -> bool:
    """Say whether both are one text, case, white space and a last full stop aside."""
    return _comparable(text) == _comparable(other)


def holds(sentence: str, text: str) -> bool:
    """Say whether `sentence` holds `text` in one piece, case, white space and a last full stop aside."""
    within, wanted = _fold_space(sentence), _comparable(text)
    at = within.find(wanted) if wanted else -1
    while at >= 0:
        if _whole(within, at, at + len(wanted)):
            return True
        at = within.find(wanted, at + 1)
    return False


def _fold_space(text: str) -> str:
    """Return `text` in lower case with single spaces."""
    return " ".join(_lower(piece) for piece in text.split())


def _lower(piece: str) -> str:
    lower = piece.lower()
    return lower if len(lower) == len(piece) else piece  # "İ" grows when lowered, and offsets must hold


def _starts(pieces: list[str]) -> list[int]:
    starts, at = [], 0
    for piece in pieces:
        starts.append(at)
        at += len(piece) + 1
    return starts


_GLUE = frozenset(".,/-+:%'\u2013")


def _whole(text: str, start: int, end: int) -> bool:
    """Say whether nothing is cut off at either side: "5 mg" is not in "2.5 mg", "no pain" is not in "no pain-free"."""
    return not _continues(text[:start][-2:][::-1]) and not _continues(text[end : end + 2])


def _continues(outward: str) -> bool:
    if not outward:
        return False
    if outward[0].isalnum():
        return True
    return outward[0] in _GLUE and outward[1:].isalnum()
