"""Reading topics for a command, with a progress bar on a terminal."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from sidecar.intake.record import Record
    from sidecar.intake.scan import TopicReader
    from sidecar.settings import KafkaSettings


@asynccontextmanager
async def open_topics(kafka: KafkaSettings) -> AsyncIterator[TopicReader]:
    """Open a reader on the configured cluster. Raises `ConfigError` and `BrokerUnavailable`."""
    from sidecar.intake.kafka import client_options
    from sidecar.intake.scan import open_reader

    async with open_reader(client_options(kafka)) as reader:
        yield reader


async def read_topics(
    reader: TopicReader, topics: Iterable[str], from_time: datetime | None = None
) -> AsyncIterator[Record]:
    """Yield what the topics hold now; one that is not there is named on stderr."""
    from tqdm import tqdm

    wanted = set(topics)
    partitions = await reader.partitions(wanted)
    for topic in sorted(wanted - {partition.topic for partition in partitions}):
        print(f"sidecar: topic {topic} is not there, or not for this login to see", file=sys.stderr)
    total = await reader.count(partitions, from_time)
    with tqdm(total=total, unit=" records", disable=None, file=sys.stderr) as bar:
        async for record in reader.read_to_end(partitions, from_time):
            bar.update()
            yield record
