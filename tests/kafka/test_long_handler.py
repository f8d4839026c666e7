"""A draft may take longer than every limit that Kafka sets for a consumer: the worker stays in its group."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiokafka import AIOKafkaProducer

from sidecar.intake.admission import Admission
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.ticket import Ticket
from sidecar.settings import KafkaSettings, WorkerSettings
from tests.support.kafka_broker import Broker
from tests.support.kafka_groups import until_no_lag

MAX_POLL_SECONDS = 3
"""Shortened: of 300 s and a draft of 20 minutes the ratio is kept."""
HANDLER_SECONDS = 4 * MAX_POLL_SECONDS
PARTITIONS = 2


class SlowHandler:
    """Works off the first record slowly and the others at once."""

    def __init__(self) -> None:
        self.handled: Counter[bytes] = Counter()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, admission: Admission, _ticket: Ticket) -> bool:
        key = admission.record.key or b""
        if key == b"slow":
            self.begun.set()
            await asyncio.sleep(HANDLER_SECONDS)
            self.ended.set()
        self.handled[key] += 1
        return True


async def publish(broker: Broker, topic: str, *keys: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for key in keys:
            await producer.send_and_wait(topic, b"{", key)


async def member_ids(broker: Broker, group_id: str) -> list[str]:
    """Return the ids of the group's members: one that leaves and comes back has another."""
    async with broker.admin() as admin:
        (answer,) = await admin.describe_consumer_groups([group_id])
    ((_code, _group, _state, _type, _protocol, found, *_),) = answer.groups
    return [member[0] for member in found]


async def test_a_handler_longer_than_the_poll_interval_never_costs_the_membership(broker: Broker, topic: str) -> None:
    await broker.create_topic(topic, PARTITIONS)
    kafka = KafkaSettings(
        bootstrap_servers=(broker.bootstrap_servers,),
        topics=(topic,),
        group_id=f"group-{topic}",
        session_timeout_seconds=6,
        max_poll_interval_seconds=MAX_POLL_SECONDS,
    )
    handler, stopping = SlowHandler(), asyncio.Event()
    running = asyncio.create_task(Intake(kafka, WorkerSettings(concurrency=2), Handlers(handler)).run(stopping))
    try:
        await publish(broker, topic, b"slow", *(b"quick-%d" % number for number in range(20)))
        await handler.begun.wait()
        seen = {tuple(await member_ids(broker, kafka.group_id))}
        while not handler.ended.is_set():
            seen.add(tuple(await member_ids(broker, kafka.group_id)))
            await asyncio.sleep(0.2)
        await until_no_lag(broker, topic, kafka.group_id, PARTITIONS)
    finally:
        stopping.set()
        await running
    assert len(seen) == 1
    assert len(next(iter(seen))) == 1
    assert len(handler.handled) == 21
    assert set(handler.handled.values()) == {1}
