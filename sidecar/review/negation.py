"""A finding that the note denies is not asserted, nor the other way round."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sidecar.review.assertions import is_negated, negated_spans, open_spans
from sidecar.review.checks import Claim, in_source
from sidecar.review.edits import edits
from sidecar.review.verdict import Finding, FindingCode
from sidecar.review.words import Word, are_about_the_same, content_keys, fold, is_denial, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import Span
    from sidecar.review.source import Sentence, Source

# Words that are negated or not for reasons of grammar, whatever the finding.
_GENERIC = content_keys(
    """
    evidence sign signs symptom symptoms history today further other known significant complaint complaints report
    reports denies denied deny state states noted notes any current currently recent recently acute active new positive
    negative present absent normal abnormal time times day days week weeks month months year years since also well
    seen found see find identified appreciated obvious definite gross issue issues problem problems concern associated
    right left bilateral bilaterally side otherwise need needed required given take taken taking use used using feel
    felt feels feeling able go going get make made want think know come came back review reviewed system systems
    exam examination episode episodes type area level mild moderate severe male female man woman old general specific
    specifically however although without no not never none negative longer reveal reveals revealed show shows showed
    shown demonstrate demonstrates demonstrated indicate indicates appear appears perform performed obtain obtained
    """
)
_ITEM_BORDER = re.compile(r"[,;/]|\b(?:or|and|nor)\b", re.IGNORECASE)
_MOST_OF_ITEM = 0.6


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing that a sentence denies: "chest pain" of "denies chest pain or cough"."""

    keys: frozenset[str]
    span: Span


@dataclass(frozen=True, slots=True)
class _Assertions:
    """What a text denies, item by item, and the words of what it asserts."""

    denied: tuple[_Item, ...]
    asserted: frozenset[str]

    @property
    def denied_keys(self) -> frozenset[str]:
        return frozenset().union(*(item.keys for item in self.denied))

    def asserts(self, keys: frozenset[str]) -> bool:
        return len(keys & self.asserted) >= _MOST_OF_ITEM * len(keys) and not keys & self.denied_keys

    def denies(self, keys: frozenset[str]) -> bool:
        return any(len(keys & item.keys) >= _MOST_OF_ITEM * len(keys) for item in self.denied)


def check_negation(claim: Claim) -> tuple[Finding, ...]:
    """Find an item that the statement asserts and the evidence denies, or the reverse.

    Words under a condition ("if", "rule out"), or of something that ended ("resolved"), count for
    neither: there a flip cannot be told from a paraphrase. Where the note says both, neither is wrong.
    """
    if claim.is_verbatim:
        return ()
    compared = [sentence for sentence in claim.evidence if are_about_the_same(claim.words, sentence.words)]
    if in_place := _changed_in_place(claim, compared):
        return (in_place,)
    said = _assertions(claim.text, claim.words)
    for sentence in compared:
        found = _assertions(sentence.text, sentence.words)
        for finding in (
            *_asserts_denied(claim, said, found, sentence),
            *_denies_asserted(claim, said, found, sentence),
        ):
            return (finding,)
    return ()


def _asserts_denied(claim: Claim, said: _Assertions, found: _Assertions, sentence: Sentence) -> Iterator[Finding]:
    for item in found.denied:
        own = item.keys - found.asserted  # "numbness down her legs, no pain down her legs"
        is_asserted = own and said.asserts(own) and said.asserts(item.keys)
        if is_asserted and not _says_elsewhere(claim.source, item.keys, denied=False):
            at = _first_of(claim.words, own)
            told = f'The note denies "{_written(claim.text, at)}", the draft says it is so.'
            yield Finding(FindingCode.NEGATION, "error", at, in_source(sentence, item.span), told)


def _denies_asserted(claim: Claim, said: _Assertions, found: _Assertions, sentence: Sentence) -> Iterator[Finding]:
    for item in said.denied:
        if found.asserts(item.keys) and not _says_elsewhere(claim.source, item.keys, denied=True):
            at = _first_of(sentence.words, item.keys)
            told = f'The note says "{_written(sentence.text, at)}" is so, the draft denies it.'
            yield Finding(FindingCode.NEGATION, "error", item.span, in_source(sentence, at), told)


def _says_elsewhere(source: Source, keys: frozenset[str], *, denied: bool) -> bool:
    """Say whether any sentence of the source denies, or asserts, the item."""
    rarest = min(keys, key=lambda key: len(source.holding(key)))
    for number in source.holding(rarest):
        sentence = source.sentences[number - 1]
        found = _assertions(sentence.text, sentence.words)
        if found.denies(keys) if denied else found.asserts(keys):
            return True
    return False


def _first_of(of_words: tuple[Word, ...], keys: frozenset[str]) -> Span:
    return next(((word.start, word.end) for word in of_words if word.key in keys), (0, 0))


def _written(text: str, span: Span) -> str:
    return text[span[0] : span[1]]


def _assertions(text: str, of_words: tuple[Word, ...]) -> _Assertions:
    negated, unsettled = negated_spans(text), open_spans(text)
    denied = [item for span in negated for item in _items(text, span, unsettled)]
    asserted = set()
    for word in of_words:
        root = _root(text[word.start : word.end])
        if root:
            denied.append(_Item(frozenset({root}), (word.start, word.end)))
        elif _is_finding(word) and not is_negated(word.start, negated) and not is_negated(word.start, unsettled):
            asserted.add(word.key)
    return _Assertions(tuple(denied), frozenset(asserted))


def _items(text: str, span: Span, unsettled: tuple[Span, ...]) -> Iterator[_Item]:
    at = span[0]
    for border in [*_ITEM_BORDER.finditer(text, *span), None]:
        end = border.start() if border else span[1]
        keys = frozenset(word.key for word in words(text[at:end]) if _is_finding(word))
        if keys and not is_negated(at, unsettled):
            yield _Item(keys, (at + len(text[at:end]) - len(text[at:end].lstrip()), end))
        at = border.end() if border else end


def _is_finding(word: Word) -> bool:
    return word.is_content and not word.is_number and word.key not in _GENERIC and len(word.key) > 2


def _root(written: str) -> str | None:
    """Return the key of "tender" for "nontender": a denial in one word."""
    lower = written.lower()
    if lower == "afebrile":
        return fold("febrile")
    return fold(lower) if is_denial(lower) else None


_NEGATORS = frozenset(
    word.key for word in words("no not never without denies denied denying neither nor negative none nil")
)
_POLAR = _NEGATORS | content_keys(
    "with has have reports reported report endorses endorsed states positive present any longer evidence sign signs"
)


_SENTENCE_END = re.compile(r"[.;!?](?=\s+\S)")


class _Step(NamedTuple):
    key: str
    span: Span


def _changed_in_place(claim: Claim, compared: list[Sentence]) -> Finding | None:
    """Compare with sentences that differ, where the statement has their words, in nothing but negating words."""
    mine = _steps(claim.text, claim.words)
    for sentence in compared:
        theirs = _steps(sentence.text, sentence.words)
        changed = _polar_edits(mine, theirs)
        said, found = [step for each, _ in changed for step in each], [step for _, each in changed for step in each]
        if _negations(said) != _negations(found):
            at = in_source(sentence, found[0].span if found else (0, len(sentence.text)))
            message = "The draft and the note differ in a word that negates."
            around = said[0].span if said else (0, len(claim.text))
            return Finding(FindingCode.NEGATION, "error", around, at, message)
    return None


def _polar_edits(mine: list[_Step], theirs: list[_Step]) -> list[tuple[list[_Step], list[_Step]]]:
    """Return the differences that hold nothing but polar words; "pain: none" and "denies pain" make two that cancel."""
    changed = []
    for edit in edits([step.key for step in mine], [step.key for step in theirs]):
        said, found = mine[edit.mine.start : edit.mine.stop], theirs[edit.theirs.start : edit.theirs.stop]
        if 0 in (edit.mine.start, edit.theirs.start):
            said, found = _last_sentence(said), _last_sentence(found)
        elif edit.mine.stop == len(mine) or edit.theirs.stop == len(theirs):
            said, found = _last_sentence(said[::-1])[::-1], _last_sentence(found[::-1])[::-1]
        if {step.key for step in (*said, *found)} <= _POLAR:
            changed.append((said, found))
    return changed


def _last_sentence(steps: list[_Step]) -> list[_Step]:
    """Return what stands behind the last end of a sentence: what goes before it belongs to another sentence."""
    ends = [place for place, step in enumerate(steps) if step.key == "."]
    return steps[ends[-1] + 1 :] if ends else steps


def _negations(steps: list[_Step]) -> int:
    return sum(step.key in _NEGATORS for step in steps)


def _steps(text: str, of_words: tuple[Word, ...]) -> list[_Step]:
    """Return the words of meaning and the ends of sentences; "doesn't" is "not", "nontender" is "not" and "tender"."""
    steps = [_Step(".", match.span()) for match in _SENTENCE_END.finditer(text)]
    for word in of_words:
        span = (word.start, word.end)
        written = text[word.start : word.end].lower()
        if written.endswith(("n't", "n\u2019t")):
            steps.append(_Step("not", span))
        elif is_denial(written):
            steps += [_Step("not", span), _Step(word.key, span)]
        elif word.is_content:
            steps.append(_Step(word.key, span))
    return sorted(steps, key=lambda step: step.span)
