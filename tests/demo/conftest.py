"""A demo EHR on a real socket and a client for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sidecar.demo.ehr import DemoEhr, demo_ehr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiokafka import ConsumerRecord

    from sidecar.demo.relay import Record

FHIR_JSON = {"content-type": "application/fhir+json"}


class RecordingPublisher:
    """Keeps what it is given, in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.records += records

    async def aclose(self) -> None:
        pass

    @property
    def values(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value) for record in self.records]


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
async def ehr(publisher: RecordingPublisher) -> AsyncIterator[DemoEhr]:
    async with demo_ehr(publisher=publisher) as running:
        yield running


@asynccontextmanager
async def client_of(ehr: DemoEhr) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ehr.base_url + "/", headers=FHIR_JSON, trust_env=False) as client:
        yield client


@pytest.fixture
async def fhir(ehr: DemoEhr) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(ehr) as client:
        yield client


def note(**changes: Any) -> dict[str, Any]:
    """Return a small valid document."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}],
        **changes,
    }


async def read_topic(bootstrap_servers: str, topic: str, count: int) -> list[ConsumerRecord]:
    """Return the first `count` records of a topic, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        async with asyncio.timeout(30):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    return set(consumer.partitions_for_topic(topic) or {0})
