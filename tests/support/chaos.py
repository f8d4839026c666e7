"""Everything that goes wrong in a hospital's week, in minutes, on real Kafka; then a count of what came of it.

Workers are processes that are killed and stopped in mid-draft, the broker restarts and crashes, workers come and
go, and the EHR is busy, down, hanging, unreachable or loses answers, while documents arrive and are amended.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sidecar.demo.ehr import DemoEhr, demo_ehr
from sidecar.intake.deadletter import dead_letter_topic
from sidecar.ledger.ledger import State
from sidecar.ledger.sql import open_ledger
from tests.support.chaos_report import Report, Starts, judge
from tests.support.faulty_proxy import HOST, Fault, FaultyProxy, faulty_proxy
from tests.support.kafka_broker import Broker, free_ports
from tests.support.kafka_groups import lag
from tests.support.notes import DISCHARGE, document
from tests.support.slow_worker import LOG_VARIABLE

STOP_SECONDS = 40.0
_WAITING = (State.CLAIMED, State.SENDING, State.UNKNOWN, State.PARKED)


class Trouble(StrEnum):
    KILL = "kill"
    STOP = "stop"
    SCALE_OUT = "scale-out"
    SCALE_IN = "scale-in"
    BROKER_KILL = "broker-kill"
    BROKER_STOP = "broker-stop"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much comes, and what goes wrong. Troubles are spread over `seconds`, in which all events come.

    One worker fewer than `workers` starts; the last one comes after a third of the time and goes after two.
    `seed` decides the order and moment of everything that the driver does.
    """

    events: int
    documents: int
    seconds: float
    seed: int
    troubles: tuple[Trouble, ...]
    faults: tuple[Fault, ...]
    patients: int = 40
    workers: int = 3
    concurrency: int = 4
    partitions: int = 6
    fault_seconds: tuple[float, float] = (3.0, 6.0)
    settle_seconds: float = 120.0


@dataclass(slots=True)
class Fleet:
    """The worker processes that run now. None of them outlives the one that started it."""

    environment: dict[str, str]
    log: Path
    killed: int = 0
    stopped: int = 0
    failed: int = 0
    """Workers that did not end cleanly when they were asked to."""
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "tests.support.slow_worker"]
            process = subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE, stderr=log)
        self._running[process.pid] = process

    @property
    def pids(self) -> list[int]:
        return sorted(self._running)

    async def kill(self, pid: int) -> None:
        self.killed += 1
        await self._end(pid, signal.SIGKILL)

    async def stop(self, pid: int) -> None:
        self.stopped += 1
        code = await self._end(pid, signal.SIGTERM)
        self.failed += code not in (0, -signal.SIGTERM)  # the latter: it was still importing

    async def close(self) -> None:
        await asyncio.gather(*(self._end(pid, signal.SIGTERM) for pid in self.pids))

    async def _end(self, pid: int, number: signal.Signals) -> int:
        process = self._running.pop(pid)
        self.failed += process.poll() is not None  # nobody had asked it
        process.send_signal(number)
        try:
            return await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return await asyncio.to_thread(process.wait)
        finally:
            if process.stdin is not None:
                process.stdin.close()


@dataclass(slots=True)
class Chaos:
    """One run. `versions` is how many versions of each document were published."""

    plan: Plan
    broker: Broker
    topic: str
    ehr: DemoEhr
    base_url: str
    """Of the EHR as the workers know it, faults and all."""
    proxy: FaultyProxy
    fleet: Fleet
    folder: Path
    rng: random.Random
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return group_of(self.topic)

    async def run(self) -> Report:
        await self._load_chart()
        for _ in range(self.plan.workers - 1):
            self.fleet.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._load_documents())
            tasks.create_task(self._trouble_group())
            tasks.create_task(self._trouble_ehr())
        settled = await self._settle()
        await self.fleet.close()
        return await judge(self, settled=settled)

    async def _load_chart(self) -> None:
        for number in range(self.plan.patients):
            patient = {"resourceType": "Patient", "id": f"p{number}"}
            subject = {"reference": f"Patient/p{number}"}
            encounter = {"resourceType": "Encounter", "id": f"e{number}", "status": "finished", "subject": subject}
            await self.ehr.load(patient)
            await self.ehr.load(encounter)

    async def _load_documents(self) -> None:
        """Publish all versions over the time of the plan, one in three right behind an earlier one."""
        left = dict.fromkeys(range(self.plan.documents), self.plan.events // self.plan.documents)
        pause, number = self.plan.seconds / self.plan.events, 0
        while left:
            again = number in left and self.rng.random() < 1 / 3
            number = number if again else self.rng.choice(list(left))
            await self._load_version(number)
            left[number] -= 1
            left = {key: count for key, count in left.items() if count}
            await asyncio.sleep(self.rng.uniform(0, 2 * pause))

    async def _load_version(self, number: int) -> None:
        name, patient = f"note-{number}", number % self.plan.patients
        version = self.versions.get(name, 0) + 1
        status = "amended" if version > 1 else self.rng.choice(["final", None])
        resource = document(
            name,
            f"{DISCHARGE}\nNote {name}, revision {version}.\n",
            docStatus=status,
            subject={"reference": f"Patient/p{patient}"},
            context={"encounter": [{"reference": f"Encounter/e{patient}"}]},
        )
        await self.ehr.load(resource)
        self.versions[name] = version

    async def _trouble_group(self) -> None:
        pause = self.plan.seconds / (len(self.plan.troubles) + 1)
        for trouble in self._in_order():
            await asyncio.sleep(self.rng.uniform(0.5, 1.0) * pause)
            await self._make(trouble)

    def _in_order(self) -> Sequence[Trouble]:
        """Shuffle, but let the last worker come after one third and go after two."""
        scaling = (Trouble.SCALE_OUT, Trouble.SCALE_IN)
        others = [trouble for trouble in self.plan.troubles if trouble not in scaling]
        self.rng.shuffle(others)
        third = len(others) // 3
        out, back = [[trouble] * (trouble in self.plan.troubles) for trouble in scaling]
        return [*others[:third], *out, *others[third : 2 * third], *back, *others[2 * third :]]

    async def _make(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.KILL:
                await self.fleet.kill(await self._drafting_worker())
                self.fleet.start()
            case Trouble.STOP:
                await self.fleet.stop(await self._drafting_worker())
                self.fleet.start()
            case Trouble.SCALE_OUT:
                self.fleet.start()
            case Trouble.SCALE_IN:
                await self.fleet.stop(self.rng.choice(self.fleet.pids))
            case Trouble.BROKER_KILL:
                await self.broker.kill()
                await self.broker.start()
            case Trouble.BROKER_STOP:
                await self.broker.stop()
                await self.broker.start()

    async def _drafting_worker(self) -> int:
        """Wait until some worker begins a draft and return it, somewhere in that draft; in an outage, any worker."""
        known = len(self._starts().workers)
        for _ in range(100):
            begun = [pid for pid in self._starts().workers[known:] if pid in self.fleet.pids]
            if begun:
                await asyncio.sleep(self.rng.uniform(0, 0.3))
                return begun[-1]
            await asyncio.sleep(0.05)
        return self.rng.choice(self.fleet.pids)

    def _starts(self) -> Starts:
        return Starts.read(self.folder / "starts")

    async def _trouble_ehr(self) -> None:
        faults = self.rng.sample(self.plan.faults, len(self.plan.faults))
        pause = self.plan.seconds / (len(faults) + 1)
        for fault in faults:
            lasts = self.rng.uniform(*self.plan.fault_seconds)
            await asyncio.sleep(max(1.0, pause - lasts))
            await self.proxy.switch(fault)
            await asyncio.sleep(lasts)
            await self.proxy.switch(None)

    async def _settle(self) -> bool:
        """Wait until everything is published and committed and nothing waits for a timer; False if that never comes."""
        try:
            async with asyncio.timeout(self.plan.settle_seconds):
                await self.ehr.wait_published()
                while not await self._is_settled():
                    await asyncio.sleep(0.5)
        except TimeoutError:
            return False
        return True

    async def _is_settled(self) -> bool:
        if await lag(self.broker, self.topic, self.group, self.plan.partitions):
            return False
        async with open_ledger(self.ledger_url) as ledger:
            return not any(entry.state in _WAITING for entry in await ledger.list_entries())

    @property
    def ledger_url(self) -> str:
        return ledger_of(self.folder)


def environment(plan: Plan, broker: Broker, topic: str, base_url: str, folder: Path) -> dict[str, str]:
    settings = {
        "SIDECAR_MODE": "live",
        "SIDECAR_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SIDECAR_KAFKA__TOPICS": topic,
        "SIDECAR_KAFKA__GROUP_ID": group_of(topic),
        "SIDECAR_KAFKA__SESSION_TIMEOUT_SECONDS": "6",
        "SIDECAR_EHR__PROFILE": "demo",
        "SIDECAR_EHR__BASE_URL": base_url,
        "SIDECAR_EHR__TIMEOUT_SECONDS": "3",
        "SIDECAR_LEDGER__URL": ledger_of(folder),
        "SIDECAR_WORKER__CONCURRENCY": str(plan.concurrency),
        "SIDECAR_WORKER__DRAIN_SECONDS": "5",
        "SIDECAR_WORKER__PARKED_RETRY_SECONDS": "2",
        LOG_VARIABLE: str(folder / "starts"),
    }
    return {**os.environ, **settings}


def group_of(topic: str) -> str:
    return f"group-{topic}"


def ledger_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


@asynccontextmanager
async def open_chaos(plan: Plan, broker: Broker, topic: str, folder: Path) -> AsyncIterator[Chaos]:
    await broker.create_topic(topic, plan.partitions)
    await broker.create_topic(dead_letter_topic(topic, group_of(topic)), 1)
    rng = random.Random(plan.seed)  # noqa: S311 - a test's dice
    async with demo_ehr(folder / "ehr.db", broker.bootstrap_servers, topic) as ehr:
        address = urlsplit(ehr.base_url)
        assert address.port is not None
        async with faulty_proxy(address.port, free_ports("EHR")["EHR"]) as proxy:
            base_url = f"http://{HOST}:{proxy.port}{address.path}"
            fleet = Fleet(environment(plan, broker, topic, base_url, folder), folder / "worker.log")
            try:
                yield Chaos(plan, broker, topic, ehr, base_url, proxy, fleet, folder, rng)
            finally:
                await fleet.close()


async def run_chaos(plan: Plan, broker: Broker, topic: str, folder: Path) -> Report:
    """Carry the plan out and judge it. The broker runs at the end, and nothing else that was started."""
    async with open_chaos(plan, broker, topic, folder) as chaos:
        return await chaos.run()


def spread(seed: int, seconds: float, **changes: Any) -> Plan:
    """Return a plan with a trouble about every eight seconds and each fault at least once."""
    kinds = (Trouble.KILL, Trouble.STOP, Trouble.BROKER_KILL, Trouble.KILL, Trouble.STOP, Trouble.BROKER_STOP)
    count = max(len(kinds), round(seconds / 8) - 2)
    troubles = tuple(kinds[number % len(kinds)] for number in range(count))
    rounds = max(1, round(seconds / 60))
    return Plan(
        seconds=seconds,
        seed=seed,
        troubles=(*troubles, Trouble.SCALE_OUT, Trouble.SCALE_IN),
        faults=tuple(Fault) * rounds,
        **changes,
    )
