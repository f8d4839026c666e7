"""The whole worker against a real broker and the demo EHR on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from sidecar.app import open_worker
from sidecar.demo.broker import EmbeddedBroker
from sidecar.demo.clinician import discard, edit_and_sign, sign
from sidecar.demo.ehr import DemoEhr, demo_ehr
from sidecar.http import open_http
from sidecar.intake.deadletter import HEADER_PREFIX, dead_letter_topic
from sidecar.ledger.ledger import Entry, State
from sidecar.ledger.sql import open_ledger
from sidecar.observe import own_draft_id
from sidecar.outcomes import DeadLettered, Filed, Parked, Skipped
from sidecar.progress import Ended, Observed, Step
from sidecar.settings import EhrSettings, KafkaSettings, LedgerSettings, Settings, WorkerSettings
from tests.support.notes import DISCHARGE, ENCOUNTER, attachment, document, text_of
from tests.support.topic import committed, next_offsets, read_topic

PARTITIONS = 2


@dataclass(slots=True)
class Steps:
    """Remembers what the worker tells, and lets a test wait for it."""

    ended: list[tuple[str, str]] = field(default_factory=list)
    observed: list[tuple[str, str]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, step: Step) -> None:
        match step:
            case Ended(source, outcome):
                self.ended.append((source, _name(outcome)))
            case Observed(target, state):
                self.observed.append((target, state))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def outcome(self, source: str) -> str:
        await self.until(lambda: any(name == source for name, _ in self.ended))
        return next(outcome for name, outcome in self.ended if name == source)


def _name(outcome: object) -> str:
    match outcome:
        case Filed():
            return "filed"
        case Skipped(reason) | Parked(reason):
            return reason.value
        case DeadLettered(code):
            return code.value
    raise AssertionError(outcome)


@dataclass(frozen=True, slots=True)
class Site:
    """One hospital: its EHR, its topic, and the worker's settings for it."""

    ehr: DemoEhr
    settings: Settings
    broker: EmbeddedBroker
    topic: str

    @property
    def group(self) -> str:
        return self.settings.kafka.group_id

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Steps]:
        steps, stopping = Steps(), asyncio.Event()
        async with open_worker(self.settings, [steps]) as worker:
            running = asyncio.create_task(worker.run(stopping))
            try:
                yield steps
            finally:
                stopping.set()
                await running

    async def ledger(self) -> list[Entry]:
        async with open_ledger(self.settings.ledger.url) as ledger:
            return list(await ledger.list_entries())

    async def publish(self, *values: bytes, headers: list[tuple[str, bytes]] | None = None) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap_servers, acks="all")
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(self.topic, value, key=b"Patient/p1", headers=headers)
        finally:
            await producer.stop()


@asynccontextmanager
async def open_site(broker: EmbeddedBroker, topic: str, folder: Path, **ehr_options: Any) -> AsyncIterator[Site]:
    await broker.create_topic(topic, PARTITIONS)
    async with demo_ehr(folder / "ehr.db", broker.bootstrap_servers, topic, **ehr_options) as ehr:
        settings = Settings(
            mode="live",
            kafka=KafkaSettings(
                bootstrap_servers=(broker.bootstrap_servers,),
                topics=(topic,),
                group_id=f"group-{topic}",
                session_timeout_seconds=6,  # the embedded broker's first join takes half of it
            ),
            ehr=EhrSettings(profile="demo", base_url=ehr.base_url),
            worker=WorkerSettings(drain_seconds=5, parked_retry_seconds=0.5),
            ledger=LedgerSettings(url=f"sqlite:///{folder / 'ledger.db'}"),
        )
        await ehr.load({"resourceType": "Patient", "id": "p1"})
        await ehr.load({**ENCOUNTER, "class": {"code": "IMP"}})
        yield Site(ehr, settings, broker, topic)


@pytest.fixture
async def site(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(broker, topic, tmp_path) as opened:
        yield opened


async def test_a_note_is_drafted_reviewed_and_the_ledger_follows_the_clinician(site: Site) -> None:
    async with site.worker() as steps:
        for name in ("a", "b", "c"):
            await site.ehr.load(document(name))
        await steps.until(lambda: [outcome for _, outcome in steps.ended].count("filed") == 3)
        targets = {entry.key.source: str(entry.target) for entry in await site.ledger()}
        ids = [targets[f"DocumentReference/{name}"].partition("/")[2] for name in ("a", "b", "c")]
        await sign(site.ehr.base_url, ids[0])
        await edit_and_sign(site.ehr.base_url, ids[1], lambda text: text + "\nSeen.\n")
        await discard(site.ehr.base_url, ids[2])
        await steps.until(lambda: len(steps.observed) == 3)
    states = {entry.key.source[-1]: entry.state for entry in await site.ledger()}
    assert states == {"a": State.SIGNED, "b": State.SIGNED_EDITED, "c": State.DISCARDED}


async def test_our_own_writes_on_the_topic_make_no_new_draft(site: Site) -> None:
    async with site.worker() as steps:
        await site.ehr.load(document("a"))
        await steps.until(lambda: "own-draft" in [outcome for _, outcome in steps.ended])
        await site.ehr.load(document("end", status="superseded"))
        await steps.outcome("DocumentReference/end")
    assert len(await site.ledger()) == 1


async def test_everything_is_committed_after_a_drain_and_nothing_is_read_again(site: Site) -> None:
    async with site.worker() as steps:
        await site.ehr.load(document("a"))
        await steps.until(lambda: "own-draft" in [outcome for _, outcome in steps.ended])
    servers = site.broker.bootstrap_servers
    wanted = next_offsets(await read_topic(servers, site.topic, PARTITIONS))
    assert await committed(servers, site.topic, site.group, PARTITIONS) == wanted
    async with site.worker() as steps:
        await site.ehr.load(document("b"))
        assert await steps.outcome("DocumentReference/b") == "filed"
    assert "DocumentReference/a" not in [source for source, _ in steps.ended]


BAD = {
    "not-json": b"{not json",
    "unknown-envelope": b'{"hello": "world"}',
    "invalid-resource": orjson.dumps(document("bad", docStatus={"coding": [{"code": "final"}]})),
}


async def test_unreadable_records_go_to_the_dead_letter_topic_whole_and_the_rest_goes_on(site: Site) -> None:
    async with site.worker() as steps:
        await site.publish(*BAD.values(), headers=[("source-system", b"engine-7")])
        await site.ehr.load(document("good"))
        assert await steps.outcome("DocumentReference/good") == "filed"
        await steps.until(lambda: {outcome for _, outcome in steps.ended} >= set(BAD))
    letters = await read_topic(site.broker.bootstrap_servers, dead_letter_topic(site.topic, site.group), 4)
    found = {dict(letter.headers)[f"{HEADER_PREFIX}code"].decode(): letter for letter in letters}
    assert {code: letter.value for code, letter in found.items()} == BAD
    headers = {name: value.decode() for name, value in found["not-json"].headers}
    assert (headers["source-system"], headers["x-ehr-error-topic"]) == ("engine-7", site.topic)
    assert (headers["x-ehr-error-stage"], headers["x-ehr-error-class"]) == ("admit", "DeadLetterEvent")
    assert found["not-json"].key == b"Patient/p1"


CONTENTS = {
    "no-content": [{"attachment": {"contentType": "text/plain"}}],
    "garbage": [{"attachment": {"contentType": "text/plain", "data": "%%%"}}],
    "foreign-link": [{"attachment": {"contentType": "text/plain", "url": "http://127.0.0.1:1/fhir/Binary/1"}}],
    "blank": [{"attachment": attachment("  \n ")}],
    "linked": [{"attachment": {"contentType": "text/plain", "url": "Binary/b1"}}],
    "huge": [{"attachment": {"contentType": "text/plain", "url": "Binary/huge"}}],
}


async def test_bad_content_has_named_outcomes_and_following_notes_are_drafted(site: Site) -> None:
    await site.ehr.load({"resourceType": "Binary", "id": "b1", **_binary(DISCHARGE)})
    await site.ehr.load({"resourceType": "Binary", "id": "huge", **_binary("x" * 20_000_000)})
    async with site.worker() as steps:
        for name, content in CONTENTS.items():
            await site.ehr.load(document(name, content=content))
        outcomes = {name: await steps.outcome(f"DocumentReference/{name}") for name in CONTENTS}
    assert outcomes == {
        "no-content": "no-content",
        "garbage": "no-content",
        "foreign-link": "no-content",
        "blank": "no-text",
        "linked": "filed",
        "huge": "no-content",
    }


def _binary(text: str) -> dict[str, str]:
    return attachment(text)


async def test_parked_work_comes_back_by_its_timer(site: Site) -> None:
    async with site.worker() as steps:
        await site.ehr.load(document("a", context={"encounter": [{"reference": "Encounter/later"}]}))
        assert await steps.outcome("DocumentReference/a") == "no-encounter"
        await site.ehr.load({**ENCOUNTER, "id": "later", "class": {"code": "IMP"}})
        await steps.until(lambda: ("DocumentReference/a", "filed") in steps.ended)


async def test_parked_work_comes_back_by_ledger_retry(site: Site) -> None:
    async with site.worker() as steps:
        content = [{"attachment": {"contentType": "text/plain", "url": "Binary/late"}}]
        await site.ehr.load(document("a", content=content))
        assert await steps.outcome("DocumentReference/a") == "no-content"
        await site.ehr.load({"resourceType": "Binary", "id": "late", **_binary(DISCHARGE)})
        async with open_ledger(site.settings.ledger.url) as ledger:
            assert await ledger.retry(reason="no-content") == 1
        await steps.until(lambda: ("DocumentReference/a", "filed") in steps.ended)


@pytest.mark.parametrize("envelope", ["notification-full", "notification-id-only"])
async def test_subscription_notifications_lead_to_drafts_and_observations(
    broker: EmbeddedBroker, topic: str, tmp_path: Path, envelope: str
) -> None:
    async with open_site(broker, topic, tmp_path, envelope=envelope) as site, site.worker() as steps:
        await site.ehr.load(document("a"))
        assert await steps.outcome("DocumentReference/a") == "filed"
        (entry,) = await site.ledger()
        await sign(site.ehr.base_url, str(entry.target).partition("/")[2])
        await steps.until(lambda: [state for _, state in steps.observed] == ["signed"])


async def test_two_workers_share_the_partitions_and_make_no_draft_twice(site: Site) -> None:
    async with site.worker() as one, site.worker() as two:
        for number in range(12):
            subject = {"reference": f"Patient/q{number}"}
            encounter = {**ENCOUNTER, "id": f"f{number}", "class": {"code": "IMP"}, "subject": subject}
            await site.ehr.load(encounter)
            context = {"encounter": [{"reference": f"Encounter/f{number}"}]}
            await site.ehr.load(document(f"n{number}", subject=subject, context=context))
        wanted = {f"DocumentReference/n{number}" for number in range(12)}
        async with asyncio.timeout(50):
            while {source for source, outcome in [*one.ended, *two.ended] if outcome == "filed"} != wanted:
                await asyncio.sleep(0.1)
    assert sorted(entry.state for entry in await site.ledger()) == [State.FILED] * 12


async def test_the_untouched_draft_of_an_amended_note_is_replaced_in_its_place(site: Site) -> None:
    async with site.worker() as steps:
        await site.ehr.load(document("a"))
        assert await steps.outcome("DocumentReference/a") == "filed"
        (first,) = await site.ledger()
        await site.ehr.load(document("a", text=DISCHARGE + "\nADDENDUM: The rash was seen by Dr. Lee on day 4.\n"))
        await steps.until(lambda: [outcome for _, outcome in steps.ended].count("filed") == 2)
        _, second = await site.ledger()
        async with open_http(site.ehr.base_url) as http:
            draft = orjson.loads((await http.request("GET", str(first.target))).body)
            found = await http.request("GET", "Provenance", params={"target": str(first.target)})
        versions = {entry["resource"]["target"][0]["reference"] for entry in orjson.loads(found.body)["entry"]}
        await sign(site.ehr.base_url, draft["id"])
        await steps.until(lambda: steps.observed == [(first.target, "signed")])
    assert (draft["docStatus"], draft["meta"]["versionId"], second.target) == ("preliminary", "2", first.target)
    assert own_draft_id(draft) == second.draft_id != first.draft_id
    assert versions == {f"{first.target}/_history/1", f"{first.target}/_history/2"}
    assert [entry.state for entry in await site.ledger()] == [State.REPLACED, State.SIGNED]


async def test_an_edited_draft_of_an_amended_note_is_left_to_the_person_and_told(site: Site) -> None:
    async with site.worker() as steps:
        await site.ehr.load(document("a"))
        assert await steps.outcome("DocumentReference/a") == "filed"
        (entry,) = await site.ledger()
        await edit_and_sign(site.ehr.base_url, str(entry.target).partition("/")[2], lambda text: text + "\nSeen.\n")
        await site.ehr.load(document("a", text=DISCHARGE + "\nADDENDUM: The rash was seen by Dr. Lee on day 4.\n"))
        await steps.until(lambda: ("DocumentReference/a", "deferred") in steps.ended)
        async with open_http(site.ehr.base_url) as http:
            draft = orjson.loads((await http.request("GET", str(entry.target))).body)
    assert (draft["docStatus"], text_of(draft).endswith("Seen.\n")) == ("final", True)
    first, second = await site.ledger()
    assert (first.state, second.state, second.reason) == (State.SIGNED_EDITED, State.ATTENTION, "source-amended")
