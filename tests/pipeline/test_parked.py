"""Parked work survives whatever interrupts its retry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import EhrRefused, WriteUnknown
from sidecar.ledger.ledger import Entry, State
from sidecar.outcomes import Filed, Parked, ParkReason, Skipped, SkipReason
from sidecar.testing import MemoryChart
from tests.support.notes import ENCOUNTER, document
from tests.support.worker import ENGINE, Rig, build, open_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def parked(rig: Rig) -> Entry:
    """Park a note for its encounter, then let the encounter come."""
    assert await rig.publish(document()) == Parked(ParkReason.NO_ENCOUNTER)
    rig.chart.put(ENCOUNTER)
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    return entry


class Stuck:
    """An engine that never answers."""

    identity = ENGINE().identity

    def __init__(self) -> None:
        self.started = asyncio.Event()

    async def draft(self, _request: Any) -> Any:
        self.started.set()
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Nothing is held open."""


async def test_a_retry_that_a_drain_cancels_is_parked_again(rig: Rig) -> None:
    entry, engine = await parked(rig), Stuck()
    retry = asyncio.create_task(build(rig.chart, rig.ledger, rig.letters, engine=engine).retry(entry))
    await engine.started.wait()
    retry.cancel()
    with pytest.raises(asyncio.CancelledError):
        await retry
    (again,) = await rig.ledger.list_entries()
    assert (again.state, again.reason) == (State.PARKED, "no-encounter")
    assert isinstance(await rig.pipeline.retry(again), Filed)


async def test_a_retry_whose_worker_died_comes_due_again(rig: Rig) -> None:
    entry = await parked(rig)
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert len(await rig.ledger.take_due(past, 10)) == 1
    await rig.ledger.claim(entry.draft_id, entry.key, replacing=False)  # and then the worker is gone
    assert [item.state for item in await rig.ledger.list_entries()] == [State.CLAIMED]
    (due,) = await rig.ledger.take_due(past, 10)
    assert isinstance(await rig.pipeline.retry(due), Filed)


async def test_a_retry_in_a_mode_that_does_not_write_keeps_the_work(rig: Rig) -> None:
    entry = await parked(rig)
    quiet = build(rig.chart, rig.ledger, rig.letters, mode="dry-run")
    assert await quiet.retry(entry) == Skipped(SkipReason.DRY_RUN)
    (again,) = await rig.ledger.list_entries()
    assert (again.state, again.reason) == (State.PARKED, "no-encounter")


async def test_a_note_that_the_ehr_does_not_show_yet_waits_for_it(rig: Rig) -> None:
    rig.chart.put(ENCOUNTER)
    note = document()
    assert await rig.event(note) == Parked(ParkReason.NOT_IN_EHR)
    rig.chart.put(note)
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    assert isinstance(await rig.pipeline.retry(entry), Filed)


@pytest.mark.parametrize("subject", ["https://other.example/fhir/Patient/p1", "//other.example/Patient/p1"])
async def test_a_patient_of_another_server_is_another_patient(rig: Rig, subject: str) -> None:
    rig.chart.put(ENCOUNTER)
    assert await rig.publish(document(subject={"reference": subject})) == Parked(ParkReason.PATIENT_MISMATCH)


async def test_an_absolute_reference_into_this_ehr_is_written_as_the_one_that_was_checked(rig: Rig) -> None:
    rig.chart.put(ENCOUNTER)
    base = rig.chart.base_url
    context = {"encounter": [{"reference": f"{base}/Encounter/e1"}]}
    await rig.publish(document(subject={"reference": f"{base}/Patient/p1"}, context=context))
    (draft,) = rig.chart.drafts()
    assert draft["subject"] == {"reference": "Patient/p1"}
    assert draft["context"]["encounter"] == [{"reference": "Encounter/e1"}]


class Refusing(MemoryChart):
    """An EHR that refuses what stands beside a draft."""

    async def create(self, resource: Any, if_none_exist: str | None = None) -> Any:
        if resource["resourceType"] != "DocumentReference":
            raise EhrRefused(422, ("not-supported",))
        return await super().create(resource, if_none_exist)


async def test_a_server_that_refuses_device_and_provenance_gets_its_draft_all_the_same(rig: Rig) -> None:
    chart = Refusing()
    chart.put(ENCOUNTER)
    site = Rig(build(chart, rig.ledger, rig.letters), chart, rig.ledger, rig.letters)
    assert isinstance(await site.publish(document()), Filed)
    (draft,) = chart.drafts()
    assert draft["author"] == [{"display": "AI drafting engine extractive"}]


class Forgetful(MemoryChart):
    """An EHR that loses its first answer about each Provenance, or will not let drafts be read back."""

    lost = 0
    readable = True

    async def create(self, resource: Any, if_none_exist: str | None = None) -> Any:
        if resource["resourceType"] == "Provenance" and not self.lost:
            self.lost += 1
            raise WriteUnknown
        return await super().create(resource, if_none_exist)

    async def read(self, reference: str) -> Any:
        resource = await super().read(reference)
        if not self.readable and resource.get("docStatus") == "preliminary":
            raise EhrRefused(400)
        return resource


async def test_a_lost_answer_about_the_provenance_is_asked_again(rig: Rig) -> None:
    chart = Forgetful()
    chart.put(ENCOUNTER)
    site = Rig(build(chart, rig.ledger, rig.letters), chart, rig.ledger, rig.letters)
    assert isinstance(await site.publish(document()), Filed)
    assert [item["resourceType"] for item in chart.resources.values()].count("Provenance") == 1
    assert chart.lost == 1


async def test_a_draft_that_cannot_be_read_back_is_filed_all_the_same(rig: Rig) -> None:
    chart = Forgetful()
    chart.readable = False
    chart.put(ENCOUNTER)
    site = Rig(build(chart, rig.ledger, rig.letters), chart, rig.ledger, rig.letters)
    assert isinstance(await site.publish(document()), Filed)
    assert [entry.state for entry in await rig.ledger.list_entries()] == [State.FILED]
