"""Finding the words that say what a sentence is about.

A cue is one word or a phrase in lower case; a word that ends in `*` matches all that begin with it.
Matching walks the words once, whatever the number of cues: the time is proportional to the note.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WORD = re.compile(r"\d+(?:[.,/]\d+)*|[a-z][a-z0-9]*(?:[.'/-][a-z0-9]+)*")
_PREFIX_LETTERS = 3

_Phrase: TypeAlias = tuple[tuple[str, ...], str]


def split_words(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case.

    `p.o.`, `5.9` and `120/80` are one word each; `250mg` and `56-year-old` are two.
    """
    return _WORD.findall(text.lower())


class CueIndex:
    """Cues of several topics, found together."""

    def __init__(self, cues: Mapping[str, Iterable[str]]) -> None:
        self._exact: dict[str, list[_Phrase]] = {}
        self._prefix: dict[str, list[_Phrase]] = {}
        for topic, phrases in cues.items():
            for phrase in phrases:
                self._add(tuple(phrase.split()), topic)

    def find(self, words: list[str]) -> Iterator[str]:
        """Yield the topics of all cues in the words, in order.

        Where cues overlap, the longest that begins first counts: `follow up of` is no `follow up`.
        """
        position = 0
        while position < len(words):
            length, topics = self._longest_at(words, position)
            yield from topics
            position += max(1, length)

    def _longest_at(self, words: list[str], position: int) -> tuple[int, list[str]]:
        word = words[position]
        length = 0
        topics: list[str] = []
        for phrase, topic in (*self._exact.get(word, ()), *self._prefix.get(word[:_PREFIX_LETTERS], ())):
            if len(phrase) < length or not _stands_at(phrase, words, position):
                continue
            if len(phrase) > length:
                length, topics = len(phrase), []
            topics.append(topic)
        return length, topics

    def _add(self, phrase: tuple[str, ...], topic: str) -> None:
        first = phrase[0]
        if first.endswith("*"):
            self._prefix.setdefault(first[:_PREFIX_LETTERS], []).append((phrase, topic))
        else:
            self._exact.setdefault(first, []).append((phrase, topic))


def _stands_at(phrase: tuple[str, ...], words: list[str], position: int) -> bool:
    if position + len(phrase) > len(words):
        return False
    return all(_same(wanted, words[position + offset]) for offset, wanted in enumerate(phrase))


def _same(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
