"""How much of what a physician wants of a note its extractive draft carries.

    PYTHONPATH=. python benchmarks/extractive_coverage.py

Over the hand-written cases of tests/golden: those that the rules were tuned on, and those held out; drafted by
document type, and as bare notes. Carried is the share of the things asked for whose words stand in a statement.
Prints the lines of a table; what is missing goes to stderr.
"""

from __future__ import annotations

import statistics
import sys

from tests.golden.coverage import Carried, read_cases, score, share_of


def main() -> None:
    print("| cases | drafted | notes | asked for | carried | worst note | words, of the note (median) |")
    print("|---|---|---|---|---|---|---|")
    for name in ("cases", "held-out"):
        for typed in (True, False):
            report(name, [score(case, typed=typed) for case in read_cases(name)], "by type" if typed else "bare")


def report(name: str, scores: list[Carried], drafted: str) -> None:
    asked = sum(len(carried.case.must_carry) for carried in scores)
    worst = min(carried.share for carried in scores)
    length = statistics.median(carried.words / len(carried.case.note.text.split()) for carried in scores)
    print(
        f"| {name} | {drafted} | {len(scores)} | {asked} | {share_of(scores):.1%} | {worst:.0%} | {length:.0%} |",
        flush=True,
    )
    for carried in scores:
        if carried.missing:
            print(name, drafted, carried.case.id, *(words[0] for words in carried.missing), sep=" | ", file=sys.stderr)


if __name__ == "__main__":
    main()
