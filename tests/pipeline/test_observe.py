"""What a person does with a draft settles its ledger entry."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.ledger.ledger import State
from sidecar.outcomes import Parked, ParkReason, Skipped, SkipReason
from tests.pipeline.test_pipeline import id_only
from tests.support.notes import DISCHARGE, ENCOUNTER, document, text_of
from tests.support.worker import Rig, open_rig, profile

OWN = Skipped(SkipReason.OWN_DRAFT)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        opened.chart.put(ENCOUNTER)
        await opened.publish(document())
        yield opened


async def state(rig: Rig) -> State:
    (entry,) = await rig.ledger.list_entries()
    return entry.state


def edited(draft: dict[str, Any]) -> dict[str, Any]:
    data = base64.b64encode((text_of(draft) + "\nSeen with the patient.").encode()).decode()
    return {**draft, "content": [{"attachment": {"contentType": "text/plain", "data": data}}]}


async def test_our_own_write_leaves_the_draft_filed(rig: Rig) -> None:
    assert await rig.event(rig.chart.drafts()[0]) == OWN
    assert await state(rig) is State.FILED


@pytest.mark.parametrize("doc_status", ["final", "amended"])
async def test_signed_in_a_new_version(rig: Rig, doc_status: str) -> None:
    assert await rig.publish({**rig.chart.drafts()[0], "docStatus": doc_status}) == OWN
    assert await state(rig) is State.SIGNED


async def test_signed_in_the_same_version(rig: Rig) -> None:
    assert await rig.event({**rig.chart.drafts()[0], "docStatus": "final"}) == OWN
    assert await state(rig) is State.SIGNED


async def test_signed_is_seen_from_an_id_only_event(rig: Rig) -> None:
    draft = rig.chart.put({**rig.chart.drafts()[0], "docStatus": "final"})
    assert await rig.event(id_only(f"DocumentReference/{draft['id']}")) == OWN
    assert await state(rig) is State.SIGNED


async def test_edited_then_signed(rig: Rig) -> None:
    draft = rig.chart.drafts()[0]
    await rig.publish(edited(draft))
    assert await state(rig) is State.EDITED
    await rig.publish({**edited(draft), "docStatus": "final"})
    assert await state(rig) is State.SIGNED_EDITED


async def test_white_space_at_line_ends_is_no_edit(rig: Rig) -> None:
    draft = rig.chart.drafts()[0]
    data = base64.b64encode(text_of(draft).replace("\n", " \r\n").encode()).decode()
    rewritten = {**draft, "content": [{"attachment": {"contentType": "text/plain", "data": data}}]}
    await rig.publish({**rewritten, "docStatus": "final"})
    assert await state(rig) is State.SIGNED


@pytest.mark.parametrize("change", [{"status": "entered-in-error"}, {"docStatus": "entered-in-error"}])
async def test_entered_in_error_is_discarded(rig: Rig, change: dict[str, str]) -> None:
    await rig.publish({**rig.chart.drafts()[0], **change})
    assert await state(rig) is State.DISCARDED


async def test_deleted_is_discarded_and_not_made_again(rig: Rig) -> None:
    draft = rig.chart.drafts()[0]
    del rig.chart.resources[f"DocumentReference/{draft['id']}"]
    assert await rig.event(id_only(f"DocumentReference/{draft['id']}", deleted=True)) == OWN
    assert await state(rig) is State.DISCARDED
    source = rig.chart.resources["DocumentReference/d1"]
    assert await rig.event(source) == Skipped(SkipReason.DUPLICATE)
    assert not rig.chart.drafts()


async def test_an_old_event_of_the_draft_changes_nothing_after_the_signature(rig: Rig) -> None:
    old = dict(rig.chart.drafts()[0])
    await rig.publish({**old, "docStatus": "final"})
    assert await rig.event(old) == OWN
    assert await state(rig) is State.SIGNED


async def test_nothing_new_is_written_for_an_amended_source_of_a_signed_draft(rig: Rig) -> None:
    await rig.publish({**rig.chart.drafts()[0], "docStatus": "final"})
    assert await rig.publish(document(text=DISCHARGE + "\nADDENDUM: x.")) == Skipped(SkipReason.DEFERRED)
    assert len(rig.chart.drafts()) == 1
    assert [entry.state for entry in await rig.ledger.list_entries(State.ATTENTION)] == [State.ATTENTION]


async def test_a_discarded_draft_of_an_amended_source_gives_way_to_a_new_one(tmp_path: Path) -> None:
    async with open_rig(tmp_path, target=profile(replace="none")) as rig:
        rig.chart.put(ENCOUNTER)
        await rig.publish(document())
        assert await rig.publish(document(text=DISCHARGE + "\nADDENDUM: x.")) == Parked(ParkReason.DRAFT_OPEN)
        await rig.publish({**rig.chart.drafts()[0], "status": "entered-in-error"})
        (parked,) = await rig.ledger.list_entries(State.PARKED)
        await rig.pipeline.retry(parked)
        assert sorted(entry.state for entry in await rig.ledger.list_entries()) == [State.DISCARDED, State.FILED]
