"""The chaos of tests/support/chaos.py for longer, on a real Apache Kafka; needs Java 17 and, once, Maven.

    PYTHONPATH=. python benchmarks/chaos.py [--events 5000] [--documents 500] [--workers 3] [--minutes 6] [--seed N]

Prints the report as JSON and as a table, and exits with 1 when something was lost, drafted twice, stale or
dead-lettered.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.support.chaos import run_chaos, spread
from tests.support.chaos_report import Report
from tests.support.kafka_broker import LATEST, kafka_broker

TOPIC = "notes"


def table(report: Report, seconds: float) -> str:
    rows = {
        "events, documents": f"{report.events}, {report.documents}",
        "workers killed, stopped; rebalances that moved partitions": (
            f"{report.killed}, {report.stopped}; {report.moves}"
        ),
        "requests that the EHR failed": report.refused_requests,
        "lost, second, stale drafts; dead letters": (
            f"{len(report.lost)}, {len(report.second)}, {len(report.stale)}; {len(report.dead_letters)}"
        ),
        "generations, of them cancelled by a newer version": f"{report.starts}, {report.cancelled}",
        "generations beyond the necessary ones, at most": f"{report.repeated}, {report.most_repeated}",
        "drafts without Provenance": report.without_provenance,
        "seconds": round(seconds),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


async def main(options: argparse.Namespace) -> int:
    seed = options.seed if options.seed is not None else random.randrange(10**6)  # noqa: S311 - a run's dice
    print(f"CHAOS_SEED={seed}", flush=True)
    plan = spread(
        seed,
        options.minutes * 60,
        events=options.events,
        documents=options.documents,
        patients=max(1, options.documents * 2 // 5),
        workers=options.workers,
        settle_seconds=600.0,
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        home, folder = Path(name) / "kafka", Path(name) / "run"
        home.mkdir()
        folder.mkdir()
        async with kafka_broker(options.kafka, home) as broker:
            report = await run_chaos(plan, broker, TOPIC, folder)
    print(report.as_json())
    print(table(report, time.monotonic() - started))
    print(f"faults: {', '.join(report.faults()) or 'none'}")
    return 1 if report.faults() else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--kafka", default=LATEST, help="version of Apache Kafka")
    sys.exit(asyncio.run(main(parser.parse_args())))
