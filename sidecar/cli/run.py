"""`sidecar run`: the worker, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, FAILED, add_config
from sidecar.cli.times import moment

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from sidecar.settings import Settings


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("run", help="work until SIGTERM, then drain; a second signal ends at once")
    parser.add_argument(
        "--from-time",
        metavar="T",
        type=moment,
        help="first go-live: draft nothing from before this ISO time; partitions already begun are not moved",
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    from sidecar.settings import load_settings, require_kafka
    from sidecar.telemetry.logs import configure_logging

    settings = _from(options.from_time, load_settings(options.config))
    if settings.mode != "off":
        require_kafka(settings)
    configure_logging()
    return asyncio.run(_serve(settings))


def _from(from_time: datetime | None, settings: Settings) -> Settings:
    """Let the option win over the setting."""
    kafka = settings.kafka.model_copy(update={"from_time": from_time or settings.kafka.from_time})
    return settings.model_copy(update={"kafka": kafka})


async def _serve(settings: Settings) -> int:
    """Run until the first signal and drain; a second one, or one before everything is open, ends at once."""
    loop, stopping, opened = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(_work(settings, stopping, opened))

    def stop() -> None:
        if stopping.is_set() or not opened.is_set():
            work.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        return FAILED if opened.is_set() else DONE
    return DONE


async def _work(settings: Settings, stopping: asyncio.Event, opened: asyncio.Event) -> None:
    import logging

    from sidecar.app import open_worker

    logger = logging.getLogger("sidecar.run")
    async with open_worker(settings) as worker:
        opened.set()
        logger.info("started", extra={"mode": settings.mode, "profile": settings.ehr.profile})
        await worker.run(stopping)
    logger.info("stopped")
