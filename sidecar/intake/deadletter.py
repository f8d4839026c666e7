"""The dead-letter topic: what cannot be read, kept whole, with a PHI-free reason in text headers.

Header names follow Kafka Streams' newest convention (KIP-1034: plain text), under our own prefix.
A value that was left out is null and named so by the header `x-ehr-error-payload=omitted`: such a
record is no tombstone, so the topic must have `cleanup.policy=delete`, never `compact`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from sidecar import __version__
from sidecar.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidecar.intake.record import Record

HEADER_PREFIX = "x-ehr-error-"
OMITTED = (f"{HEADER_PREFIX}payload", b"omitted")
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Above any sane max.message.bytes: the broker, not this client, says what is too large."""
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_ACK_SECONDS = 30.0

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why `record` is given up. `error_class` is a class name; no exception text travels (PHI)."""

    record: Record
    code: str
    error_class: str
    stage: str
    attempts: int
    first_failed_at: datetime


class DeadLetters(Protocol):
    async def send(self, letter: DeadLetter) -> None:
        """Return after the broker's ack. Raises `BrokerUnavailable`; the offset must then not pass."""
        ...


class KafkaDeadLetters:
    """Sends to `<topic>.<group>.dlt`. May be used by several tasks at once."""

    def __init__(self, options: Mapping[str, Any], group_id: str, payload: Literal["keep", "omit"]) -> None:
        # Idempotence is off: a dead letter twice is harmless, and not every broker offers it.
        self._producer = AIOKafkaProducer(**options, acks="all", max_request_size=MAX_REQUEST_BYTES)
        self._group_id = group_id
        self._payload = payload

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def send(self, letter: DeadLetter) -> None:
        """Send `letter` whole; what the broker finds too large goes without value, then without original headers.

        Our headers make every record larger than it was in its source topic, which may have taken it
        at the limit. The coordinates are enough to replay it.
        """
        record, ours = letter.record, dead_letter_headers(letter, self._group_id)
        original = without_error_headers(record.headers)
        whole = (record.value, [*original, *ours])
        lighter: tuple[tuple[None, Headers], ...] = ((None, [*original, *ours, OMITTED]), (None, [*ours, OMITTED]))
        for value, headers in lighter if self._payload == "omit" else (whole, *lighter):
            with suppress(*TOO_LARGE):
                await self._send(record, value, headers)
                return
        raise BrokerUnavailable("dead letter too large without its value")

    async def _send(self, record: Record, value: bytes | None, headers: Headers) -> None:
        topic = dead_letter_topic(record.topic, self._group_id)
        try:
            await asyncio.wait_for(
                self._producer.send_and_wait(topic, value=value, key=record.key, headers=headers), _ACK_SECONDS
            )
        except TOO_LARGE:
            raise
        except (KafkaError, TimeoutError):
            raise BrokerUnavailable("dead letter not acknowledged") from None


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as it lies in its topic. What its headers do not say is None.

    `record` is the one in the dead-letter topic, its coordinates name the letter. `source` is
    topic, partition and offset of the record that was given up, `timestamp` its time in milliseconds.
    `omitted` tells a value that was left out from a record that had none.
    """

    record: Record
    source: tuple[str, int, int] | None
    timestamp: int | None
    code: str | None
    stage: str | None
    first_failed_at: datetime | None
    omitted: bool

    @property
    def source_coordinates(self) -> str | None:
        """`topic:partition:offset` in the source topic."""
        return ":".join(map(str, self.source)) if self.source else None


def read_letter(record: Record) -> StoredLetter:
    """Read the headers of a record of a dead-letter topic; what others wrote there has no `source`."""
    headers = error_headers(record.headers)
    topic, partition, offset, timestamp, code, stage, failed = (
        headers.get(HEADER_PREFIX + name)
        for name in ("topic", "partition", "offset", "timestamp", "code", "stage", "first-failed-at")
    )
    number, place = _whole_number(partition), _whole_number(offset)
    return StoredLetter(
        record=record,
        source=(topic, number, place) if topic and number is not None and place is not None else None,
        timestamp=_whole_number(timestamp),
        code=code,
        stage=stage,
        first_failed_at=_moment(failed),
        omitted=OMITTED in record.headers,
    )


def dead_letter_topic(topic: str, group_id: str) -> str:
    return f"{topic}.{group_id}.dlt"


def dead_letter_headers(letter: DeadLetter, group_id: str) -> Headers:
    record = letter.record
    values = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "group": group_id,
        "class": letter.error_class,
        "code": letter.code,
        "stage": letter.stage,
        "attempts": letter.attempts,
        "first-failed-at": letter.first_failed_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "worker-version": __version__,
    }
    return [(HEADER_PREFIX + name, str(value).encode()) for name, value in values.items()]


def without_error_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Return the headers that the record came with; whoever else sent some of ours does not get them believed."""
    return [(name, value) for name, value in headers if not name.lower().startswith(HEADER_PREFIX)]


def error_headers(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return what we added to a record, none of it PHI."""
    return {name: value.decode("utf-8", "replace") for name, value in headers if name.startswith(HEADER_PREFIX)}


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
