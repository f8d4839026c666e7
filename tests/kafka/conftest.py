"""One Apache Kafka broker a version for the whole session; each test takes a topic, a group and access of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.intake.deadletter import dead_letter_topic
from tests.kafka.fetch import ToolMissing, libs
from tests.support.kafka_broker import LATEST, PREVIOUS, Broker
from tests.support.kafka_security import SecuredBroker, secured_broker
from tests.worker.test_worker import Site, open_site


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=[LATEST, PREVIOUS])
async def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SecuredBroker]:
    try:
        libs(request.param)
    except ToolMissing as error:
        pytest.fail(str(error), pytrace=False)
    async with secured_broker(request.param, tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def broker(kafka: SecuredBroker) -> Broker:
    """Stand in for the embedded broker, in this folder."""
    return kafka.broker


@pytest.fixture
async def site(broker: Broker, topic: str, tmp_path: Path, _dead_letter_topic: None) -> AsyncIterator[Site]:
    async with open_site(broker, topic, tmp_path) as opened:
        yield opened


@pytest.fixture
async def site_without_dead_letters(broker: Broker, topic: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(broker, topic, tmp_path) as opened:
        yield opened


@pytest.fixture
async def _dead_letter_topic(broker: Broker, topic: str) -> None:
    """An operator's step where brokers create no topics; `group-…` is what a site names its group."""
    await broker.create_topic(dead_letter_topic(topic, f"group-{topic}"), 4)
