"""`sidecar check` against a real broker and the demo EHR, and against nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from sidecar.checkup import Grade, Result, check_all
from sidecar.cli import main
from sidecar.demo.broker import EmbeddedBroker
from sidecar.demo.ehr import demo_ehr
from tests.support.notes import document


def grades(results: list[Result]) -> dict[str, Grade]:
    return {result.subject: result.grade for result in results}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIDECAR_LEDGER__URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("SIDECAR_EHR__PROFILE", "demo")


async def test_a_complete_site_passes(broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await broker.create_topic(topic, 1)
    async with demo_ehr() as ehr:
        monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        monkeypatch.setenv("SIDECAR_KAFKA__TOPICS", topic)
        monkeypatch.setenv("SIDECAR_EHR__BASE_URL", ehr.base_url)
        found = grades(await check_all(None))
    assert found.pop("kafka") is Grade.WARN  # the dead-letter topic is not there yet
    assert set(found.values()) == {Grade.PASS}
    assert set(found) == {"settings", "mappings", "engine", "ehr", "ledger"}


async def test_nothing_there_fails_each_part_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("SIDECAR_KAFKA__TOPICS", "t")
    monkeypatch.setenv("SIDECAR_EHR__BASE_URL", "http://127.0.0.1:9/fhir")
    results = await check_all(None)
    found = grades(results)
    assert (found["kafka"], found["ehr"]) == (Grade.FAIL, Grade.FAIL)
    assert all("?" in result.message for result in results if result.grade is Grade.FAIL)


def test_missing_settings_fail_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "kafka.topics is empty" in out
    assert "ehr.base_url must be" in out


async def test_a_site_that_is_no_fhir_server_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("SIDECAR_EHR__BASE_URL", f"http://127.0.0.1:{port}/fhir")
        (result,) = [item for item in await check_all(None) if item.subject == "ehr"]
    assert "is this the FHIR base URL?" in result.message


@pytest.mark.parametrize(
    ("content", "grade", "message"),
    [
        (None, Grade.WARN, "is not there"),
        ("pause_all: false", Grade.PASS, "nothing is paused"),
        ("pause_departments: [icu]", Grade.WARN, "paused: icu"),
        ("pause_all: true", Grade.WARN, "paused: everything"),
        ("pause_tasks: [sumary]", Grade.FAIL, "wrong at pause_tasks"),
    ],
)
async def test_a_control_file_is_checked_where_one_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, grade: Grade, message: str
) -> None:
    path = tmp_path / "control.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SIDECAR_WORKER__CONTROL_FILE", str(path))
    (result,) = [item for item in await check_all(None) if item.subject == "control"]
    assert result.grade is grade
    assert message in result.message


def publish(broker: EmbeddedBroker, topic: str, *values: tuple[Any, datetime]) -> None:
    async def work() -> None:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
            for value, at in values:
                data = value if isinstance(value, bytes) else orjson.dumps(value)
                await producer.send_and_wait(topic, data, partition=0, timestamp_ms=int(at.timestamp() * 1000))

    asyncio.run(work())


@pytest.fixture
def counted(broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    asyncio.run(broker.create_topic(topic, 1))
    monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv("SIDECAR_KAFKA__TOPICS", topic)
    now, before = datetime.now(UTC), datetime(2026, 1, 1, tzinfo=UTC)
    publish(
        broker,
        topic,
        (document("old"), before),
        (document("a", date=now.isoformat()), now),
        (document("b", status="superseded"), now),
        (b"{", now),
    )
    return topic


def test_the_count_says_what_a_worker_would_make_of_the_topics(
    counted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--count"]) == 0
    header, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header == ["outcome", "reason", "events"]
    assert lines == [
        ["drafted", "summary", "2"],
        ["skipped", "not-current", "1"],
        ["dead-lettered", "not-json", "1"],
    ]


def test_what_is_older_than_the_time_is_not_counted(counted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--count", "--from-time", "2026-06-01"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["drafted", "summary", "1"]


def test_a_time_without_a_count_and_a_count_without_topics_are_wrong_use() -> None:
    assert main(["check", "--from-time", "2026-06-01"]) == 2
    assert main(["check", "--count"]) == 2
