"""Where a group begins on a topic that it never read, which may hold years of notes.

A partition with a committed offset is never moved. Others begin at the first record, or with
`from_time` at the first record at or after it. What a broker answers is not the last word: producers'
clocks are not in order and some brokers answer too low, so `is_before` judges each record as well.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from aiokafka import AIOKafkaConsumer, TopicPartition

    from sidecar.intake.record import Record

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 20.0
"""aiokafka retries look-ups and commits for ever; a rebalance must not wait for that."""


async def start_positions(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], from_time: datetime | None
) -> None:
    """Seek and commit where each of the partitions that has no committed offset begins.

    To be awaited on assignment. The commit keeps a quiet partition from being resolved anew at each
    rebalance, which would lose what came meanwhile (confluentinc/parallel-consumer #894). A failure is
    logged, not raised: the consumer then begins at the first record and `is_before` does the rest.
    """
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            fresh = await _without_commit(consumer, partitions)
            if not fresh:
                return
            starts = await find_starts(consumer, fresh, from_time)
            for partition, start in starts.items():
                consumer.seek(partition, start)
            await consumer.commit(starts)
    except (KafkaError, TimeoutError) as error:
        logger.warning("start-positions-failed", extra={"error_class": type(error).__name__})


async def find_starts(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], from_time: datetime | None
) -> dict[TopicPartition, int]:
    """Return the offset of the first record (at or after `from_time`) of each partition, its end where none is."""
    if from_time is None:
        starts: dict[TopicPartition, int] = await consumer.beginning_offsets(list(partitions))
        return starts
    # The ends first: what is written between the two questions then lies behind the start, not before it.
    ends = await consumer.end_offsets(list(partitions))
    found: dict[TopicPartition, Any] = await consumer.offsets_for_times(
        dict.fromkeys(partitions, milliseconds(from_time))
    )
    return {partition: at.offset if (at := found[partition]) else ends[partition] for partition in partitions}


def is_before(record: Record, from_time: datetime | None) -> bool:
    """Say whether `record` was written before `from_time`; one without a timestamp was not."""
    return from_time is not None and 0 < record.timestamp < milliseconds(from_time)


def milliseconds(moment: datetime) -> int:
    return max(0, round(moment.timestamp() * 1000))  # Kafka knows no time before 1970


async def _without_commit(consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
    ordered = list(partitions)
    offsets = await asyncio.gather(*map(consumer.committed, ordered))
    return [partition for partition, offset in zip(ordered, offsets, strict=True) if offset is None]
