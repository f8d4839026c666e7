"""`sidecar deadletter`: what could not be read, and sending it through once more."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, FAILED, add_config
from sidecar.cli.times import moment
from sidecar.cli.topics import open_topics, read_topics
from sidecar.errors import ConfigError
from sidecar.outcomes import DeadLetterCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sidecar.intake.deadletter import StoredLetter
    from sidecar.intake.replay import Fault, Publisher, Return
    from sidecar.intake.scan import TopicReader
    from sidecar.settings import KafkaSettings

COLUMNS = ("topic", "partition", "offset", "code", "stage", "source", "first_failed_at")
"""Topic, partition and offset are those in the dead-letter topic: they name the letter. `source` is the record."""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("deadletter", help="list, show and replay what could not be read")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line a dead letter: its coordinates, code and source record")
    listing.add_argument("--jsonl", action="store_true", help="one JSON object a line")
    show = actions.add_parser("show", help="the error headers of one dead letter as JSON, without PHI")
    show.add_argument("letter", metavar="TOPIC:PARTITION:OFFSET", type=_coordinates)
    show.add_argument("--value", action="store_true", help="its value instead, as it came: may hold PHI")
    replay = actions.add_parser("replay", help="send dead letters back to their source topic; safe to repeat")
    replay.add_argument("letters", nargs="*", metavar="TOPIC:PARTITION:OFFSET", type=_coordinates)
    replay.add_argument("--all", action="store_true", help="every dead letter of the topics")
    replay.add_argument("--dry-run", action="store_true", help="say what would be sent, send nothing")
    for action in (listing, replay):
        _add_selection(action)
    for action in (listing, show, replay):
        add_config(action)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--code", choices=[code.value for code in DeadLetterCode], help="only this code")
    parser.add_argument("--since", metavar="T", type=moment, help="first failed at or after this ISO time")
    parser.add_argument("--until", metavar="T", type=moment, help="first failed before this ISO time")
    parser.add_argument("--key", metavar="K", help="only this record key")
    parser.add_argument(
        "--topic", metavar="T", help="this source (or dead-letter) topic instead of those of the settings"
    )


def _coordinates(text: str) -> tuple[str, int, int]:
    topic, _, place = text.partition(":")  # a topic's name holds no colon
    partition, _, offset = place.partition(":")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise argparse.ArgumentTypeError("name a dead letter as `deadletter list` does: TOPIC:PARTITION:OFFSET")
    return topic, int(partition), int(offset)


def run(options: argparse.Namespace) -> int:
    from sidecar.settings import load_settings

    actions = {"list": _list, "show": _show, "replay": _replay}
    return asyncio.run(actions[options.action](load_settings(options.config).kafka, options))


async def _list(kafka: KafkaSettings, options: argparse.Namespace) -> int:
    async with open_topics(kafka) as reader:
        rows = (_row(letter) async for letter in _chosen(reader, kafka, options))
        if not options.jsonl:
            _print_table([row async for row in rows])
            return DONE
        async for row in rows:
            print(json.dumps(row))
    return DONE


async def _show(kafka: KafkaSettings, options: argparse.Namespace) -> int:
    async with open_topics(kafka) as reader:
        letter = await _find(reader, options.letter)
        if letter is None:
            return FAILED
        if options.value:
            return await _print_value(reader, letter)
    print(json.dumps(_details(letter), indent=2))
    return DONE


async def _print_value(reader: TopicReader, letter: StoredLetter) -> int:
    from sidecar.intake.replay import Fault, given_up

    record = await given_up(reader, letter)
    if isinstance(record, Fault):
        return _tell(letter, record)
    print("sidecar: the value follows as it came; it may hold PHI", file=sys.stderr)
    sys.stdout.buffer.write(record.value or b"")
    sys.stdout.buffer.flush()
    return DONE


async def _replay(kafka: KafkaSettings, options: argparse.Namespace) -> int:
    from sidecar.intake.kafka import client_options
    from sidecar.intake.replay import open_publisher

    chosen = options.all or any((options.code, options.key, options.since, options.until))
    if chosen == bool(options.letters):
        raise ConfigError("replay what? Name dead letters, or choose by --code, --key, --since, --until or --all")
    async with open_topics(kafka) as reader, open_topics(kafka) as source:
        letters = _named(reader, options.letters) if options.letters else _latest(reader, kafka, options)
        if options.dry_run:
            return await _send_back(letters, source, _Rehearsal())
        async with open_publisher(client_options(kafka)) as publisher:
            return await _send_back(letters, source, publisher)


class _Rehearsal:
    """Stands where the publisher stands, and only says what would be sent."""

    verb = "would replay"

    async def publish(self, back: Return) -> Fault | None:
        target = back.topic if back.partition is None else f"{back.topic}:{back.partition}"
        print(f"would replay {back.letter.record.coordinates} ({back.letter.code}) to {target}")
        return None


async def _send_back(
    letters: AsyncIterator[StoredLetter | None], source: TopicReader, publisher: Publisher | _Rehearsal
) -> int:
    sent = [await _sent(letter, source, publisher) async for letter in letters]
    print(f"sidecar: {publisher.verb} {sum(sent)}, failed {len(sent) - sum(sent)}", file=sys.stderr)
    return DONE if all(sent) else FAILED


async def _sent(letter: StoredLetter | None, source: TopicReader, publisher: Publisher | _Rehearsal) -> bool:
    from sidecar.intake.replay import Fault, prepare

    if letter is None:
        return False
    back = await prepare(source, letter)
    fault = back if isinstance(back, Fault) else await publisher.publish(back)
    if fault is not None:
        _tell(letter, fault)
    return fault is None


async def _named(reader: TopicReader, names: Iterable[tuple[str, int, int]]) -> AsyncIterator[StoredLetter | None]:
    for name in names:
        yield await _find(reader, name)


async def _find(reader: TopicReader, name: tuple[str, int, int]) -> StoredLetter | None:
    from sidecar.intake.deadletter import read_letter

    record = await reader.read_one(*name)
    if record is None:
        print(f"sidecar: {':'.join(map(str, name))}: there is no such record", file=sys.stderr)
        return None
    return read_letter(record)


async def _latest(
    reader: TopicReader, kafka: KafkaSettings, options: argparse.Namespace
) -> AsyncIterator[StoredLetter | None]:
    """Yield the chosen letters that were there at the start and did not come back under another name."""
    from sidecar.intake.replay import survey

    before = await survey(read_topics(reader, _topics(kafka, options)))
    async for letter in _chosen(reader, kafka, options):
        if before.takes(letter):
            yield letter


async def _chosen(
    reader: TopicReader, kafka: KafkaSettings, options: argparse.Namespace
) -> AsyncIterator[StoredLetter]:
    from sidecar.intake.deadletter import read_letter
    from sidecar.intake.replay import Selection

    key = options.key.encode() if options.key is not None else None
    selection = Selection(options.code, key, options.since, options.until)
    async for record in read_topics(reader, _topics(kafka, options)):
        letter = read_letter(record)
        if selection.takes(letter):
            yield letter


def _topics(kafka: KafkaSettings, options: argparse.Namespace) -> list[str]:
    from sidecar.intake.deadletter import dead_letter_topic

    sources = (options.topic,) if options.topic else kafka.topics
    if not sources:
        raise ConfigError("kafka.topics is empty: set it, or give --topic")
    suffix = dead_letter_topic("", kafka.group_id)
    return [topic.removesuffix(suffix) + suffix for topic in sources]


def _tell(letter: StoredLetter, fault: Fault) -> int:
    where = f"{letter.record.coordinates} (source {letter.source_coordinates or 'unknown'})"
    print(f"sidecar: {where}: {fault.value}", file=sys.stderr)
    return FAILED


def _row(letter: StoredLetter) -> dict[str, str | int | None]:
    record, failed = letter.record, letter.first_failed_at
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "code": letter.code,
        "stage": letter.stage,
        "source": letter.source_coordinates,
        "first_failed_at": failed.isoformat(timespec="milliseconds") if failed else None,
    }


def _details(letter: StoredLetter) -> dict[str, Any]:
    """Of what the record itself brought only names and sizes: producers put patient ids into headers and keys."""
    from sidecar.intake.deadletter import error_headers, without_error_headers

    record = letter.record
    return _row(letter) | {
        "headers": error_headers(record.headers),
        "original_header_bytes": {name: len(value) for name, value in without_error_headers(record.headers)},
        "key_bytes": None if record.key is None else len(record.key),
        "value_bytes": None if record.value is None else len(record.value),
        "value_omitted": letter.omitted,
    }


def _print_table(rows: Sequence[dict[str, str | int | None]]) -> None:
    lines = [COLUMNS, *(tuple("-" if row[name] is None else str(row[name]) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
