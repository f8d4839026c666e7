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
from functools import partial
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from sidecar.errors import ConfigError
from sidecar.intake.admission import Admission, admit
from sidecar.intake.assignment import Assignment
from sidecar.intake.golive import start_positions
from sidecar.intake.kafka import client_options
from sidecar.intake.lanes import Lanes
from sidecar.intake.record import Record
from sidecar.intake.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiokafka import ConsumerRecord

    from sidecar.intake.watermark import Watermark
    from sidecar.settings import KafkaSettings, WorkerSettings

logger = logging.getLogger(__name__)

POLL_MILLISECONDS = 250
COMMIT_SECONDS = 1.0
COMMIT_COMPLETIONS = 50
COMMIT_LIMIT_SECONDS = 10.0
REVOKE_SECONDS = 5.0
REBUILD_SECONDS = (1.0, 30.0)
BUFFERED_BYTES = 64 * 1024 * 1024
BUFFERED_RECORDS = 256
"""Records held beside four for each lane: enough that a topic of skipped events streams."""
MOST_HELD_BACK = 1000
"""Offsets of one partition behind an unfinished one, before the partition pauses for its head."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record in a lane. Its watermark is that of its time: after a lost partition it counts for nothing."""

    admission: Admission
    watermark: Watermark
    ticket: Ticket

    @property
    def document(self) -> str | None:
        return self.admission.document

    @property
    def version(self) -> str | None:
        return self.admission.version

    @property
    def partition(self) -> TopicPartition:
        return TopicPartition(self.admission.record.topic, self.admission.record.partition)

    @property
    def size(self) -> int:
        return len(self.admission.record.value or b"")


@dataclass(frozen=True, slots=True)
class Handlers:
    """What intake calls. None of them may raise but for cancellation.

    `handle` says whether the record has its outcome; False leaves its offset to whoever reads it again.
    `coalesced` is told of a record that a newer version of its document made needless. `skips` may end
    a record at once, without a lane. `paused` is asked before every fetch.
    """

    handle: Callable[[Admission, Ticket], Awaitable[bool]]
    coalesced: Callable[[Admission], None] = lambda _admission: None
    skips: Callable[[Admission], bool] = lambda _admission: False
    paused: Callable[[], bool] = lambda: False


class Intake:
    """Consumes until stopped."""

    def __init__(
        self,
        kafka: KafkaSettings,
        worker: WorkerSettings,
        handlers: Handlers,
        open_consumer: Callable[[], AIOKafkaConsumer] | None = None,
    ) -> None:
        """`open_consumer` is the seam for tests: it gives a client that has not started."""
        self._kafka = kafka
        self._worker = worker
        self._open_consumer = open_consumer or partial(open_kafka_consumer, kafka)
        self._handlers = handlers
        self._lanes: Lanes[Delivery] = Lanes(worker.concurrency, self._work, self._coalesce)
        self._assignment = Assignment()
        self._committing = asyncio.Lock()
        self._completions = 0
        self._commit_now = asyncio.Event()
        self._buffered_bytes = 0
        self._most_records = BUFFERED_RECORDS + worker.concurrency * 4
        self._room = asyncio.Event()
        self._consumer: AIOKafkaConsumer | None = None
        self._was_assigned = False
        self.ready = asyncio.Event()
        """Set once partitions were assigned for the first time."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping`, then drain: finish running work, commit, leave the group.

        A fatal client error rebuilds the consumer with backoff; nothing finished is lost by it.
        """
        pause, longest = REBUILD_SECONDS
        while not stopping.is_set():
            self._was_assigned = False
            try:
                await self._consume(stopping)
            except (KafkaError, OSError, ConfigError) as error:
                if isinstance(error, ConfigError) and not self.ready.is_set():
                    raise  # wrong from the start; later it is a secret file that is being replaced
                pause = REBUILD_SECONDS[0] if self._was_assigned else pause
                logger.warning("consumer-rebuild", extra={"error_class": type(error).__name__, "seconds": pause})
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), pause)
                pause = min(pause * 2, longest)

    async def _consume(self, stopping: asyncio.Event) -> None:
        consumer = self._open_consumer()
        self._consumer = consumer
        stop = asyncio.create_task(stopping.wait())
        tasks: list[asyncio.Task[None]] = []
        try:
            start = asyncio.create_task(consumer.start())
            tasks.append(start)
            await asyncio.wait([stop, start], return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                consumer.subscribe(list(self._kafka.topics), listener=_Listener(self))
                tasks += [asyncio.create_task(self._poll(consumer)), asyncio.create_task(self._commit_regularly())]
                await asyncio.wait([stop, *tasks[1:]], return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                await self._drain(tasks)
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            await _cancel(stop, *tasks)
            await self._close(consumer)

    async def _drain(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop fetching, let running work end, commit. Order matters: what ends late still commits."""
        await _cancel(*tasks[:2])
        await self._lanes.drain(self._worker.drain_seconds)
        await self._commit()

    async def _close(self, consumer: AIOKafkaConsumer) -> None:
        self.assign(())
        self._assignment.end_rebalance()
        self._lanes.resume()
        self._consumer = None
        try:
            await asyncio.wait_for(consumer.stop(), COMMIT_LIMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            # The broker finds out by the session timeout; everything that matters is committed already.
            logger.warning("consumer-stop", extra={"error_class": type(error).__name__})
        except asyncio.CancelledError:
            # aiokafka lets the cancellation of its own tasks out when the broker is away.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    # poller

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            if self._is_full() or self._handlers.paused():
                await self._hold(consumer)
                continue
            self._pause_only(consumer, self._assignment.stuck(MOST_HELD_BACK))
            await self._fetch(consumer, POLL_MILLISECONDS, self._most_records - self._lanes.buffered)

    async def _fetch(self, consumer: AIOKafkaConsumer, milliseconds: int, most: int) -> None:
        batches = await consumer.getmany(timeout_ms=milliseconds, max_records=most)
        # aiokafka may hand out records of a new partition before the listener has heard of it.
        await self._assignment.stable.wait()
        for partition, messages in batches.items():
            for message in messages:
                self._deliver(partition, message)

    def _is_full(self) -> bool:
        return self._lanes.buffered >= self._most_records or self._buffered_bytes >= BUFFERED_BYTES

    async def _hold(self, consumer: AIOKafkaConsumer) -> None:
        """Pause everything (anew each turn: rebalances forget pauses) and wait until half is worked off.

        The fetch keeps the membership alive. Paused partitions give nothing, one that a rebalance has
        just brought may: what is fetched is delivered, for it is not fetched again.
        """
        self._pause_only(consumer, consumer.assignment())
        self._room.clear()
        await self._fetch(consumer, 0, 1)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), POLL_MILLISECONDS / 1000)

    def _pause_only(self, consumer: AIOKafkaConsumer, wanted: Iterable[TopicPartition]) -> None:
        assigned, paused = consumer.assignment(), consumer.paused()
        consumer.pause(*(assigned & set(wanted)) - paused)
        consumer.resume(*(assigned & paused) - set(wanted))

    def _deliver(self, partition: TopicPartition, message: ConsumerRecord[bytes, bytes]) -> None:
        watermark = self._assignment.watermark(partition)
        if watermark is None or not watermark.deliver(message.offset):
            return
        admission = admit(copy_record(message))
        if self._handlers.skips(admission):
            self._finish(watermark, message.offset)
            return
        delivery = Delivery(admission, watermark, Ticket(self._assignment.stable))
        self._buffered_bytes += delivery.size
        self._lanes.submit(admission.lane, delivery)

    # lanes

    async def _work(self, delivery: Delivery) -> None:
        try:
            if self._is_current(delivery) and await self._handlers.handle(delivery.admission, delivery.ticket):
                self._finish(delivery.watermark, delivery.admission.record.offset)
        finally:
            self._let_go(delivery)

    def _coalesce(self, delivery: Delivery) -> None:
        self._handlers.coalesced(delivery.admission)
        self._finish(delivery.watermark, delivery.admission.record.offset)
        self._let_go(delivery)

    def _is_current(self, delivery: Delivery) -> bool:
        return self._assignment.watermark(delivery.partition) is delivery.watermark

    def _finish(self, watermark: Watermark, offset: int) -> None:
        watermark.finish(offset)
        self._completions += 1
        if self._completions >= COMMIT_COMPLETIONS:
            self._commit_now.set()

    def _let_go(self, delivery: Delivery) -> None:
        self._buffered_bytes -= delivery.size
        if self._lanes.buffered <= self._most_records // 2 and self._buffered_bytes <= BUFFERED_BYTES // 2:
            self._room.set()

    # committer

    async def _commit_regularly(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._commit_now.wait(), COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        """Commit every watermark that moved, one commit at a time and bounded.

        A refused commit is dropped: the rebalance decides who goes on, and records come again.
        """
        async with self._committing:
            self._commit_now.clear()
            self._completions = 0
            consumer = self._consumer
            if consumer is None:
                return
            offsets = self._assignment.due(consumer.assignment(), with_map=self._kafka.commit_done_map)
            if not offsets:
                return
            try:
                # aiokafka retries retriable errors for ever, hence the limit.
                await asyncio.wait_for(consumer.commit(offsets), COMMIT_LIMIT_SECONDS)
            except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
                logger.warning("commit-failed", extra={"error_class": type(error).__name__})
                return
            self._assignment.confirm(offsets)

    # rebalance

    async def revoke(self) -> None:
        """Before the group decides anew: start nothing, let writes (not drafts) end in time, commit."""
        self._assignment.begin_rebalance()
        self._lanes.hold()
        deadline = asyncio.get_running_loop().time() + REVOKE_SECONDS
        while any(delivery.ticket.writing for delivery in self._lanes.running()):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)
        await self._commit()

    def assign(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        """Take an assignment over: give up what is lost, go on with what stayed; return what is new."""
        lost, gained = self._assignment.settle(partitions)
        for delivery in self._lanes.discard(lambda delivery: delivery.partition in lost):
            self._let_go(delivery)
        for delivery in self._lanes.running():
            if delivery.partition in lost:
                delivery.ticket.abandon()
        return gained

    async def begin(self, partitions: Iterable[TopicPartition]) -> None:
        """Take over what the group assigned, with the progress that an earlier worker left in its commits."""
        gained = self.assign(partitions)
        if gained and self._consumer is not None:
            await start_positions(self._consumer, gained, self._kafka.from_time)
            if self._kafka.commit_done_map:
                await self._restore(self._consumer, gained)
        self._assignment.end_rebalance()
        self._lanes.resume()
        self._was_assigned = True
        self.ready.set()

    async def _restore(self, consumer: AIOKafkaConsumer, gained: set[TopicPartition]) -> None:
        try:
            # The public committed() leaves the metadata out.
            fetch = consumer._coordinator.fetch_committed_offsets(list(gained))  # noqa: SLF001 - see above
            found = await asyncio.wait_for(fetch, COMMIT_LIMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            logger.warning("restore-failed", extra={"error_class": type(error).__name__})
            return
        for partition, committed in found.items():
            watermark = self._assignment.watermark(partition)
            if watermark is not None and committed.offset >= 0:
                watermark.restore(committed.offset, committed.metadata)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka logs and swallows what these raise."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # all of them, always: the protocol is eager
        await self._intake.revoke()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._intake.begin(assigned)


def open_kafka_consumer(kafka: KafkaSettings) -> AIOKafkaConsumer:
    """Make a client that has not started. Raises `ConfigError`."""
    milliseconds = int(kafka.session_timeout_seconds * 1000)
    return AIOKafkaConsumer(
        **client_options(kafka),
        group_id=kafka.group_id,
        group_instance_id=kafka.group_instance_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(StickyPartitionAssignor,),
        isolation_level="read_committed",
        session_timeout_ms=milliseconds,
        heartbeat_interval_ms=milliseconds // 10,
        # What a rebalance waits for a member to hand over; REVOKE_SECONDS stays below the least of it.
        rebalance_timeout_ms=milliseconds,
        max_poll_interval_ms=int(kafka.max_poll_interval_seconds * 1000),
        fetch_max_bytes=8 * 1024 * 1024,
    )


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


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
