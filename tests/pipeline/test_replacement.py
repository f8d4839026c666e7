"""The draft of an amended note takes the place of its earlier draft, if nobody has touched that."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import EhrNotFound, EhrRefused, WriteUnknown
from sidecar.ledger.ledger import State
from sidecar.observe import own_draft_id
from sidecar.outcomes import Filed, Parked, ParkReason, Skipped, SkipReason
from tests.support.notes import DISCHARGE, ENCOUNTER, attachment, document, text_of
from tests.support.worker import Rig, open_rig, profile

AMENDED = document(text=DISCHARGE + "\nADDENDUM: The rash was seen by Dr. Lee on day 4.")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        opened.chart.put(ENCOUNTER)
        await opened.publish(document())
        yield opened


def the_draft(rig: Rig) -> dict[str, Any]:
    (draft,) = rig.chart.drafts()
    return draft


async def states(rig: Rig) -> list[tuple[State, str | None]]:
    return [(entry.state, entry.reason) for entry in await rig.ledger.list_entries()]


def once(rig: Rig, act: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    """Return a hook that acts at the next write and never again."""

    async def hook() -> None:
        rig.chart.before = rig.chart.after = None
        act()

    return hook


def lose() -> None:
    raise WriteUnknown


async def test_same_document_new_identifier_next_version_and_a_provenance_each(rig: Rig) -> None:
    first = the_draft(rig)
    assert isinstance(await rig.publish(AMENDED), Filed)
    second = the_draft(rig)
    assert (second["id"], second["meta"]["versionId"], second["docStatus"]) == (first["id"], "2", "preliminary")
    assert own_draft_id(second) != own_draft_id(first)
    assert "(version 2)" in text_of(second)
    targets = [item["target"][0]["reference"] for item in rig.chart.resources.values() if "target" in item]
    assert targets == [f"DocumentReference/{first['id']}/_history/{number}" for number in (1, 2)]
    assert await states(rig) == [(State.REPLACED, None), (State.FILED, None)]


async def test_events_of_both_versions_are_told_apart(rig: Rig) -> None:
    first = the_draft(rig)
    await rig.publish(AMENDED)
    data = base64.b64encode(b"late").decode()
    await rig.event({**first, "content": [{"attachment": {"contentType": "text/plain", "data": data}}]})
    assert await states(rig) == [(State.REPLACED, None), (State.FILED, None)]
    await rig.publish({**the_draft(rig), "docStatus": "final"})
    assert await states(rig) == [(State.REPLACED, None), (State.SIGNED, None)]


async def test_an_answer_lost_after_the_write_is_found_by_reading_the_document(rig: Rig) -> None:
    rig.chart.after = once(rig, lose)
    assert isinstance(await rig.publish(AMENDED), Filed)
    assert the_draft(rig)["meta"]["versionId"] == "2"
    assert await states(rig) == [(State.REPLACED, None), (State.FILED, None)]


async def test_a_write_lost_on_its_way_is_sent_again(rig: Rig) -> None:
    rig.chart.before = once(rig, lose)
    assert isinstance(await rig.publish(AMENDED), Filed)
    assert the_draft(rig)["meta"]["versionId"] == "2"


async def test_a_server_that_touches_meta_in_between_is_nobody(rig: Rig) -> None:
    draft = the_draft(rig)
    rig.chart.before = once(rig, lambda: rig.chart.put(draft))
    assert isinstance(await rig.publish(AMENDED), Filed)
    assert the_draft(rig)["meta"]["versionId"] == "3"


TOUCHES: list[tuple[dict[str, Any], State]] = [
    ({"content": [{"attachment": attachment("Seen.")}]}, State.EDITED),
    ({"docStatus": "final"}, State.SIGNED),
    ({"docStatus": "final", "content": [{"attachment": attachment("Seen.")}]}, State.SIGNED_EDITED),
    ({"authenticator": {"reference": "Practitioner/1"}}, State.EDITED),
    ({"securityLabel": [{"coding": [{"code": "R"}]}]}, State.EDITED),
    ({"identifier": [{"system": "urn:other", "value": "1"}]}, State.EDITED),
    ({"docStatus": None}, State.EDITED),
    ({"content": [{"attachment": {"contentType": "text/plain", "url": "Binary/1"}}]}, State.EDITED),
]


@pytest.mark.parametrize(("change", "state"), TOUCHES, ids=range(len(TOUCHES)))
@pytest.mark.parametrize("late", [False, True], ids=["before-the-read", "between-read-and-write"])
async def test_what_somebody_touched_is_not_written_over(
    rig: Rig, change: dict[str, Any], state: State, late: bool
) -> None:
    draft = the_draft(rig)
    touched = {**draft, **change}
    if late:
        rig.chart.before = once(rig, lambda: rig.chart.put(touched))
    else:
        rig.chart.put(touched)
    assert await rig.publish(AMENDED) == Skipped(SkipReason.DEFERRED)
    stored = rig.chart.resources[f"DocumentReference/{draft['id']}"]
    assert stored == {**touched, "meta": {**draft["meta"], "versionId": "2"}}
    assert await states(rig) == [(state, None), (State.ATTENTION, "source-amended")]


@pytest.mark.parametrize("change", [{"status": "entered-in-error"}, {"docStatus": "entered-in-error"}, None])
@pytest.mark.parametrize("late", [False, True], ids=["before-the-read", "between-read-and-write"])
async def test_a_draft_that_was_discarded_is_followed_by_a_new_document(
    rig: Rig, change: dict[str, Any] | None, late: bool
) -> None:
    draft = the_draft(rig)
    reference = f"DocumentReference/{draft['id']}"

    def discard() -> None:
        if change is None:
            del rig.chart.resources[reference]
        else:
            rig.chart.put({**draft, **change})

    if late:
        rig.chart.before = once(rig, discard)
    else:
        discard()
    outcome = await rig.publish(AMENDED)
    assert isinstance(outcome, Filed)
    assert outcome.target != reference
    assert await states(rig) == [(State.DISCARDED, None), (State.FILED, None)]


async def test_a_draft_deleted_while_the_answer_was_lost_is_not_made_again(rig: Rig) -> None:
    reference = f"DocumentReference/{the_draft(rig)['id']}"

    def land_vanish_and_lose() -> None:
        del rig.chart.resources[reference]
        raise WriteUnknown

    rig.chart.after = once(rig, land_vanish_and_lose)
    assert await rig.publish(AMENDED) == Parked(ParkReason.UNKNOWN_WRITE)
    (unknown,) = await rig.ledger.list_entries(State.UNKNOWN)
    assert await rig.pipeline.retry(unknown) == Skipped(SkipReason.DEFERRED)
    assert not rig.chart.drafts()
    assert await states(rig) == [(State.DISCARDED, None), (State.ATTENTION, "unknown-write")]
    assert isinstance(await rig.publish(document(text=DISCHARGE + "\nADDENDUM: third.")), Filed)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"content": [{"attachment": attachment("Seen today.")}]}, Skipped(SkipReason.TOO_LITTLE)),
        ({"content": [{"attachment": attachment(" ")}]}, Skipped(SkipReason.NO_TEXT)),
        ({"content": []}, Parked(ParkReason.NO_CONTENT)),
        ({"context": {"encounter": [{"reference": "Encounter/other"}]}}, Parked(ParkReason.NO_ENCOUNTER)),
    ],
)
async def test_a_new_version_that_gets_no_draft_leaves_the_earlier_one_open(
    rig: Rig, changes: dict[str, Any], outcome: object
) -> None:
    before = the_draft(rig)
    assert await rig.publish(document(**changes)) == outcome
    assert the_draft(rig) == before
    entries = await rig.ledger.list_entries(State.FILED)
    assert [entry.draft_id for entry in entries] == [own_draft_id(before)]
    await rig.publish({**before, "docStatus": "final"})
    assert [entry.state for entry in await rig.ledger.list_entries(State.SIGNED)] == [State.SIGNED]


async def test_a_refused_replacement_is_parked_and_the_earlier_draft_stays_open(rig: Rig) -> None:
    def refuse() -> None:
        raise EhrRefused(422, ("invalid",))

    rig.chart.before = once(rig, refuse)
    assert await rig.publish(AMENDED) == Parked(ParkReason.REJECTED_WRITE)
    assert await states(rig) == [(State.FILED, None), (State.PARKED, "rejected-write")]
    (parked,) = await rig.ledger.list_entries(State.PARKED)
    assert isinstance(await rig.pipeline.retry(parked), Filed)
    assert await states(rig) == [(State.REPLACED, None), (State.FILED, None)]


async def test_a_404_to_the_write_itself_leads_to_a_new_document(rig: Rig) -> None:
    reference = f"DocumentReference/{the_draft(rig)['id']}"

    def vanish() -> None:
        del rig.chart.resources[reference]
        raise EhrNotFound("HTTP 410")

    rig.chart.before = once(rig, vanish)
    assert isinstance(await rig.publish(AMENDED), Filed)
    assert await states(rig) == [(State.DISCARDED, None), (State.FILED, None)]


async def test_a_note_that_moved_to_another_patient_does_not_take_its_draft_along(rig: Rig) -> None:
    before = the_draft(rig)
    rig.chart.put({**ENCOUNTER, "id": "e2", "subject": {"reference": "Patient/p2"}})
    moved = {"subject": {"reference": "Patient/p2"}, "context": {"encounter": [{"reference": "Encounter/e2"}]}}
    assert await rig.publish({**AMENDED, **moved}) == Parked(ParkReason.PATIENT_MISMATCH)
    assert the_draft(rig) == before
    assert await states(rig) == [(State.FILED, None), (State.PARKED, "patient-mismatch")]


async def test_an_edit_before_the_draft_was_read_back_is_never_taken_for_ours(rig: Rig) -> None:
    def edit() -> None:
        (draft,) = (item for item in rig.chart.drafts() if item["context"]["related"][0]["reference"].endswith("d2"))
        rig.chart.put({**draft, "content": [{"attachment": attachment("Seen.")}]})

    rig.chart.after = once(rig, edit)
    assert isinstance(await rig.publish(document("d2")), Filed)
    (entry,) = await rig.ledger.list_entries(State.EDITED)
    assert entry.key.source == "DocumentReference/d2"
    assert await rig.publish({**AMENDED, "id": "d2"}) == Skipped(SkipReason.DEFERRED)


async def test_a_replacement_that_a_worker_of_another_profile_left_is_given_back(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.chart.put(ENCOUNTER)
        await rig.publish(document())
        source = rig.chart.put(AMENDED)
        (first,) = await rig.ledger.list_entries()
        await rig.ledger.claim("left", replace(first.key, source_version="2"), replacing=True)
    async with open_rig(tmp_path, target=profile(replace="none")) as other:
        other.chart.resources.update(rig.chart.resources)
        other.chart.put(document(text=DISCHARGE + "\nADDENDUM: third."))
        assert await other.event(other.chart.resources[f"DocumentReference/{source['id']}"]) == Parked(
            ParkReason.DRAFT_OPEN
        )
        assert (await states(other))[0] == (State.FILED, None)
