"""`sidecar check`: what stands between these settings and a running worker, and how much awaits it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, FAILED, add_config
from sidecar.cli.times import moment
from sidecar.cli.topics import open_topics, read_topics
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from sidecar.forecast import Forecast
    from sidecar.settings import Settings


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("check", help="check settings, mappings, Kafka, EHR and ledger; exit 1 on a fail")
    parser.add_argument(
        "--count",
        dest="action",
        action="store_const",
        const=_count,
        default=_check,
        help="instead, read the topics and count what would be drafted, skipped and dead-lettered; writes nothing",
    )
    parser.add_argument("--from-time", metavar="T", type=moment, help="with --count: as `sidecar run --from-time`")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    code: int = options.action(options)
    return code


def _check(options: argparse.Namespace) -> int:
    from sidecar.checkup import Grade, check_all

    if options.from_time:
        raise ConfigError("--from-time goes with --count")
    results = asyncio.run(check_all(options.config))
    width = max(len(result.subject) for result in results)
    for result in results:
        print(f"{result.grade.value:4}  {result.subject.ljust(width)}  {result.message}")
    return FAILED if any(result.grade is Grade.FAIL for result in results) else DONE


def _count(options: argparse.Namespace) -> int:
    from sidecar.settings import load_settings

    settings = load_settings(options.config)
    if not settings.kafka.topics:
        raise ConfigError("kafka.topics is empty: name the topics that carry DocumentReference events")
    forecast = asyncio.run(_forecast(settings, options.from_time or settings.kafka.from_time))
    rows = [("outcome", "reason", "events"), *((*row[:2], str(row[2])) for row in forecast.rows())]
    widths = [max(len(row[index]) for row in rows) for index in range(3)]
    for outcome, reason, number in rows:
        print(f"{outcome.ljust(widths[0])}  {reason.ljust(widths[1])}  {number.rjust(widths[2])}")
    return DONE


async def _forecast(settings: Settings, from_time: datetime | None) -> Forecast:
    from datetime import UTC, datetime

    from sidecar.forecast import Forecast
    from sidecar.mappings import Mappings

    forecast = Forecast(Mappings.load(settings.mappings.dir), datetime.now(UTC).date(), from_time)
    async with open_topics(settings.kafka) as reader:
        async for record in read_topics(reader, settings.kafka.topics, from_time):
            forecast.add(record)
    return forecast
