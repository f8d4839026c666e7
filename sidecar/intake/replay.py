"""Brings dead letters back: the record that was given up goes to its source topic once more.

A replay may be repeated: the ledger allows one draft for a source version, however often it comes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from sidecar.errors import BrokerUnavailable
from sidecar.intake.deadletter import MAX_REQUEST_BYTES, TOO_LARGE, without_error_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from sidecar.intake.deadletter import Headers, StoredLetter
    from sidecar.intake.record import Record
    from sidecar.intake.scan import TopicReader

REPLAYED_FROM = "x-ehr-replayed-from"
"""Names the dead letter, `topic:partition:offset` in its topic, that a record of a source topic was."""
_ACK_SECONDS = 30.0


class Fault(StrEnum):
    """Why one letter cannot be replayed; the others are."""

    NOT_OURS = "not-a-dead-letter"  # its headers name no source
    SOURCE_GONE = "source-gone"  # left out here, and no longer in the source topic
    TOPIC_GONE = "topic-gone"  # the source topic is not there, or this login may not see it
    TOO_LARGE = "too-large"  # the source topic no longer takes a record of this size


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is None does not matter. `since` is included, `until` is not.

    Times are those of the first failure. A letter without one is in no period.
    """

    code: str | None = None
    key: bytes | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, letter: StoredLetter) -> bool:
        return (
            self.code in (None, letter.code)
            and (self.key is None or self.key == letter.record.key)
            and self._in_period(letter.first_failed_at)
        )

    def _in_period(self, failed: datetime | None) -> bool:
        if self.since is None and self.until is None:
            return True
        if failed is None:
            return False
        return (self.since is None or self.since <= failed) and (self.until is None or failed < self.until)


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in the topics before a replay begins: it adds letters itself where a record fails again.

    `failed_again` are the letters that were replayed before and have a later letter in their stead.
    """

    ends: Mapping[tuple[str, int], int]
    failed_again: frozenset[str]

    def takes(self, letter: StoredLetter) -> bool:
        """Say whether the letter was there, and is the latest of its record: or else each replay doubles it."""
        record = letter.record
        return (
            record.offset < self.ends.get((record.topic, record.partition), 0)
            and record.coordinates not in self.failed_again
        )


@dataclass(frozen=True, slots=True)
class Return:
    """A record as it goes back. `partition` None leaves the choice to the key."""

    letter: StoredLetter
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


async def survey(records: AsyncIterator[Record]) -> Survey:
    """Take in all records of the dead-letter topics."""
    ends: dict[tuple[str, int], int] = {}
    failed_again = set()
    async for record in records:
        ends[record.topic, record.partition] = record.offset + 1
        if earlier := record.header(REPLAYED_FROM):
            failed_again.add(earlier)
    return Survey(ends, frozenset(failed_again))


async def given_up(reader: TopicReader, letter: StoredLetter) -> Record | Fault:
    """Return the record that was given up, its value read from the source topic where the letter leaves it out.

    A source topic that was made anew holds other records at the same coordinates: key and time must agree.
    """
    if letter.source is None:
        return Fault.NOT_OURS
    if not letter.omitted:
        return letter.record
    record = await reader.read_one(*letter.source)
    if record is None or record.key != letter.record.key or letter.timestamp not in (None, record.timestamp):
        return Fault.SOURCE_GONE
    return record


async def prepare(reader: TopicReader, letter: StoredLetter) -> Return | Fault:
    """Return what goes back: key, value bytes and headers as they came, to the same partition where it still is.

    The record gets a new timestamp: a replay is of today, for retention and for `kafka.from_time`.
    """
    if letter.source is None:
        return Fault.NOT_OURS
    record = await given_up(reader, letter)
    if isinstance(record, Fault):
        return record
    topic, partition, _ = letter.source
    existing = await reader.partitions([topic])
    if not existing:
        return Fault.TOPIC_GONE
    headers = [(name, value) for name, value in without_error_headers(record.headers) if name != REPLAYED_FROM]
    headers.append((REPLAYED_FROM, letter.record.coordinates.encode()))
    same = partition if TopicPartition(topic, partition) in existing else None
    return Return(letter, topic, same, record.key, record.value, headers)


class Publisher:
    """Sends records back, one after the other: order within a key stays."""

    verb = "replayed"

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def publish(self, back: Return) -> Fault | None:
        """Return after the broker's ack, with a fault where it does not take the record.

        A record at the topic's size limit goes back without our header, as it first came.
        """
        as_it_came = [header for header in back.headers if header[0] != REPLAYED_FROM]
        for headers in (back.headers, as_it_came):
            with suppress(*TOO_LARGE):
                await self._send(back, headers)
                return None
        return Fault.TOO_LARGE

    async def _send(self, back: Return, headers: Headers) -> None:
        sending = self._producer.send_and_wait(
            back.topic, value=back.value, key=back.key, partition=back.partition, headers=headers
        )
        try:
            await asyncio.wait_for(sending, _ACK_SECONDS)
        except TimeoutError:
            raise BrokerUnavailable("replay not acknowledged") from None


@asynccontextmanager
async def open_publisher(options: Mapping[str, Any]) -> AsyncIterator[Publisher]:
    """Open a producer that waits for all replicas. A Kafka error in its use ends as `BrokerUnavailable`."""
    producer = AIOKafkaProducer(**options, acks="all", max_request_size=MAX_REQUEST_BYTES)
    try:
        await producer.start()
        yield Publisher(producer)
    except KafkaError as error:
        raise BrokerUnavailable(type(error).__name__) from None
    finally:
        await producer.stop()
