"""Reads records, hands them to lanes, commits what is finished.

Three tasks: the poller only fetches, pauses and resumes (aiokafka leaves the group when polling
stalls), lanes run the handler, the committer commits. aiokafka rebalances eagerly: every change
revokes everything, forgets pauses and sends retained partitions again from the committed offset.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from sidecar.intake.envelope import lane_key
from sidecar.intake.kafka import client_options
from sidecar.intake.lanes import Lanes
from sidecar.intake.record import Record
from sidecar.intake.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiokafka import ConsumerRecord

    from sidecar.settings import KafkaSettings, WorkerSettings

logger = logging.getLogger(__name__)

POLL_MILLISECONDS = 250
COMMIT_SECONDS = 1.0
COMMIT_LIMIT_SECONDS = 10.0
REVOKE_SECONDS = 5.0
REBUILD_SECONDS = (1.0, 30.0)
BUFFERED_BYTES = 64 * 1024 * 1024
BUFFERED_RECORDS = 256
"""Records held beside four for each lane: enough that a topic of skipped events streams."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record and the watermark that it was delivered to: after a rebalance a stale one counts for nothing."""

    record: Record
    watermark: Watermark


class Intake:
    """Consumes until stopped. `handle` returns when a record has its outcome, and must not raise."""

    def __init__(
        self, kafka: KafkaSettings, worker: WorkerSettings, handle: Callable[[Record], Awaitable[None]]
    ) -> None:
        self._kafka = kafka
        self._worker = worker
        self._options = client_options(kafka)
        self._handle = handle
        self._lanes = Lanes(worker.concurrency, self._work)
        self._watermarks: dict[TopicPartition, Watermark] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._buffered_bytes = 0
        self._most_records = BUFFERED_RECORDS + worker.concurrency * 4
        self._room = asyncio.Event()
        self._consumer: AIOKafkaConsumer | None = None
        self.ready = asyncio.Event()
        """Set once partitions were assigned for the first time."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping`, then drain: finish running work, commit, leave the group.

        A fatal client error rebuilds the consumer with backoff; nothing finished is lost by it.
        """
        pause, longest = REBUILD_SECONDS
        while not stopping.is_set():
            try:
                await self._consume(stopping)
            except (KafkaError, OSError) as error:
                logger.warning("consumer-rebuild", extra={"error_class": type(error).__name__, "seconds": pause})
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), pause)
                pause = min(pause * 2, longest)

    async def _consume(self, stopping: asyncio.Event) -> None:
        consumer = self._open_consumer()
        self._consumer = consumer
        try:
            await consumer.start()
            consumer.subscribe(list(self._kafka.topics), listener=_Listener(self))
            tasks = [asyncio.create_task(self._poll(consumer)), asyncio.create_task(self._commit_regularly())]
            stop = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
                if stopping.is_set():
                    await self._drain(tasks[0])
                for task in tasks:
                    if task.done() and not task.cancelled():
                        task.result()
            finally:
                await _cancel(stop, *tasks)
        finally:
            await self._close(consumer)

    def _open_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._options,
            group_id=self._kafka.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            isolation_level="read_committed",
            session_timeout_ms=int(self._kafka.session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(self._kafka.session_timeout_seconds * 100),
            # What a rebalance waits for a member to hand over; REVOKE_SECONDS stays below the least of it.
            rebalance_timeout_ms=int(self._kafka.session_timeout_seconds * 1000),
            fetch_max_bytes=8 * 1024 * 1024,
        )

    async def _drain(self, poller: asyncio.Task[None]) -> None:
        """Stop fetching, let running work end, commit. Order matters: what ends late still commits."""
        await _cancel(poller)
        await self._lanes.drain(self._worker.drain_seconds)
        await self._commit()

    async def _close(self, consumer: AIOKafkaConsumer) -> None:
        self._forget(list(self._watermarks))
        self._consumer = None
        try:
            await asyncio.wait_for(consumer.stop(), COMMIT_LIMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            # The broker finds out by the session timeout; everything that matters is committed already.
            logger.warning("consumer-stop", extra={"error_class": type(error).__name__})

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            if self._is_full():
                await self._hold(consumer)
                continue
            consumer.resume(*(consumer.assignment() & consumer.paused()))
            free = self._most_records - self._lanes.buffered
            batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=free)
            for partition, messages in batches.items():
                for message in messages:
                    self._deliver(partition, message)

    def _is_full(self) -> bool:
        return self._lanes.buffered >= self._most_records or self._buffered_bytes >= BUFFERED_BYTES

    async def _hold(self, consumer: AIOKafkaConsumer) -> None:
        """Pause everything (anew each turn: rebalances forget pauses) and wait until half is worked off.

        The call to `getmany` keeps the membership alive; paused partitions give nothing.
        """
        consumer.pause(*(consumer.assignment() - consumer.paused()))
        await consumer.getmany(timeout_ms=0)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), POLL_MILLISECONDS / 1000)

    def _deliver(self, partition: TopicPartition, message: ConsumerRecord[bytes, bytes]) -> None:
        watermark = self._watermarks.get(partition)
        if watermark is None or not watermark.deliver(message.offset):
            return
        record = copy_record(message)
        self._buffered_bytes += len(record.value or b"")
        self._room.clear()
        self._lanes.submit(lane_key(record), Delivery(record, watermark))

    async def _work(self, delivery: Delivery) -> None:
        try:
            if self._watermarks.get(partition_of(delivery.record)) is delivery.watermark:
                await self._handle(delivery.record)
                delivery.watermark.finish(delivery.record.offset)
        finally:
            self._buffered_bytes -= len(delivery.record.value or b"")
            if self._lanes.buffered <= self._most_records // 2 and self._buffered_bytes <= BUFFERED_BYTES // 2:
                self._room.set()

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        """Commit every watermark that moved. A refused commit is dropped: the rebalance decides who goes on."""
        async with self._committing:
            consumer = self._consumer
            if consumer is None:
                return
            assigned = consumer.assignment()
            offsets = {
                partition: watermark.position
                for partition, watermark in self._watermarks.items()
                if partition in assigned
                and watermark.position is not None
                and watermark.position != self._committed.get(partition)
            }
            if not offsets:
                return
            try:
                # aiokafka retries retriable errors for ever, hence the limit.
                await asyncio.wait_for(consumer.commit(offsets), COMMIT_LIMIT_SECONDS)
            except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
                logger.warning("commit-failed", extra={"error_class": type(error).__name__})
                return
            self._committed.update(offsets)

    async def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Before partitions go: drop what waits, let running work end within a budget, commit, forget."""
        revoked = set(partitions)
        if not revoked:
            return
        dropped = self._lanes.discard(lambda delivery: partition_of(delivery.record) in revoked)
        self._buffered_bytes -= sum(len(delivery.record.value or b"") for delivery in dropped)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._lanes.idle(), REVOKE_SECONDS)
        await self._commit()
        self._forget(revoked)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._watermarks[partition] = Watermark()
        self.ready.set()

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._watermarks.pop(partition, None)
            self._committed.pop(partition, None)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._intake.revoke(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._intake.assign(assigned)


def copy_record(message: ConsumerRecord[bytes, bytes]) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in message.headers),
        message.timestamp,
    )


def partition_of(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
