"""Every number of a statement stands in its evidence, with its unit, beside the same words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sidecar.review.checks import Claim, in_source
from sidecar.review.edits import NUMBER, same_places
from sidecar.review.mentions import Mention, agree, likeness, mentions, same_place
from sidecar.review.units import same_dimension
from sidecar.review.verdict import Finding, FindingCode
from sidecar.review.words import are_about_the_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.note.text import Span
    from sidecar.review.quantities import Kind, Quantity
    from sidecar.review.source import Sentence
    from sidecar.review.words import Word

_CODES = {"date": FindingCode.DATE, "clock": FindingCode.DATE, "frequency": FindingCode.FREQUENCY}
_SPINE = frozenset("ctls")


@dataclass(frozen=True, slots=True)
class _Found:
    """A number of the source and the sentence it stands in."""

    mention: Mention
    sentence: Sentence


def check_numbers(claim: Claim) -> tuple[Finding, ...]:
    """Find numbers, ratios, dates, times, frequencies and units that the evidence does not hold."""
    claimed = () if claim.is_verbatim else mentions(claim.text, claim.words)
    if not claimed:
        return ()
    found = [_Found(each, sentence) for sentence in claim.evidence for each in mentions(sentence.text, sentence.words)]
    rewritten = dict(_changed_in_place(claim, claimed))
    findings: dict[Span, Finding] = {}
    for mention in claimed:
        finding = rewritten.get(mention) or _check(mention, found, claimed)
        if finding and not _is_said_elsewhere(claim, mention, finding):
            findings.setdefault(mention.span, finding)
    return tuple(findings.values())


def _is_said_elsewhere(claim: Claim, claimed: Mention, finding: Finding) -> bool:
    """Say whether a sentence other than the conflicting one has this value between the same words.

    Notes hold lines that differ in a level or a date alone, and the evidence may be the wrong twin.
    """
    beside = (*claimed.left[:1], *claimed.right[:1])
    if not beside:
        return False
    for number in set.intersection(*(set(claim.source.holding(key)) for key in beside)):
        sentence = claim.source.sentences[number - 1]
        if finding.source_span is not None and sentence.start <= finding.source_span[0] < sentence.span[1]:
            continue
        if not are_about_the_same(claim.words, sentence.words):
            continue
        for each in mentions(sentence.text, sentence.words):
            if agree(claimed.quantity, each.quantity) and _stands_alike(claimed, each):
                return True
    return False


def _stands_alike(claimed: Mention, found: Mention) -> bool:
    return claimed.left[:1] == found.left[:1] and claimed.right[:1] == found.right[:1]


def _check(claimed: Mention, found: list[_Found], all_claimed: tuple[Mention, ...]) -> Finding | None:
    if claimed.quantity.soft:
        return None
    same = [each for each in found if agree(claimed.quantity, each.mention.quantity)]
    rival = _closest(claimed, [each for each in found if _is_rival(claimed, each.mention)])
    if same or _in_parts(claimed, found) or _stands_in(claimed, found, all_claimed):
        return _misplaced(claimed, same, rival)
    if _is_left_to_others(claimed, rival):
        return None
    return _missing(
        claimed, rival, _closest(claimed, [each for each in found if _has_other_unit(claimed, each.mention)])
    )


def _closest(claimed: Mention, found: list[_Found]) -> _Found | None:
    return max(found, key=lambda each: likeness(claimed, each.mention), default=None)


def _is_rival(claimed: Mention, found: Mention) -> bool:
    """Say whether `found` is another value of the same kind, so that one of the two is wrong."""
    one, two = claimed.quantity, found.quantity
    if two.soft or one.kind != two.kind or agree(one, two):
        return False
    if one.kind == "label":
        return one.unit == two.unit
    return one.unit is None or two.unit is None or same_dimension(one.unit, two.unit)


def _in_parts(claimed: Mention, found: list[_Found]) -> bool:
    """Say whether a pair is put together from a source without such pairs: "systolic 120, diastolic 80"."""
    quantity = claimed.quantity
    if len(quantity.values) != 2 or any(_is_pair(each.mention.quantity, quantity.kind) for each in found):
        return False
    kind: Kind = "label" if quantity.kind == "label" else "number"
    parts = [replace(quantity, kind=kind, values=(value,)) for value in quantity.values]
    return all(any(agree(part, each.mention.quantity) for each in found) for part in parts)


def _is_pair(quantity: Quantity, kind: Kind) -> bool:
    return quantity.kind == kind and len(quantity.values) == 2


def _stands_in(claimed: Mention, found: list[_Found], all_claimed: tuple[Mention, ...]) -> bool:
    """Say whether the interval of a frequency is in the source as a plain number: "12 hours apart"."""
    if claimed.quantity.kind != "frequency":
        return False
    intervals = [each.quantity for each in all_claimed if each.quantity.soft and each.span == claimed.span]
    return bool(intervals) and all(
        any(agree(interval, each.mention.quantity) for each in found) for interval in intervals
    )


def _is_left_to_others(claimed: Mention, rival: _Found | None) -> bool:
    """Say whether a missing value is no number error by itself: a label, or a frequency in words, without a rival."""
    kind = claimed.quantity.kind
    if kind == "frequency":
        return rival is None and not any(character.isdigit() for character in claimed.written)
    return kind == "label" and rival is None


def _misplaced(claimed: Mention, same: list[_Found], rival: _Found | None) -> Finding | None:
    """Find a value that the evidence holds, but of something else, while here it says another."""
    if rival is None or not same:
        return None
    best = max(likeness(claimed, each.mention) for each in same)
    if not same_place(claimed, rival.mention) or likeness(claimed, rival.mention) <= best:
        return None
    return _contradicted(claimed, rival.mention, rival.sentence)


def _has_other_unit(claimed: Mention, found: Mention) -> bool:
    one, two = claimed.quantity, found.quantity
    return one.kind == two.kind == "number" and one.values == two.values and not two.soft


def _missing(claimed: Mention, rival: _Found | None, other_unit: _Found | None) -> Finding:
    """Point at the number that stands in the place of a missing one, or at the same number with another unit."""
    if rival is not None and same_place(claimed, rival.mention):
        return _contradicted(claimed, rival.mention, rival.sentence)
    if other_unit is not None:
        return _contradicted(claimed, other_unit.mention, other_unit.sentence)
    message = f"{_quote(claimed)} is not in the part of the note that this rests on."
    return Finding(_code(claimed), "error", claimed.span, None, message)


def _contradicted(claimed: Mention, found: Mention, sentence: Sentence) -> Finding:
    message = f"The note says {_quote(found)} here, the draft says {_quote(claimed)}."
    code = FindingCode.UNIT if _has_other_unit(claimed, found) else _code(claimed)
    return Finding(code, "error", claimed.span, in_source(sentence, found.span), message)


def _code(claimed: Mention) -> FindingCode:
    quantity = claimed.quantity
    if quantity.kind == "label" and quantity.unit in _SPINE:
        return FindingCode.ANATOMY
    return _CODES.get(quantity.kind, FindingCode.NUMBER)


def _quote(mention: Mention) -> str:
    return " ".join(mention.written.split())


def _changed_in_place(claim: Claim, claimed: tuple[Mention, ...]) -> Iterator[tuple[Mention, Finding]]:
    """Compare the numbers that stand between the same words in the statement and in a sentence.

    Catches what neighbours cannot tell apart: "10 mg, 20 mg, 30 mg" drafted as "10 mg, 30 mg, 30 mg".
    """
    mine = _steps(claim.words, claimed)
    for sentence in claim.evidence:
        numbers = mentions(sentence.text, sentence.words)
        theirs = _steps(sentence.words, numbers)
        places = same_places([step.key for step in mine], [step.key for step in theirs])
        pairs = [(mine[at].numbers, theirs[there].numbers) for at, there in places]
        paired = {each for _, found in pairs for each in found}
        free = [_Found(each, sentence) for each in numbers if each not in paired]
        for said, found in pairs:
            if not _any_agree(said, found) and not _is_said_by(said[0], _Found(found[0], sentence), free):
                yield said[0], _contradicted(said[0], found[0], sentence)


def _is_said_by(claimed: Mention, in_place: _Found, free: list[_Found]) -> bool:
    """Say whether a number without another counterpart says the same, in a place at least as like."""
    agreeing = [each.mention for each in free if agree(claimed.quantity, each.mention.quantity)]
    if any(likeness(claimed, mention) >= likeness(claimed, in_place.mention) for mention in agreeing):
        return True
    return _in_parts(claimed, [in_place, *free])


def _any_agree(said: tuple[Mention, ...], found: tuple[Mention, ...]) -> bool:
    return any(agree(one.quantity, other.quantity) for one in said for other in found)


class _Step(NamedTuple):
    """A word, or the readings of a number in the place of its words."""

    key: str
    start: int
    numbers: tuple[Mention, ...] = ()


def _steps(of_words: tuple[Word, ...], numbers: tuple[Mention, ...]) -> list[_Step]:
    spans = {mention.span for mention in numbers if not mention.written.lower().startswith(("a ", "an "))}
    steps = [
        _Step(word.key, word.start)
        for word in of_words
        if word.is_content and not any(start <= word.start < end for start, end in spans)
    ]
    steps += [_Step(NUMBER, span[0], tuple(each for each in numbers if each.span == span)) for span in spans]
    return sorted(steps, key=lambda step: step.start)
