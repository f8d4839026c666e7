"""Our intake against three other consumers, with the same handler, the same topic and in the same run.

    PYTHONPATH=. python benchmarks/intake.py [--quick] [--broker kafka|tansu] [--json FILE]
    PYTHONPATH=. python benchmarks/intake.py --skips 1000000

Every measurement is a process of its own that reads a topic which is full already, so CPU time and peak RSS are its
own. `efficiency` is the rate against min(concurrency, parallel work that there is) / handler time. `lane wait` is from
the fetch of a record to the start of its handler, on a full topic: it tells how far a consumer reads ahead. FastStream
comes from the dependency group `bench`; without it its rows are left out and the table says so. Its ack-first row keeps
neither events through a crash nor a patient's order, which is how it passes the ideal of a hot patient.

`--skips` feeds that many events that no task is mapped to, while they are consumed, and samples RSS.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from sidecar.demo.broker import embedded_broker
from tests.support.kafka_broker import LATEST, kafka_broker
from tests.support.notes import attachment, document

RIVALS = ("plain", "per-partition", "faststream", "faststream-ack-first")
PATIENTS = 997
SAMPLE = 100
CHILD = Path(__file__).with_name("intake_loops.py")


@dataclass(frozen=True, slots=True)
class Case:
    """`handler` in seconds; `hot` gives half of all events to one patient."""

    bytes: int
    handler: float
    concurrency: int
    partitions: int
    events: int
    hot: bool = False

    @property
    def topic(self) -> str:
        return f"bench-{self.bytes}-{self.partitions}{'-hot' if self.hot else ''}"

    @property
    def ideal(self) -> float | None:
        """The best rate in events a second; None where the handler takes no time."""
        if not self.handler:
            return None
        parallel = min(self.concurrency, 2) if self.hot else self.concurrency  # the hot lane holds half of all
        return parallel / self.handler


def cases(*, quick: bool) -> Iterator[Case]:
    seconds, burst = (4, 10_000) if quick else (10, 40_000)

    def timed(handler: float, concurrency: int, partitions: int = 4, size: int = 2000, *, hot: bool = False) -> Case:
        rate = concurrency / handler
        return Case(size, handler, concurrency, partitions, max(20, int(rate * seconds)), hot)

    yield Case(2000, 0, 16, 4, burst)
    yield Case(20_000, 0, 16, 4, burst // 4)
    yield timed(0.02, 16)
    yield timed(0.02, 16, 16)
    yield replace(timed(0.02, 16, hot=True), events=seconds * 100)
    yield timed(0.02, 64, 16)
    yield timed(1, 16)
    if quick:
        return
    yield Case(2000, 0, 16, 16, burst)
    yield timed(0.02, 1)
    yield timed(0.02, 4)
    yield timed(0.02, 64, 16, 20_000)
    yield timed(1, 4)
    yield timed(1, 64)
    yield timed(1, 64, 16, 20_000)


def event(number: int, size: int, *, skipped: bool = False) -> bytes:
    types = {"coding": [{"system": "http://loinc.org", "code": "69730-0" if skipped else "18842-5"}]}
    return orjson.dumps(document(f"d{number}", type=types, content=[{"attachment": attachment("x" * int(size * 0.6))}]))


def key(number: int, *, hot: bool) -> bytes:
    return b"Patient/hot" if hot and number % 2 else b"Patient/p%d" % (number % PATIENTS)


async def publish(servers: str, topic: str, partitions: int, values: Iterator[tuple[bytes, bytes]]) -> None:
    """Write (key, value) pairs; a key's partition is its number's, so that all partitions hold the same."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    try:
        for number, (name, value) in enumerate(values):
            hot = name == b"Patient/hot"
            await producer.send(topic, value, name, 0 if hot else number % PATIENTS % partitions)
        await producer.flush()
    finally:
        await producer.stop()


@asynccontextmanager
async def open_broker(kind: str) -> AsyncIterator[Any]:
    if kind == "tansu":
        async with embedded_broker() as broker:
            yield broker
        return
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as home:
        async with kafka_broker(LATEST, Path(home)) as broker:
            yield broker


async def measure(loop: str, servers: str, case: Case, group: str) -> dict[str, Any]:
    """Run one loop over one case in a process of its own and return what it measured."""
    order = json.dumps({**asdict(case), "loop": loop, "servers": servers, "topic": case.topic, "group": group})
    command = [sys.executable, str(CHILD), order]
    done = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, check=True, timeout=900)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def shortened(case: Case, loop: str) -> Case:
    """Give a slow loop fewer events: its rate is what counts, and its lanes are few."""
    parallel = {"plain": 1, "per-partition": case.partitions, "faststream": case.partitions}.get(loop, case.concurrency)
    if not case.handler:
        return case
    seconds = case.events * case.handler / case.concurrency
    return replace(case, events=min(case.events, max(5, int(seconds * parallel / case.handler))))


async def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows, loops = [], ["ours", *RIVALS]
    if importlib.util.find_spec("faststream") is None:
        loops = [loop for loop in loops if not loop.startswith("faststream")]
        print("FastStream is not installed: its rows are left out (dependency group bench)")
    async with open_broker(options.broker) as broker:
        wanted = list(cases(quick=options.quick))
        for topic in sorted({case.topic for case in wanted}):
            of_topic = [case for case in wanted if case.topic == topic]
            first, count = of_topic[0], max(case.events for case in of_topic)
            await broker.create_topic(topic, first.partitions)
            values = ((key(number, hot=first.hot), event(number, first.bytes)) for number in range(count))
            await publish(broker.bootstrap_servers, topic, first.partitions, values)
        for number, case in enumerate(wanted):
            for loop in loops:
                part = shortened(case, loop)
                row = await measure(loop, broker.bootstrap_servers, part, f"{loop}-{number}")
                ideal = case.ideal
                row |= {**asdict(case), "loop": loop, "efficiency": row["rate"] / ideal if ideal else None}
                rows.append(row)
                print(line(row), flush=True)
    return rows


async def skip(options: argparse.Namespace) -> dict[str, Any]:
    case = Case(1000, 0, 16, 4, options.skips)
    async with open_broker(options.broker) as broker:
        await broker.create_topic(case.topic, case.partitions, **retention(options.broker))
        values = [event(number, case.bytes, skipped=True) for number in range(PATIENTS)]
        pairs = ((key(number, hot=False), values[number % PATIENTS]) for number in range(options.skips))
        consuming = asyncio.create_task(measure("skips", broker.bootstrap_servers, case, "skips"))
        await publish(broker.bootstrap_servers, case.topic, case.partitions, pairs)
        return await consuming


def retention(broker: str) -> dict[str, str]:
    """Let Kafka forget what is far behind the reader; a million events would else lie on a small disk."""
    return {"retention_bytes": str(512 * 2**20), "segment_bytes": str(64 * 2**20)} if broker == "kafka" else {}


HEAD = (
    "| loop | kB | handler s | conc. | part. | hot | events/s | efficiency | CPU µs/event | wait ms p50, p99 | MB |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(row: dict[str, Any]) -> str:
    efficiency = "" if row["efficiency"] is None else f"{row['efficiency']:.1%}"
    waits = "" if row["wait_p50"] is None else f"{row['wait_p50'] * 1000:,.0f}, {row['wait_p99'] * 1000:,.0f}"
    hot = "yes" if row["hot"] else ""
    return (
        f"| {row['loop']} | {row['bytes'] // 1000} | {row['handler']:g} | {row['concurrency']} | {row['partitions']} "
        f"| {hot} | {row['rate']:,.0f} | {efficiency} | {row['cpu'] * 1e6:,.0f} | {waits} | {row['rss'] / 1e6:,.0f} |"
    )


async def main(options: argparse.Namespace) -> Any:  # noqa: ANN401 - whatever goes into the JSON file
    if not options.skips:
        print(HEAD)
        return await compare(options)
    found = await skip(options)
    print(f"events {options.skips:,}, {found['rate']:,.0f}/s; RSS MB at every tenth: {found['samples']}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--broker", choices=["kafka", "tansu"], default="kafka")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--skips", type=int, default=0, metavar="N")
    given = parser.parse_args()
    result = asyncio.run(main(given))
    if given.json:
        Path(given.json).write_text(json.dumps(result, indent=1), encoding="utf-8")
