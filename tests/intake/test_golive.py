"""Where a group begins: on a scripted client for right answers, on the embedded broker for its wrong ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import OffsetAndTimestamp

from sidecar.demo.broker import EmbeddedBroker
from sidecar.intake.golive import is_before, start_positions
from sidecar.intake.record import Record

GO_LIVE = datetime(2026, 11, 20, tzinfo=UTC)
OLD, NEW, QUIET = (TopicPartition("t", number) for number in range(3))


@dataclass
class ScriptedConsumer:
    """`times` are the timestamps of a partition's records, whose first offset is 100."""

    times: Mapping[TopicPartition, list[datetime]]
    commits: dict[TopicPartition, int] = field(default_factory=dict)
    sought: dict[TopicPartition, int] = field(default_factory=dict)
    fault: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.commits.get(partition)

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 100)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append("ends")
        return {partition: 100 + len(self.times[partition]) for partition in partitions}

    async def offsets_for_times(self, wanted: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        self.asked.append("times")
        if self.fault is not None:
            raise self.fault
        return {partition: self._first(partition, at) for partition, at in wanted.items()}

    def _first(self, partition: TopicPartition, at: int) -> OffsetAndTimestamp | None:
        for place, moment in enumerate(self.times[partition]):
            if moment.timestamp() * 1000 >= at:
                return OffsetAndTimestamp(100 + place, at)
        return None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.update(offsets)


def scripted(**changes: Any) -> ScriptedConsumer:
    day = timedelta(days=1)
    times = {OLD: [GO_LIVE - 2 * day, GO_LIVE - day], NEW: [GO_LIVE - day, GO_LIVE, GO_LIVE + day], QUIET: []}
    return ScriptedConsumer(times, **changes)


async def test_each_partition_begins_at_the_first_record_of_the_time() -> None:
    consumer = scripted()
    await start_positions(consumer, [OLD, NEW, QUIET], GO_LIVE)
    assert consumer.sought == {OLD: 102, NEW: 101, QUIET: 100}
    assert consumer.commits == consumer.sought


async def test_without_a_time_the_first_record_is_committed_as_the_start() -> None:
    consumer = scripted()
    await start_positions(consumer, [OLD, QUIET], None)
    assert consumer.commits == {OLD: 100, QUIET: 100}


async def test_a_committed_partition_is_not_moved() -> None:
    consumer = scripted(commits={OLD: 100, NEW: 0})
    await start_positions(consumer, [OLD, NEW], GO_LIVE)
    assert (consumer.sought, consumer.commits) == ({}, {OLD: 100, NEW: 0})


async def test_what_arrives_between_the_questions_lies_behind_the_start() -> None:
    consumer = scripted()
    await start_positions(consumer, [QUIET], GO_LIVE)
    assert consumer.asked == ["ends", "times"]


async def test_a_broker_that_cannot_say_moves_nothing_and_stops_nothing() -> None:
    consumer = scripted(fault=KafkaTimeoutError())
    await start_positions(consumer, [OLD], GO_LIVE)
    assert (consumer.sought, consumer.commits) == ({}, {})


def test_only_a_record_of_a_known_earlier_time_is_before() -> None:
    def record(timestamp: int) -> Record:
        return Record("t", 0, 0, None, None, (), timestamp)

    at = int(GO_LIVE.timestamp() * 1000)
    assert [is_before(record(time), GO_LIVE) for time in (at - 1, at, at + 1, 0, -1)] == [True, *[False] * 4]
    assert not is_before(record(at - 1), None)


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer: AIOKafkaConsumer, from_time: datetime | None) -> None:
        self.consumer, self.from_time, self.assigned = consumer, from_time, asyncio.Event()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Any) -> None:
        await start_positions(self.consumer, assigned, self.from_time)
        self.assigned.set()


async def test_a_group_commits_its_start_at_its_first_assignment(broker: EmbeddedBroker, topic: str) -> None:
    await broker.create_topic(topic, 2)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"old", partition=0, timestamp_ms=1_000_000_000_000)
        await producer.send_and_wait(topic, b"new", partition=0, timestamp_ms=2_000_000_000_000)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, group_id=topic, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    async with consumer:
        listener = Listener(consumer, GO_LIVE)
        consumer.subscribe([topic], listener=listener)
        async with asyncio.timeout(30):
            while (record := await consumer.getone()).value != b"new":
                assert is_before(Record("t", 0, 0, None, None, (), record.timestamp), GO_LIVE)
            await listener.assigned.wait()
        starts = [await consumer.committed(TopicPartition(topic, number)) for number in range(2)]
    assert None not in starts
    assert starts[0] <= 1
