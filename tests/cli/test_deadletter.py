"""`sidecar deadletter` on the embedded broker, with dead letters written by the worker's own sender."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from aiokafka import AIOKafkaProducer

from sidecar.cli import main
from sidecar.demo.broker import EmbeddedBroker
from sidecar.intake import replay, scan
from sidecar.intake.deadletter import DeadLetter, KafkaDeadLetters
from sidecar.intake.record import Record
from sidecar.intake.scan import open_reader

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
BAD = b'{"resourceType": "DocumentReference", \xff Mrs. Smith'


@dataclass
class Site:
    """One source topic with two partitions, and the dead letters of group `g` on it."""

    broker: EmbeddedBroker
    topic: str
    given_up: list[Record] = field(default_factory=list)

    @property
    def dead(self) -> str:
        return f"{self.topic}.g.dlt"

    def give_up(
        self, *records: tuple[str, bytes | None], code: str = "not-json", payload: Literal["keep", "omit"] = "keep"
    ) -> None:
        """Publish records (key, value) to partition 1 and dead-letter them, an hour apart."""

        async def work() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap_servers) as producer:
                for key, value in records:
                    headers = [("traceparent", b"00-1"), ("patient", key.encode())]
                    await producer.send_and_wait(self.topic, value, key.encode(), 1, headers=headers)
            await self.dead_letter((await self._read())[-len(records) :], code, payload)

        asyncio.run(work())

    async def dead_letter(self, records: list[Record], code: str, payload: Literal["keep", "omit"]) -> None:
        letters = KafkaDeadLetters({"bootstrap_servers": self.broker.bootstrap_servers}, "g", payload)
        await letters.start()
        try:
            for record in records:
                failed = START + timedelta(hours=len(self.given_up))
                await letters.send(DeadLetter(record, code, "DeadLetterEvent", "admit", 1, failed))
                self.given_up.append(record)
        finally:
            await letters.stop()

    def fail_again(self) -> None:
        """Dead-letter the last record of the source topic, as the worker would after a replay."""

        async def work() -> None:
            await self.dead_letter((await self._read())[-1:], "not-json", "keep")

        asyncio.run(work())

    def run(self, *arguments: str) -> int:
        return main(["deadletter", *arguments])

    def source(self) -> list[Record]:
        return asyncio.run(self._read())

    async def _read(self) -> list[Record]:
        async with open_reader({"bootstrap_servers": self.broker.bootstrap_servers}) as reader:
            partitions = await reader.partitions([self.topic])
            return [record async for record in reader.read_to_end(partitions)]


@pytest.fixture
def site(broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    asyncio.run(broker.create_topic(topic, 2))
    asyncio.run(broker.create_topic(f"{topic}.g.dlt", 1))
    monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv("SIDECAR_KAFKA__TOPICS", topic)
    monkeypatch.setenv("SIDECAR_KAFKA__GROUP_ID", "g")
    monkeypatch.setattr(scan, "POLL_MILLISECONDS", 100)
    return Site(broker, topic)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_names_the_letter_and_its_source(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("p1", BAD))
    assert site.run("list", "--jsonl") == 0
    assert rows(capsys) == [
        {
            "topic": site.dead,
            "partition": 0,
            "offset": 0,
            "code": "not-json",
            "stage": "admit",
            "source": f"{site.topic}:1:0",
            "first_failed_at": "2026-11-20T08:00:00.000+00:00",
        }
    ]
    assert site.run("list") == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["topic", "partition", "offset", "code", "stage", "source", "first_failed_at"]
    assert line.split()[:4] == [site.dead, "0", "0", "not-json"]


@pytest.mark.parametrize(
    ("choice", "offsets"),
    [
        (["--code", "poison"], [2]),
        (["--key", "p2"], [1]),
        (["--since", "2026-11-20T09:00:00Z"], [1, 2]),
        (["--until", "2026-11-20T11:00:00+01:00"], [0, 1]),
        (["--since", "2026-11-20T09:00", "--code", "not-json"], [1]),
        (["--key", "nobody"], []),
    ],
)
def test_a_choice_narrows_the_list(
    site: Site, capsys: pytest.CaptureFixture[str], choice: list[str], offsets: list[int]
) -> None:
    site.give_up(("p1", BAD), ("p2", BAD))
    site.give_up(("p1", BAD), code="poison")
    assert site.run("list", "--jsonl", *choice) == 0
    assert [row["offset"] for row in rows(capsys)] == offsets


def test_a_topic_that_is_not_there_is_said_and_not_created(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # were it created by the first, the second would not say so
        assert site.run("list", "--jsonl", "--topic", f"{site.topic}-other") == 0
        said = capsys.readouterr()
        assert said.out == ""
        assert f"{site.topic}-other.g.dlt is not there" in said.err


def test_a_topic_may_be_named_as_the_list_names_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("p1", BAD))
    for name in (site.topic, site.dead):
        assert site.run("list", "--jsonl", "--topic", name) == 0
        assert [row["topic"] for row in rows(capsys)] == [site.dead]


def test_show_prints_headers_and_no_phi(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("Patient/smith", BAD))
    assert site.run("show", f"{site.dead}:0:0") == 0
    out = capsys.readouterr().out
    shown = json.loads(out)
    assert shown["headers"]["x-ehr-error-class"] == "DeadLetterEvent"
    assert shown["original_header_bytes"] == {"traceparent": 4, "patient": 13}
    assert (shown["value_bytes"], shown["value_omitted"]) == (len(BAD), False)
    assert "smith" not in out.lower()


@pytest.mark.parametrize("payload", ["keep", "omit"])
def test_the_value_is_printed_only_when_asked(
    site: Site, capsysbinary: pytest.CaptureFixture[bytes], payload: Literal["keep", "omit"]
) -> None:
    site.give_up(("p1", BAD), payload=payload)
    assert site.run("show", "--value", f"{site.dead}:0:0") == 0
    said = capsysbinary.readouterr()
    assert said.out == BAD
    assert b"may hold PHI" in said.err


@pytest.mark.parametrize("payload", ["keep", "omit"])
def test_a_replay_brings_back_key_value_and_headers_as_they_came(
    site: Site, capsys: pytest.CaptureFixture[str], payload: Literal["keep", "omit"]
) -> None:
    site.give_up(("p1", BAD), payload=payload)
    assert site.run("replay", f"{site.dead}:0:0") == 0
    original, replayed = site.source()
    assert (replayed.partition, replayed.key, replayed.value) == (1, original.key, original.value)
    assert replayed.headers == (*original.headers, ("x-ehr-replayed-from", f"{site.dead}:0:0".encode()))
    assert "replayed 1, failed 0" in capsys.readouterr().err


def test_a_record_without_a_value_comes_back_without_one(site: Site) -> None:
    site.give_up(("p1", None), code="poison")
    assert site.run("replay", "--all") == 0
    original, replayed = site.source()
    assert (original.value, replayed.value, replayed.key) == (None, None, b"p1")


def test_a_dry_run_says_and_sends_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("p1", BAD), ("p2", BAD))
    assert site.run("replay", "--all", "--dry-run") == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"would replay {site.dead}:0:{n} (not-json) to {site.topic}:1" for n in (0, 1)]
    assert len(site.source()) == 2


def test_only_what_is_chosen_is_replayed(site: Site) -> None:
    site.give_up(("p1", b"a"), ("p2", b"b"), ("p3", b"c"))
    assert site.run("replay", "--key", "p2") == 0
    assert [record.value for record in site.source()] == [b"a", b"b", b"c", b"b"]


def test_a_record_that_fails_again_is_replayed_once_and_not_doubled(site: Site) -> None:
    site.give_up(("p1", BAD))
    for replays in (1, 2, 3):
        assert site.run("replay", "--all") == 0
        assert len(site.source()) == 1 + replays
        site.fail_again()
    names = [dict(record.headers).get("x-ehr-replayed-from") for record in site.source()]
    assert names == [None, *(f"{site.dead}:0:{offset}".encode() for offset in range(3))]


def test_a_source_record_that_is_gone_is_said_and_stops_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("p1", b"a"), payload="omit")
    gone = Record(site.topic, 1, 0, b"p1", b"a", (), timestamp=1)  # a topic made anew: another time at the offset
    asyncio.run(site.dead_letter([gone], "not-json", "omit"))
    site.give_up(("p2", b"b"))
    assert site.run("replay", "--all") == 1
    said = capsys.readouterr().err
    assert f"{site.dead}:0:1 (source {site.topic}:1:0): source-gone" in said
    assert "replayed 2, failed 1" in said
    assert [record.value for record in site.source()] == [b"a", b"b", b"a", b"b"]


def test_a_record_larger_than_the_topic_takes_is_said_and_stops_nothing(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.give_up(("p1", b"x" * 60_000), ("p2", b"b"))
    monkeypatch.setattr(replay, "MAX_REQUEST_BYTES", 50_000)
    assert site.run("replay", "--all") == 1
    assert f"{site.dead}:0:0 (source {site.topic}:1:0): too-large" in capsys.readouterr().err
    assert [record.value for record in site.source()][2:] == [b"b"]


async def _foreign(broker: EmbeddedBroker, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"x", partition=0)


async def _of_a_topic_that_went(site: Site) -> None:
    await site.dead_letter([Record(f"{site.topic}-gone", 0, 0, None, b"x")], "not-json", "keep")


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (lambda site: _foreign(site.broker, site.dead), "not-a-dead-letter"),
        (_of_a_topic_that_went, "topic-gone"),
    ],
)
def test_what_cannot_go_back_has_a_named_reason(
    site: Site, capsys: pytest.CaptureFixture[str], write: Callable[[Site], Awaitable[None]], fault: str
) -> None:
    async def work() -> str:
        await write(site)
        return site.dead if fault == "not-a-dead-letter" else f"{site.topic}-gone.g.dlt"

    topic = asyncio.run(work())
    assert site.run("replay", "--all", "--topic", topic) == 1
    assert fault in capsys.readouterr().err


def test_a_letter_that_is_not_there_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.give_up(("p1", BAD))
    for action in ("show", "replay"):
        assert site.run(action, f"{site.dead}:7:0") == 1
        assert f"{site.dead}:7:0: there is no such record" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["replay"], ["replay", "t.g.dlt:0:0", "--all"]])
def test_a_replay_of_nothing_or_of_two_choices_is_wrong_use(site: Site, arguments: list[str]) -> None:
    assert site.run(*arguments) == 2


@pytest.mark.parametrize(
    "arguments", [["show", "t.g.dlt:0"], ["show", "t:0:-1"], ["list", "--since", "yesterday"], ["list", "--code", "x"]]
)
def test_what_cannot_be_understood_is_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["deadletter", *arguments])
    assert caught.value.code == 2


def test_a_broker_that_does_not_answer_is_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("SIDECAR_KAFKA__TOPICS", "t")
    assert main(["deadletter", "list"]) == 3
