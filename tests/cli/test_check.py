"""`sidecar check` against a real broker and the demo EHR, and against nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sidecar.checkup import Grade, Result, check_all
from sidecar.cli import main
from sidecar.demo.broker import EmbeddedBroker
from sidecar.demo.ehr import demo_ehr


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
