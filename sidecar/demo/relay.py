"""From the outbox to the event topic, in write order, at least once.

An event leaves the outbox after the broker's acknowledgement, so a killed EHR publishes it when it
comes back; what was sent and not yet settled then goes out twice, as with any real sender.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import stamina
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sidecar.demo.envelope import Envelope, render_event
from sidecar.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.demo.store import Event, Store

logger = logging.getLogger(__name__)

BATCH = 100
RECORD_LIMIT = 900_000  # brokers take 1 MiB by default; a larger document goes out as a notification of its id


@dataclass(frozen=True, slots=True)
class Record:
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Publisher(Protocol):
    async def publish(self, records: Sequence[Record]) -> None:
        """Return when all of them are acknowledged; raises `BrokerUnavailable`."""
        ...

    async def aclose(self) -> None: ...


class NoPublisher:
    """For an EHR that runs without Kafka: events end here."""

    async def publish(self, records: Sequence[Record]) -> None:
        pass

    async def aclose(self) -> None:
        pass


class KafkaPublisher:
    """Connects at the first event, so the EHR starts without its broker, and again after a failure."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, records: Sequence[Record]) -> None:
        try:
            producer = self._producer or await self._connect()
            # aiokafka has one batch a partition in flight, which keeps the order of a key.
            sent = [await producer.send(self._topic, r.value, key=r.key, headers=list(r.headers)) for r in records]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise BrokerUnavailable(type(error).__name__) from None

    async def aclose(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def _connect(self) -> AIOKafkaProducer:
        # enable_idempotence is off because Tansu has no InitProducerId
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap_servers, acks="all")
        try:
            await producer.start()
        except KafkaError:
            await producer.stop()
            raise
        self._producer = producer
        return producer


class Relay:
    """Publishes what the store's outbox holds; run it as one task."""

    def __init__(self, store: Store, publisher: Publisher, envelope: Envelope, base_url: str) -> None:
        self._store = store
        self._publisher = publisher
        self._envelope = envelope
        self._base_url = base_url
        self._written = asyncio.Event()
        self._empty = asyncio.Event()

    def wake(self) -> None:
        """Say that something was written."""
        self._empty.clear()
        self._written.set()

    async def wait_empty(self) -> None:
        """Wait until everything written before this call is acknowledged."""
        await self._empty.wait()

    async def run(self) -> None:
        while True:
            self._written.clear()
            events = await asyncio.to_thread(self._store.pending_events, BATCH)
            if events:
                await self._publish(events)
                continue
            if not self._written.is_set():
                self._empty.set()
            await self._written.wait()

    async def _publish(self, events: Sequence[Event]) -> None:
        records = [self._record(event) for event in events]
        async for attempt in stamina.retry_context(
            on=BrokerUnavailable, attempts=None, timeout=None, wait_initial=0.1, wait_max=2.0, wait_jitter=0.1
        ):
            with attempt:
                await self._publisher.publish(records)
        await asyncio.to_thread(self._store.settle_events, events[-1].seq)
        logger.debug("events published", extra={"count": len(events)})

    def _record(self, event: Event) -> Record:
        value = orjson.dumps(self._render(event, self._envelope))
        if len(value) > RECORD_LIMIT:
            value = orjson.dumps(self._render(event, "notification-id-only"))
        trace = () if event.traceparent is None else (("traceparent", event.traceparent.encode()),)
        return Record(event.key.encode(), value, trace)

    def _render(self, event: Event, envelope: Envelope) -> dict[str, Any]:
        return render_event(event, envelope, self._base_url)
