"""Events that get no draft: our worker against a plain `async for` loop, same broker, same run.

python benchmarks/skip_path.py [--events N] [--repeats N] [--bytes N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.demo.broker import embedded_broker
from sidecar.intake.admission import Admission
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.peek import SkipRules, peek
from sidecar.intake.ticket import Ticket
from sidecar.ledger.sql import open_ledger
from sidecar.settings import KafkaSettings, WorkerSettings
from sidecar.testing import MemoryChart, MemoryDeadLetters
from tests.support.notes import attachment, document
from tests.support.worker import MAPPINGS, build

PARTITIONS = 4


def event(number: int, size: int) -> bytes:
    """Return a signed note of a type that no task is mapped to."""
    unmapped = {"coding": [{"system": "http://loinc.org", "code": "69730-0"}]}
    note = document(f"d{number}", type=unmapped, content=[{"attachment": attachment("x" * int(size * 0.6))}])
    return orjson.dumps(note)


async def publish(servers: str, topic: str, events: int, size: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    for number in range(events):
        await producer.send(topic, event(number, size), f"Patient/p{number % 997}".encode(), number % PARTITIONS)
    await producer.flush()
    await producer.stop()


async def plain_loop(servers: str, topic: str, events: int) -> float:
    """Return records per second of a loop that parses each record and does nothing with it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    await consumer.seek_to_beginning()
    seen, started = 0, 0.0
    async for message in consumer:
        started = started or time.perf_counter()
        orjson.loads(message.value)
        seen += 1
        if seen == events:
            break
    rate = events / (time.perf_counter() - started)
    await consumer.stop()
    return rate


async def worker(servers: str, topic: str, events: int, group: str) -> float:
    """Return records per second of intake and pipeline, from the first record to the last outcome."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}") as ledger:
            pipeline = build(MemoryChart(), ledger, MemoryDeadLetters())
            seen, started, finished = 0, 0.0, 0.0
            stopping = asyncio.Event()

            def count() -> None:
                nonlocal seen, started, finished
                started = started or time.perf_counter()
                seen += 1
                if seen == events:
                    finished = time.perf_counter()
                    stopping.set()

            async def handle(admission: Admission, ticket: Ticket) -> bool:
                await pipeline.handle(admission, ticket)
                count()
                return True

            def skips(admission: Admission) -> bool:
                hint = peek(admission.events[0].resource, rules)
                if hint is None or hint.takes_back:
                    return False
                pipeline.skip(hint.reference, hint.reason)
                count()
                return True

            rules = SkipRules(MAPPINGS().note_types.keys(), DRAFT_SYSTEM)
            kafka = KafkaSettings(
                bootstrap_servers=(servers,), topics=(topic,), group_id=group, session_timeout_seconds=6
            )
            await Intake(kafka, WorkerSettings(concurrency=16), Handlers(handle, skips=skips)).run(stopping)
            return events / (finished - started)


async def main(options: argparse.Namespace) -> None:
    async with embedded_broker() as broker:
        await broker.create_topic("skips", PARTITIONS)
        await publish(broker.bootstrap_servers, "skips", options.events, options.bytes)
        plain, ours = [], []
        for repeat in range(options.repeats):
            plain.append(await plain_loop(broker.bootstrap_servers, "skips", options.events))
            ours.append(await worker(broker.bootstrap_servers, "skips", options.events, f"g{repeat}"))
    ratio = statistics.median(ours) / statistics.median(plain)
    print(json.dumps({"plain": plain, "worker": ours, "ratio": ratio, **vars(options)}))
    print("\n| loop | events/s (median) |\n|---|---|")
    print(f"| plain `async for` + parse | {statistics.median(plain):,.0f} |")
    print(f"| intake and pipeline, every event skipped | {statistics.median(ours):,.0f} |")
    print(f"| ratio | {ratio:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=2_000)
    asyncio.run(main(parser.parse_args()))
