"""Reading topics from the side, on the embedded broker and on a scripted client."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from sidecar.demo.broker import EmbeddedBroker
from sidecar.errors import BrokerUnavailable
from sidecar.intake import scan
from sidecar.intake.scan import TopicReader, open_reader

HERE = TopicPartition("t", 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "POLL_MILLISECONDS", 100)
    monkeypatch.setattr(scan, "RECORD_SECONDS", 1.0)


async def test_every_record_of_every_partition_is_read_in_order(broker: EmbeddedBroker, topic: str) -> None:
    await broker.create_topic(topic, 3)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, linger_ms=20) as producer:
        for number in range(300):  # several to a batch, whose end the embedded broker names too low
            await producer.send(topic, b"%d" % number, partition=number % 3)
        await producer.flush()
    async with open_reader({"bootstrap_servers": broker.bootstrap_servers}) as reader:
        partitions = await reader.partitions([topic, f"{topic}-none"])
        found = [record async for record in reader.read_to_end(partitions)]
    for partition in range(3):
        values = [int(record.value or b"") for record in found if record.partition == partition]
        assert values == list(range(partition, 300, 3))


async def test_one_record_is_found_by_its_coordinates(broker: EmbeddedBroker, topic: str) -> None:
    await broker.create_topic(topic, 1)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for value in (b"a", b"b", b"c"):
            await producer.send_and_wait(topic, value)
    async with open_reader({"bootstrap_servers": broker.bootstrap_servers}) as reader:
        found = [await reader.read_one(topic, 0, offset) for offset in (1, 0)]
        assert [record and record.value for record in found] == [b"b", b"a"]
        assert await reader.read_one(topic, 0, 3) is None
        assert await reader.read_one(topic, 1, 0) is None
        assert await reader.read_one(f"{topic}-none", 0, 0) is None


def message(offset: int, timestamp: float) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("t", 0, offset, int(timestamp * 1000), 0, None, b"x", None, -1, 1, ())


@dataclass
class ScriptedConsumer:
    """Gives `polls` one after the other, then nothing. The partition ends at `end`."""

    polls: list[list[ConsumerRecord[bytes, bytes]]]
    end: int
    at: int = 0
    empty: int = 0
    paused: set[TopicPartition] = field(default_factory=set)

    async def beginning_offsets(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)

    def assign(self, partitions: Any) -> None:
        assert list(partitions) == [HERE]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == HERE
        self.at = offset

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition)

    async def position(self, partition: TopicPartition) -> int:
        assert partition == HERE
        return self.at

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        assert timeout_ms > 0
        if self.paused or not self.polls or not self.polls[0]:
            self.polls = self.polls[1:]
            self.empty += 1
            return {}
        batch, *self.polls = self.polls
        self.at = batch[-1].offset + 1
        return {HERE: batch}


async def read(consumer: ScriptedConsumer) -> list[int]:
    return [record.offset async for record in TopicReader({}, consumer).read_to_end([HERE])]


async def test_a_slow_broker_does_not_look_like_the_end() -> None:
    assert await read(ScriptedConsumer([[message(0, 1)], *[[]] * 10, [message(1, 1)]], end=2)) == [0, 1]


async def test_an_end_that_was_named_too_low_is_read_past() -> None:
    assert await read(ScriptedConsumer([[message(0, 1)], [message(1, 1), message(2, 1)]], end=1)) == [0, 1, 2]


async def test_a_topic_that_grows_faster_than_it_is_read_ends() -> None:
    later = time.time() + 60
    endless = [[message(offset, later if offset > 1 else 1)] for offset in range(1000)]
    assert await read(ScriptedConsumer(endless, end=2)) == [0, 1]


async def test_gaps_at_the_end_are_no_silence() -> None:
    consumer = ScriptedConsumer([[message(0, 1)]], end=1)
    assert await read(consumer) == [0]
    assert consumer.empty == scan.SILENT_POLLS


async def test_a_broker_that_falls_silent_before_the_end_is_not_taken_for_it() -> None:
    consumer = ScriptedConsumer([[message(0, 1)]], end=5)
    with pytest.raises(BrokerUnavailable):
        await read(consumer)
    assert consumer.empty == scan.PATIENT_POLLS
