"""One measurement of benchmarks/intake.py: reads its order from the command line, prints what it measured as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.intake.admission import Admission
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.peek import SkipRules, peek
from sidecar.intake.ticket import Ticket
from sidecar.ledger.sql import open_ledger
from sidecar.settings import KafkaSettings, WorkerSettings
from sidecar.testing import MemoryChart, MemoryDeadLetters

SESSION_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Order:
    loop: str
    servers: str
    topic: str
    group: str
    bytes: int
    handler: float
    concurrency: int
    partitions: int
    events: int
    hot: bool


@dataclass(slots=True)
class Meter:
    """Counts handled events from the first handler's start to the last one's end."""

    order: Order
    begun: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0
    done: int = 0
    waits: list[float] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, fetched: float | None = None) -> None:
        now = time.perf_counter()
        if not self.begun:
            self.begun, self.cpu = now, time.process_time()
        if fetched is not None:
            self.waits.append(now - fetched)

    def end(self) -> None:
        self.done += 1
        if self.done == self.order.events:
            self.ended, self.cpu = time.perf_counter(), time.process_time() - self.cpu
            self.finished.set()

    async def handle(self, fetched: float | None = None) -> None:
        if self.finished.is_set():
            return
        self.begin(fetched)
        await asyncio.sleep(self.order.handler)
        self.end()

    def report(self) -> dict[str, Any]:
        cuts = statistics.quantiles(self.waits, n=100) if len(self.waits) > 1 else None
        return {
            "rate": self.order.events / (self.ended - self.begun),
            "cpu": self.cpu / self.order.events,
            "wait_p50": cuts[49] if cuts else None,
            "wait_p99": cuts[98] if cuts else None,
            "rss": resident("VmHWM"),
        }


def resident(name: str) -> int:
    """Return bytes from /proc: getrusage's maximum is inherited from the process that started us."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def consumer(order: Order) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        order.topic,
        bootstrap_servers=order.servers,
        group_id=order.group,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_SECONDS * 1000,
    )


async def plain(order: Order, meter: Meter) -> None:
    async with consumer(order) as messages:
        async for message in messages:
            orjson.loads(message.value)
            await meter.handle()
            if meter.finished.is_set():
                return


async def per_partition(order: Order, meter: Meter) -> None:
    """Work each partition off in order, partitions side by side."""
    async with consumer(order) as messages:
        await asyncio.gather(*(_serially(messages, partition, meter) for partition in messages.assignment()))


async def _serially(messages: AIOKafkaConsumer, partition: TopicPartition, meter: Meter) -> None:
    while not meter.finished.is_set():
        batches = await messages.getmany(partition, timeout_ms=250, max_records=500)
        fetched = time.perf_counter()
        for message in batches.get(partition, ()):
            orjson.loads(message.value)
            await meter.handle(fetched)


async def ours(order: Order, meter: Meter) -> None:
    fetched: dict[tuple[int, int], float] = {}

    def note(admission: Admission) -> bool:
        fetched[admission.record.partition, admission.record.offset] = time.perf_counter()
        return False

    async def handle(admission: Admission, _ticket: Ticket) -> bool:
        await meter.handle(fetched.pop((admission.record.partition, admission.record.offset)))
        return True

    await intake(order, meter, Handlers(handle, skips=note))


async def intake(order: Order, meter: Meter, handlers: Handlers) -> None:
    kafka = KafkaSettings(
        bootstrap_servers=(order.servers,),
        topics=(order.topic,),
        group_id=order.group,
        session_timeout_seconds=SESSION_SECONDS,
    )
    await Intake(kafka, WorkerSettings(concurrency=order.concurrency, drain_seconds=5), handlers).run(meter.finished)


async def faststream(order: Order, meter: Meter) -> None:
    """At least once: FastStream then works one event a partition at a time, with a consumer for each."""
    from faststream import AckPolicy  # noqa: PLC0415 - a dependency of this loop alone

    await _faststream(order, meter, max_workers=order.partitions, ack_policy=AckPolicy.NACK_ON_ERROR)


async def faststream_ack_first(order: Order, meter: Meter) -> None:
    """At most once: what is being handled in a crash is lost, and a patient's events overtake each other."""
    from faststream import AckPolicy  # noqa: PLC0415 - a dependency of this loop alone

    await _faststream(order, meter, max_workers=order.concurrency, ack_policy=AckPolicy.ACK_FIRST)


async def _faststream(order: Order, meter: Meter, **options: object) -> None:
    from faststream.kafka import KafkaBroker  # noqa: PLC0415 - as above

    broker = KafkaBroker(order.servers, logger=None)

    @broker.subscriber(order.topic, group_id=order.group, auto_offset_reset="earliest", **options)
    async def handle(body: dict[str, Any]) -> None:  # noqa: ARG001 - its type makes FastStream parse the JSON
        await meter.handle()

    async with broker:
        await broker.start()
        await meter.finished.wait()


async def skips(order: Order, meter: Meter) -> list[float]:
    """Skip everything as a worker does, and sample RSS at every tenth of the way."""
    from tests.support.worker import MAPPINGS, build  # noqa: PLC0415 - the whole pipeline, which the others do without

    samples: list[float] = []
    tenth = max(1, order.events // 10)
    with tempfile.TemporaryDirectory() as folder:
        async with open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}") as ledger:
            pipeline = build(MemoryChart(), ledger, MemoryDeadLetters())
            rules = SkipRules(MAPPINGS().note_types.keys(), DRAFT_SYSTEM)

            def skip(admission: Admission) -> bool:
                meter.begin()
                hint = peek(admission.events[0].resource, rules)
                assert hint is not None
                pipeline.skip(hint.reference, hint.reason)
                meter.end()
                if meter.done % tenth == 0:
                    samples.append(round(resident("VmRSS") / 1e6, 1))
                return True

            async def handle(_admission: Admission, _ticket: Ticket) -> bool:
                raise AssertionError("an event that is not skipped")

            await intake(order, meter, Handlers(handle, skips=skip))
    return samples


LOOPS = {
    "ours": ours,
    "plain": plain,
    "per-partition": per_partition,
    "faststream": faststream,
    "faststream-ack-first": faststream_ack_first,
    "skips": skips,
}


async def main(order: Order) -> None:
    meter = Meter(order)
    samples = await LOOPS[order.loop](order, meter)
    print(json.dumps(meter.report() | ({"samples": samples} if samples else {})))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main(Order(**json.loads(sys.argv[1]))))
