"""A consumer that dies is built again, and nothing of the worker with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from sidecar.errors import ConfigError
from sidecar.intake import consumer as module
from sidecar.intake.admission import Admission
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.ticket import Ticket
from sidecar.settings import KafkaSettings, WorkerSettings


async def handle(_admission: Admission, _ticket: Ticket) -> bool:
    raise AssertionError


class Dead:
    """A client whose broker is away."""

    async def start(self) -> None:
        raise KafkaConnectionError

    async def stop(self) -> None:
        raise asyncio.CancelledError  # as aiokafka lets out that of its own tasks

    def assignment(self) -> set[Any]:
        return set()


def intake(opened: list[Any]) -> Intake:
    def open_consumer() -> Any:
        made = opened.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    kafka = KafkaSettings(bootstrap_servers=("x:1",), topics=("t",))
    return Intake(kafka, WorkerSettings(), Handlers(handle), open_consumer)


async def test_a_broker_that_is_away_is_tried_again_until_the_worker_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REBUILD_SECONDS", (0.001, 0.002))
    opened: list[Any] = [Dead() for _ in range(1000)]
    stopping = asyncio.Event()
    running = asyncio.create_task(intake(opened).run(stopping))
    while len(opened) > 990:
        await asyncio.sleep(0.001)
    stopping.set()
    await running


async def test_settings_that_are_wrong_from_the_start_end_the_worker() -> None:
    with pytest.raises(ConfigError):
        await intake([ConfigError("no password file")]).run(asyncio.Event())


async def test_a_secret_that_is_being_replaced_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REBUILD_SECONDS", (0.001, 0.002))
    opened: list[Any] = [ConfigError("no password file"), *(Dead() for _ in range(1000))]
    worker, stopping = intake(opened), asyncio.Event()
    worker.ready.set()  # it ran before
    running = asyncio.create_task(worker.run(stopping))
    while len(opened) > 995:
        await asyncio.sleep(0.001)
    stopping.set()
    await running
