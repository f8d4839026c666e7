"""The dead-letter topic: what cannot be read, kept whole, with a PHI-free reason in text headers.

Header names follow Kafka Streams' newest convention (KIP-1034: plain text), under our own prefix.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sidecar import __version__
from sidecar.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.intake.record import Record

HEADER_PREFIX = "x-ehr-error-"
_ACK_SECONDS = 30.0


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
    """Sends to `<topic>.<group>.dlt`."""

    def __init__(self, options: Mapping[str, Any], group_id: str, payload: Literal["keep", "omit"]) -> None:
        # Idempotence is off: a dead letter twice is harmless, and not every broker offers it.
        self._producer = AIOKafkaProducer(**options, acks="all", max_request_size=64 * 1024 * 1024)
        self._group_id = group_id
        self._payload = payload

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def send(self, letter: DeadLetter) -> None:
        record = letter.record
        value = record.value if self._payload == "keep" else None
        try:
            await asyncio.wait_for(
                self._producer.send_and_wait(
                    dead_letter_topic(record.topic, self._group_id),
                    value=value,
                    key=record.key,
                    headers=[*record.headers, *dead_letter_headers(letter, self._group_id)],
                ),
                _ACK_SECONDS,
            )
        except (KafkaError, TimeoutError):
            raise BrokerUnavailable("dead letter not acknowledged") from None


def dead_letter_topic(topic: str, group_id: str) -> str:
    return f"{topic}.{group_id}.dlt"


def dead_letter_headers(letter: DeadLetter, group_id: str) -> list[tuple[str, bytes]]:
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
