"""200 real notes, everything published twice, ten SIGKILLs: one preliminary draft each, none missing, none twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.demo.broker import EmbeddedBroker, embedded_broker
from sidecar.demo.ehr import DemoEhr, demo_ehr
from sidecar.http import open_http
from sidecar.ledger.ledger import State
from sidecar.ledger.sql import open_ledger
from tests.support.corpus import notes
from tests.support.notes import attachment
from tests.support.topic import committed, next_offsets, publish_again, read_topic

TOPIC, GROUP, PARTITIONS = "notes", "crash", 4
NOTES, PATIENTS, KILLS = 200, 40, 10
MAPPED = ("18842-5", "11506-3", "34117-2", "11488-4", "28570-0", "34111-5", "11504-8")

# What every fifth to seventh note is made into: these must never get a draft.
VARIANTS: tuple[tuple[dict[str, Any], bool], ...] = (
    ({"docStatus": "final"}, True),
    ({}, True),
    ({"docStatus": "amended"}, True),
    ({"status": "superseded"}, False),
    ({"docStatus": "preliminary"}, False),
    ({"type": {"coding": [{"system": "http://loinc.org", "code": "69730-0"}]}}, False),
    ({"docStatus": "final"}, True),
    (
        {"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}},
        False,
    ),
)


@dataclass(frozen=True, slots=True)
class Stand:
    broker: EmbeddedBroker
    ehr: DemoEhr
    folder: Path

    def start_worker(self) -> subprocess.Popen[bytes]:
        settings = {
            "SIDECAR_MODE": "live",
            "SIDECAR_KAFKA__BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "SIDECAR_KAFKA__TOPICS": TOPIC,
            "SIDECAR_KAFKA__GROUP_ID": GROUP,
            "SIDECAR_KAFKA__SESSION_TIMEOUT_SECONDS": "6",
            "SIDECAR_EHR__PROFILE": "demo",
            "SIDECAR_EHR__BASE_URL": self.ehr.base_url,
            "SIDECAR_LEDGER__URL": f"sqlite:///{self.folder / 'ledger.db'}",
            "SIDECAR_WORKER__PARKED_RETRY_SECONDS": "2",
        }
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "sidecar", "run"], env=os.environ | settings, stderr=log)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    async def drafts(self) -> list[dict[str, Any]]:
        """Return the documents of the EHR that carry our identifier."""
        found: list[dict[str, Any]] = []
        url: str | None = "DocumentReference?_count=100"
        async with open_http(self.ehr.base_url) as http:
            while url:
                bundle = orjson.loads((await http.request("GET", url)).body)
                found += [entry["resource"] for entry in bundle.get("entry", [])]
                url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
        return [item for item in found if any(i.get("system") == DRAFT_SYSTEM for i in item.get("identifier", []))]


@asynccontextmanager
async def open_stand(folder: Path) -> AsyncIterator[Stand]:
    async with embedded_broker() as broker:
        await broker.create_topic(TOPIC, PARTITIONS)
        async with demo_ehr(folder / "ehr.db", broker.bootstrap_servers, TOPIC) as ehr:
            yield Stand(broker, ehr, folder)


def sources() -> list[tuple[dict[str, Any], bool]]:
    """Return NOTES documents of corpus notes that are long enough, and whether each is to be drafted."""
    picked = [note for note in notes() if note.loinc in MAPPED and 60 <= len(note.text.split()) <= 1500]
    picked = [note for note in picked if note.media_type == "text/plain"][:NOTES]
    assert len(picked) == NOTES
    return [_source(number, note) for number, note in enumerate(picked)]


def _source(number: int, note: Any) -> tuple[dict[str, Any], bool]:
    changes, wanted = VARIANTS[number % len(VARIANTS)]
    patient = f"p{number % PATIENTS}"
    resource = {
        "resourceType": "DocumentReference",
        "id": f"note-{number}",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": note.loinc}]},
        "subject": {"reference": f"Patient/{patient}"},
        "date": "2026-11-20T10:00:00Z",
        "content": [{"attachment": attachment(note.text)}],
        "context": {"encounter": [{"reference": f"Encounter/e-{patient}"}]},
    }
    return resource | changes, wanted


async def load(stand: Stand, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        await stand.ehr.load(document)


async def kill_while_drafting(stand: Stand, rng: random.Random) -> None:
    """Kill a worker shortly after its first step of a draft, so that the kill hits work."""
    worker = stand.start_worker()
    try:
        await _wait_for_progress(stand)
        await asyncio.sleep(rng.uniform(0, 0.4))
    finally:
        await kill(worker)


async def kill_while_replaying(stand: Stand, rng: random.Random) -> None:
    """Kill a worker somewhere between start, join and the replay, which leaves no step to wait for."""
    worker = stand.start_worker()
    try:
        await asyncio.sleep(rng.uniform(1, 10))
    finally:
        await kill(worker)


async def kill(worker: subprocess.Popen[bytes]) -> None:
    assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    await asyncio.to_thread(worker.wait)


async def _wait_for_progress(stand: Stand) -> None:
    before = _progress(stand)
    for _ in range(1000):
        if _progress(stand) != before:
            return
        await asyncio.sleep(0.02)


def _progress(stand: Stand) -> object:
    """Return something that changes with every step of every draft."""
    with closing(sqlite3.connect(stand.ledger)) as connection:
        try:
            return connection.execute("SELECT count(*), max(updated) FROM drafts").fetchone()
        except sqlite3.OperationalError:
            return None  # no worker has made the tables yet


async def finish(stand: Stand) -> None:
    """Run one worker until the group has committed everything that the topic holds, then stop it with SIGTERM."""
    worker, servers = stand.start_worker(), stand.broker.bootstrap_servers
    try:
        async with asyncio.timeout(150):
            while True:
                await stand.ehr.wait_published()
                wanted = next_offsets(await read_topic(servers, TOPIC, PARTITIONS))
                if await committed(servers, TOPIC, GROUP, PARTITIONS) == wanted:
                    break
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 40) == 0
    finally:
        worker.kill()
        worker.wait()


async def drafts_by_source(stand: Stand) -> Counter[str]:
    drafts = await stand.drafts()
    assert all((draft["status"], draft["docStatus"]) == ("current", "preliminary") for draft in drafts)
    return Counter(draft["context"]["related"][0]["reference"] for draft in drafts)


@pytest.mark.timeout(420)
async def test_kills_and_replays_leave_one_preliminary_draft_a_note(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10**6)))  # noqa: S311 - a test's dice
    record_property("CRASH_SEED", seed)
    (tmp_path / "worker.log").touch()
    rng = random.Random(seed)  # noqa: S311 - as above
    documents = sources()
    expected = Counter({f"DocumentReference/{item['id']}": 1 for item, wanted in documents if wanted})
    async with open_stand(tmp_path) as stand:
        for number in range(PATIENTS):
            subject = {"reference": f"Patient/p{number}"}
            await stand.ehr.load({"resourceType": "Patient", "id": f"p{number}"})
            encounter = {
                "resourceType": "Encounter",
                "id": f"e-p{number}",
                "status": "finished",
                "class": {"code": "IMP"},
            }
            await stand.ehr.load({**encounter, "subject": subject})
        await load(stand, [item for item, _ in documents])
        drafted = []
        for _ in range(KILLS - 3):
            await kill_while_drafting(stand, rng)
            drafted.append(len(await stand.drafts()))
        assert drafted[0] < sum(expected.values()), "the first kill came too late to hit work"
        await finish(stand)
        assert await drafts_by_source(stand) == expected

        servers = stand.broker.bootstrap_servers
        await publish_again(servers, await read_topic(servers, TOPIC, PARTITIONS))
        for _ in range(3):
            await kill_while_replaying(stand, rng)
        await finish(stand)
        assert await drafts_by_source(stand) == expected

        async with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            entries = await ledger.list_entries()
        assert Counter(entry.key.source for entry in entries if entry.state is State.FILED) == expected
        async with open_http(stand.ehr.base_url) as http:
            for entry in entries:
                assert (await http.request("GET", str(entry.target))).status == 200
