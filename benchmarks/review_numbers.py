"""How many changed facts review catches, and how often it is wrong about unchanged ones.

    CORPUS=/path/to/corpus python benchmarks/review_numbers.py [NOTES_OF_EACH_SET] [--samples]

Sentences of a note become draft statements with that note as the source, in four forms: whole, cut short at
either end, joined with the sentence after it, and respelled (two for 2, BID for twice daily). Each is reviewed
as it is, where a verdict other than supported is a false alarm, and with one number, side or negation changed,
where "supported" is a miss. A change that gives words of the same note is not counted: it is true of the
source. The changes are made here, with nothing imported from the checks.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import time
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from sidecar.drafting.engine import DraftSection, Statement
from sidecar.errors import Ended
from sidecar.mappings import load_lexicon
from sidecar.note import extract_bytes
from sidecar.review import Verdict, policy_from, review

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidecar.note.text import NoteText
    from sidecar.review import ReviewedStatement, ReviewPolicy

NUMBER = re.compile(r"(?<![\w.,/])\d+(?:\.\d+)?(?![\d,]|\.\d)")
NUMBERING = re.compile(r"^\W*\d{1,2}[.)](?!\d)|[.,;:]\s*\d{1,2}[.)]\s*[A-Za-z]")


def times_ten(number: str, _random: Random) -> str:
    return f"{float(number) * 10:g}" if "." in number else number + "0"


def digits_swapped(number: str, _random: Random) -> str:
    return number[::-1].strip(".") if "." not in number else number.replace(".", "")


def one_off(number: str, random: Random) -> str:
    whole, _, rest = number.partition(".")
    return str(max(int(whole) + random.choice([-1, 1]), 0)) + (f".{rest}" if rest else "")


CHANGES: dict[str, Callable[[str, Random], str]] = {"x10": times_ten, "digits swapped": digits_swapped, "+-1": one_off}
SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
NEGATIONS = {
    "denies": "reports", "Denies": "Reports", "no": "", "No": "", "without": "with", "not": "",
    "negative for": "positive for",
}  # fmt: skip


def notes(corpus: Path, most: int) -> Iterator[NoteText]:
    csv.field_size_limit(10**9)
    for name in ("train", "valid"):
        path = corpus / "aci-bench" / "challenge_data" / f"{name}.csv"
        with path.open(encoding="utf-8-sig", newline="") as rows:
            for row in list(csv.DictReader(rows))[:most]:
                yield extract_bytes(row["note"].encode(), "text/plain")
    for path in sorted((corpus / "ctakes-notes" / "curated").glob("*.txt"))[:most]:
        try:
            yield extract_bytes(path.read_bytes(), "text/plain")
        except Ended:
            continue


def judged(note: NoteText, text: str, policy: ReviewPolicy) -> ReviewedStatement:
    reviewed = review(note, (DraftSection("S", (Statement(text, ()),)),), policy)
    return (*reviewed.statements, *reviewed.removed)[0]


def changed_numbers(sentence: str, random: Random) -> Iterator[tuple[str, str]]:
    numbering = [match.span() for match in NUMBERING.finditer(sentence)]
    sites = [match for match in NUMBER.finditer(sentence) if not any(a <= match.start() < b for a, b in numbering)]
    for name, change in CHANGES.items() if sites else ():
        match = random.choice(sites)
        new = change(match.group(), random)
        if float(new) != float(match.group()):
            yield name, sentence[: match.start()] + new + sentence[match.end() :]


def changed_words(sentence: str, table: dict[str, str], name: str) -> Iterator[tuple[str, str]]:
    match = re.search(rf"\b(?:{'|'.join(table)})\b(?=\s+\w)", sentence)
    if match:
        yield name, sentence[: match.start()] + table[match.group()] + sentence[match.end() :]


def cut(sentence: str, _after: str) -> str:
    """Leave out a quarter of the words at either end, as a shorter statement would."""
    pieces = sentence.split()
    quarter = len(pieces) // 4
    left_out = " ".join([*pieces[:quarter], *pieces[len(pieces) - quarter :]])
    changes_meaning = re.search(
        r"\b(?:no|not|never|none|without|den(?:y|ies|ied)|negative|absent|nor)\b|n't\b", left_out, re.IGNORECASE
    )
    return " ".join(pieces[quarter : len(pieces) - quarter]) if quarter > 1 and not changes_meaning else ""


def joined(sentence: str, after: str) -> str:
    return f"{sentence.rstrip('.')}; {after}" if after else ""


def respelled(sentence: str, _after: str) -> str:
    for pattern, new in RESPELLINGS:
        sentence = re.sub(pattern, new, sentence)
    return sentence


RESPELLINGS: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"(?<![\w.,/:-])([2-9])(?= (?:days|weeks|months|years|tablets)\b)", lambda match: WORDS[int(match[1])]),
    (r"\b(?:two|three|four|five|six)\b(?= \w)", lambda match: str(WORDS.index(match[0]))),
    (r"(?<=\d) (?=mg\b)", ""),
    (r"(?<=\d)-year-old\b", " y/o"),
    (r"(?<=\d)%", " percent"),
    (r"\b(?:twice|two times) (?:daily|a day)\b", "BID"),
    (r"\b(?:once daily|once a day|every day)\b", "daily"),
    (r"\bright\b", "rt"),
    (r"\bdenies\b", "does not report"),
]
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FORMS = {"whole": lambda sentence, _after: sentence, "cut": cut, "joined": joined, "respelled": respelled}


def measure(corpus: Path, most: int) -> Iterator[tuple[str, str, bool, str]]:
    """Yield form, change ("unchanged" for none), whether the verdict is not supported, and the statement."""
    policy = policy_from(load_lexicon("critical-items"))
    random = Random(7)  # noqa: S311 - a fixed seed, no secret
    for note in notes(corpus, most):
        folded = " ".join(note.text.split())
        sentences = [" ".join(note.slice(span).split()) for span in note.sentences]
        for sentence, after in zip_longest(sentences, sentences[1:], fillvalue=""):
            for form, change_form in FORMS.items():
                statement = change_form(sentence, after)
                if not statement or (form == "respelled" and statement == sentence):
                    continue
                yield form, "unchanged", judged(note, statement, policy).verdict is not Verdict.SUPPORTED, statement
                for name, changed in changes(statement, random):
                    if changed.strip() not in folded:
                        yield form, name, judged(note, changed, policy).verdict is not Verdict.SUPPORTED, changed


def changes(statement: str, random: Random) -> Iterator[tuple[str, str]]:
    yield from changed_numbers(statement, random)
    yield from changed_words(statement, SIDES, "side")
    yield from changed_words(statement, NEGATIONS, "negation")


def main() -> int:
    corpus, most = Path(os.environ["CORPUS"]), int(sys.argv[1]) if len(sys.argv) > 1 else 40
    started, tried, found, samples = time.perf_counter(), Counter(), Counter(), {}
    for form, change, flagged, text in measure(corpus, most):
        tried[form, change] += 1
        found[form, change] += flagged
        if flagged is (change == "unchanged"):
            samples.setdefault((form, change), []).append(text)
    print(f"{'form':14}{'change':16}{'statements':>11}{'flagged':>9}{'share':>9}")
    for key, count in sorted(tried.items()):
        print(f"{key[0]:14}{key[1]:16}{count:>11}{found[key]:>9}{found[key] / count:>9.2%}")
    if "--samples" in sys.argv:
        for key, texts in samples.items():
            for text in texts[:25]:
                print(*key, "|", text[:220])
    print(f"{sum(tried.values())} reviews in {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
