"""Reads topics from the side: without a group, without a commit, and never creating a topic."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sidecar.errors import BrokerUnavailable
from sidecar.intake.consumer import copy_record
from sidecar.intake.golive import find_starts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from datetime import datetime

    from sidecar.intake.record import Record

POLL_MILLISECONDS = 500
SILENT_POLLS = 2
"""Empty polls that end a reading once every partition stands at its end; the embedded broker names that end too low."""
PATIENT_POLLS = 60
"""Empty polls before the end after which the broker counts as not answering: a slow one must not look like the end."""
RECORD_SECONDS = 10.0


class TopicReader:
    """One reading at a time: each takes the whole connection over."""

    def __init__(self, options: Mapping[str, Any], consumer: AIOKafkaConsumer) -> None:
        self._options = options
        self._consumer = consumer
        self._known: dict[str, list[int]] = {}

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return the partitions of those topics that exist and that this login may see, in order.

        Asked once, and of the whole cluster: a question about one topic would create it where brokers
        create topics.
        """
        self._known = self._known or await self._describe()
        return sorted(TopicPartition(topic, number) for topic in set(topics) for number in self._known.get(topic, ()))

    async def count(self, partitions: Sequence[TopicPartition], from_time: datetime | None = None) -> int:
        """Return about how many records a reading will give: compaction and transactions leave gaps."""
        if not partitions:
            return 0
        starts = await find_starts(self._consumer, partitions, from_time)
        ends = await self._consumer.end_offsets(partitions)
        return sum(max(0, ends[partition] - start) for partition, start in starts.items())

    async def read_to_end(
        self, partitions: Sequence[TopicPartition], from_time: datetime | None = None
    ) -> AsyncIterator[Record]:
        """Yield the records from the start (or `from_time`) to the end as it is now, in order within a partition.

        What is written meanwhile may be part of it, but never keeps it going. Raises `BrokerUnavailable`
        where the broker falls silent before the end.
        """
        if not partitions:
            return
        ends = await self._consumer.end_offsets(partitions)
        await self._go_to_start(partitions, from_time)
        began, silent = time.time() * 1000, 0
        while silent < SILENT_POLLS or not await self._stands_at(ends):
            if silent >= PATIENT_POLLS:
                raise BrokerUnavailable("no more records, and not at the end")
            batches = await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS)
            silent = 0 if batches else silent + 1
            for partition, messages in batches.items():
                for message in messages:
                    if message.offset >= ends[partition] and message.timestamp > began:
                        self._consumer.pause(partition)
                        break
                    yield copy_record(message)

    async def read_one(self, topic: str, partition: int, offset: int) -> Record | None:
        """Return the record at these coordinates, None where there is none (any more)."""
        place = TopicPartition(topic, partition)
        if place not in await self.partitions([topic]):
            return None
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        try:
            # A broker gives the next record there is; past the last one it gives none and says nothing.
            message = await asyncio.wait_for(self._consumer.getone(place), RECORD_SECONDS)
        except TimeoutError:
            return None
        return copy_record(message) if message.offset == offset else None

    async def _describe(self) -> dict[str, list[int]]:
        admin = AIOKafkaAdminClient(**self._options)
        try:
            await admin.start()
            described = await admin.describe_topics()
        finally:
            await admin.close()
        return {item["topic"]: [part["partition"] for part in item["partitions"]] for item in described}

    async def _go_to_start(self, partitions: Sequence[TopicPartition], from_time: datetime | None) -> None:
        starts = await find_starts(self._consumer, partitions, from_time)
        self._consumer.assign(partitions)
        for partition, start in starts.items():
            self._consumer.seek(partition, start)

    async def _stands_at(self, ends: Mapping[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True


@asynccontextmanager
async def open_reader(options: Mapping[str, Any]) -> AsyncIterator[TopicReader]:
    """Open a reader on the cluster of `options`. A Kafka error in its use ends as `BrokerUnavailable`."""
    consumer = AIOKafkaConsumer(
        **options,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,  # the next reading waits behind the last fetch of the one before
    )
    try:
        await consumer.start()
        yield TopicReader(options, consumer)
    except KafkaError as error:
        raise BrokerUnavailable(type(error).__name__) from None
    finally:
        await consumer.stop()
