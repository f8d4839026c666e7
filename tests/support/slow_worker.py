"""A worker process whose engine takes its time, as a model does, and which writes down what it does.

    python -m tests.support.slow_worker

Settings come from SIDECAR_* as ever. SLOW_WORKER_LOG names the file that lines are appended to:
`start DOCUMENT VERSION PID` for every draft begun, `moved GENERATION` for every assignment that brought
partitions. The process ends with its standard input: no worker outlives the driver.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

from aiokafka import TopicPartition

from sidecar.app import open_worker
from sidecar.drafting.engine import DraftAnswer, DraftRequest, Engine, EngineIdentity
from sidecar.drafting.extractive import open_extractive
from sidecar.intake.consumer import Intake
from sidecar.mappings import Mappings
from sidecar.settings import Settings, load_settings
from sidecar.telemetry.logs import configure_logging

LOG_VARIABLE = "SLOW_WORKER_LOG"
SECONDS = (0.1, 0.3)
MARK = re.compile(r"Note (\S+), revision (\d+)\.")
"""What names document and version in a note's text: an engine is told no ids."""


class SlowEngine:
    """An `Engine` over another one."""

    def __init__(self, engine: Engine, log: Path) -> None:
        self._engine = engine
        self._log = log

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    async def draft(self, request: DraftRequest) -> DraftAnswer:
        found = MARK.search(request.note.text)
        assert found is not None, "a note without its mark"
        append(self._log, f"start {found[1]} {found[2]} {os.getpid()}")
        await asyncio.sleep(random.uniform(*SECONDS))  # noqa: S311 - a test's dice
        return await self._engine.draft(request)

    async def aclose(self) -> None:
        await self._engine.aclose()


def append(log: Path, line: str) -> None:
    """Write one line in one call, whole whatever kills us."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def tell_moves(intake: Intake, log: Path) -> None:
    """Note each generation of the group that gave this worker partitions which it had not."""
    assign = intake.assign

    def told(partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        gained = assign(partitions)
        if gained and intake._consumer is not None:
            append(log, f"moved {intake._consumer._coordinator.generation}")
        return gained

    intake.assign = told  # type: ignore[method-assign]  # it has no hook, and needs none but here


async def work(settings: Settings, log: Path, stopping: asyncio.Event) -> None:
    engine = SlowEngine(open_extractive(Mappings.load(settings.mappings.dir)), log)
    async with open_worker(settings, engine=engine) as worker:
        tell_moves(worker.intake, log)
        await worker.run(stopping)


async def main() -> None:
    settings, log, stopping = load_settings(), Path(os.environ[LOG_VARIABLE]), asyncio.Event()
    configure_logging()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await work(settings, log, stopping)


def end_with_input() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock the interpreter wants when it ends
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    asyncio.run(main())
