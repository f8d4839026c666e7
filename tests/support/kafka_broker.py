"""One Apache Kafka broker (KRaft: broker and controller in one JVM) on loopback, for tests and benchmarks.

It never outlives the process that started it, and may be killed, restarted and frozen. Run as a command it starts a
broker and prints its address until it is stopped:

    python -m tests.support.kafka_broker [VERSION]
"""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from tests.kafka.fetch import ToolMissing, libs

LATEST, PREVIOUS = "4.1.2", "3.9.2"
HOST = "127.0.0.1"
# Below the kernel's ephemeral range: a client that retries a closed ephemeral port can connect to itself and hold it.
PORTS = range(20000, 32000)
START_SECONDS = 60.0
STOP_SECONDS = 20.0

LOG4J2 = """status = error
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d{HH:mm:ss,SSS}] %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = OUT
"""

# One node, and as quick and small as Kafka gets; every value differs from its default for the reason beside it.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",  # as hospitals have it
    "offsets.topic.num.partitions": "1",  # 50 by default, each with files of its own
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",  # 3 s at each first join
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "2000",  # how long a killed broker's id stays taken: 9 s
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "2097152",  # 128 MiB of heap
    "log.cleaner.backoff.ms": "200",  # compaction within a test's patience
}


@dataclass(slots=True)
class Broker:
    """A broker with its folder. `bootstrap_servers` is the plain listener, whose clients may do anything."""

    home: Path
    libs: Path
    ports: Mapping[str, int]
    """Of each listener by its name: PLAINTEXT and CONTROLLER, and what `properties` adds."""
    properties: Mapping[str, str] = field(default_factory=dict)
    system_properties: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self.address("PLAINTEXT")

    def address(self, listener: str) -> str:
        return f"{HOST}:{self.ports[listener]}"

    async def create_topic(self, name: str, partitions: int, **config: str) -> None:
        """Create a topic; dots of a config's name are written as underscores."""
        topic = NewTopic(name, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in config.items()})
        async with self.admin() as admin:
            answer = await admin.create_topics([topic])
        for _topic, code, *_message in answer.topic_errors:
            if code:
                raise for_code(code)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=10_000)
        await client.start()
        try:
            yield client
        finally:
            await client.close()

    async def format(self, arguments: Sequence[str] = ()) -> None:
        """Make the storage; `arguments` are the formatter's, such as the first users."""
        (self.home / "log4j2.properties").write_text(LOG4J2, encoding="ascii")
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in self._all_properties().items()))
        # The leading byte keeps the id from starting with a dash.
        cluster = base64.urlsafe_b64encode(b"\x01" + secrets.token_bytes(15)).decode().rstrip("=")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._settings)]
        done = await asyncio.to_thread(subprocess.run, [*command, *arguments], capture_output=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stdout.decode() + done.stderr.decode())

    async def start(self) -> None:
        """Return when the broker answers clients."""
        self._spawn()
        async with asyncio.timeout(START_SECONDS):
            while not await self._answers():
                await asyncio.sleep(0.1)

    def _spawn(self) -> None:
        command = [*self._java(), "kafka.Kafka", str(self._settings)]
        with (self.home / "broker.log").open("ab") as log:
            # A session of its own: Ctrl-C is for the tests, which stop it in their order.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._guard = _guard(self._process.pid)

    async def stop(self) -> None:
        """Stop cleanly, as an operator does."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Stop as a crash does; the data stays, and `start` goes on with it."""
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running.send_signal(signal.SIGCONT)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._release_guard()
        process.send_signal(signal.SIGCONT)  # a frozen one hears nothing else
        process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _release_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    async def _answers(self) -> bool:
        if self._running.poll() is not None:
            raise RuntimeError(f"the broker ended: {(self.home / 'broker.log').read_text()[-3000:]}")
        with socket.socket() as probe:  # a look first: aiokafka logs an error for every refused connection
            if probe.connect_ex((HOST, self.ports["PLAINTEXT"])):
                return False
        try:
            async with self.admin() as admin:
                return bool((await admin.describe_cluster())["brokers"])
        except KafkaError:
            return False

    def _java(self) -> list[str]:
        # Serial collector and first compiler only: half the start-up time on two cores.
        return [
            "java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            *(f"-D{name}={value}" for name, value in self.system_properties.items()),
            "-cp", f"{self.libs}/*",
        ]  # fmt: skip

    def _all_properties(self) -> dict[str, str]:
        listeners = {name: f"{name}://{self.address(name)}" for name in self.ports}
        clients = [address for name, address in listeners.items() if name != "CONTROLLER"]
        protocols = {**{name: name for name in self.ports}, "CONTROLLER": "PLAINTEXT"}
        return {
            **PROPERTIES,
            "log.dirs": str(self.home / "data"),
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": ",".join(listeners.values()),
            "advertised.listeners": ",".join(clients),
            "listener.security.protocol.map": ",".join(f"{name}:{to}" for name, to in protocols.items()),
            **self.properties,
        }

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Kill `pid` when we are gone: our end of the pipe closes then, whatever ended us."""
    script = 'cat >/dev/null; kill -KILL "$0"'
    return subprocess.Popen(["sh", "-c", script, str(pid)], stdin=subprocess.PIPE, start_new_session=True)


@asynccontextmanager
async def kafka_broker(version: str, home: Path, **options: Any) -> AsyncIterator[Broker]:
    """Start a broker with the plain listener only."""
    broker = Broker(home, libs(version), free_ports("PLAINTEXT", "CONTROLLER"), **options)
    await broker.format()
    async with running(broker):
        yield broker


@asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[Broker]:
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


def free_ports(*listeners: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == len(listeners):
            break
        if _is_free(port):
            found[listeners[len(found)]] = port
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


async def _serve(version: str) -> None:
    libs(version)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    home = Path(tempfile.mkdtemp(prefix="kafka-"))
    try:
        async with kafka_broker(version, home) as broker:
            sys.stdout.write(f"kafka {version}: {broker.bootstrap_servers}\n")
            sys.stdout.flush()
            await stopped.wait()
    finally:
        shutil.rmtree(home)


def main(arguments: list[str]) -> int:
    try:
        asyncio.run(_serve(arguments[0] if arguments else LATEST))
    except ToolMissing as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
