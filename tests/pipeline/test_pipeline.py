"""The life of one event, against an EHR in memory and a real ledger."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.chart.client import BinaryContent
from sidecar.errors import EhrRefused, EhrUnavailable, WriteUnknown
from sidecar.ledger.ledger import State
from sidecar.outcomes import DeadLetterCode, DeadLettered, Filed, Parked, ParkReason, Skipped, SkipReason
from tests.support.notes import DISCHARGE, ENCOUNTER, attachment, document, text_of
from tests.support.worker import Rig, open_rig, profile


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        opened.chart.put(ENCOUNTER)
        yield opened


def coding(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def id_only(reference: str, *, deleted: bool = False) -> dict[str, Any]:
    events = [{"name": "notification-event", "part": [{"name": "focus", "valueReference": {"reference": reference}}]}]
    status = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "event-notification"}, *events]}
    request = [{"request": {"method": "DELETE", "url": reference}}] if deleted else []
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}, *request]}


async def test_a_current_final_note_gets_one_preliminary_draft(rig: Rig) -> None:
    outcome = await rig.publish(document(docStatus="final"))
    assert isinstance(outcome, Filed)
    (draft,) = rig.chart.drafts()
    assert (draft["status"], draft["docStatus"]) == ("current", "preliminary")
    assert draft["subject"] == {"reference": "Patient/p1"}
    assert draft["context"]["related"] == [{"reference": "DocumentReference/d1"}]
    assert draft["context"]["encounter"] == [{"reference": "Encounter/e1"}]
    assert text_of(draft).startswith("AI DRAFT - NOT REVIEWED. Check against the note before signing.\n")
    assert draft["meta"]["security"][0]["code"] == "AIAST"


async def test_device_and_provenance_stand_beside_the_draft(rig: Rig) -> None:
    await rig.publish(document("d1"))
    await rig.publish(document("d2"))
    kinds = [item["resourceType"] for item in rig.chart.resources.values()]
    assert (kinds.count("Device"), kinds.count("Provenance")) == (1, 2)


async def test_the_same_event_again_is_a_duplicate(rig: Rig) -> None:
    event = rig.chart.put(document())
    await rig.event(event)
    assert await rig.event(event) == Skipped(SkipReason.DUPLICATE)
    assert len(rig.chart.drafts()) == 1


async def test_an_id_only_event_is_read_from_the_ehr(rig: Rig) -> None:
    rig.chart.put(document())
    assert isinstance(await rig.event(id_only("DocumentReference/d1")), Filed)


async def test_a_stale_event_drafts_what_the_ehr_holds_now(rig: Rig) -> None:
    stale = rig.chart.put(document())
    rig.chart.put(document(text=DISCHARGE.replace("5.9", "6.4")))
    assert isinstance(await rig.event(stale), Filed)
    assert "6.4" in text_of(rig.chart.drafts()[0])


async def test_a_note_retracted_while_it_is_drafted_gets_no_draft(rig: Rig) -> None:
    stale = rig.chart.put(document())
    rig.chart.put(document(status="entered-in-error"))
    assert await rig.event(stale) == Skipped(SkipReason.NOT_CURRENT)
    assert not rig.chart.drafts()


async def test_the_own_draft_on_the_topic_makes_no_new_draft(rig: Rig) -> None:
    await rig.publish(document())
    (draft,) = rig.chart.drafts()
    assert await rig.event(draft) == Skipped(SkipReason.OWN_DRAFT)
    assert await rig.event(id_only(f"DocumentReference/{draft['id']}")) == Skipped(SkipReason.OWN_DRAFT)
    assert len(rig.chart.drafts()) == 1


async def test_a_signed_draft_whose_type_is_a_mapped_one_is_still_ours(rig: Rig) -> None:
    await rig.publish(document())
    (draft,) = rig.chart.drafts()
    signed = rig.chart.put({**draft, "docStatus": "final", "type": coding("18842-5")})
    assert await rig.event(signed) == Skipped(SkipReason.OWN_DRAFT)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "superseded"}, SkipReason.NOT_CURRENT),
        ({"status": "entered-in-error"}, SkipReason.NOT_CURRENT),
        ({"docStatus": "entered-in-error"}, SkipReason.NOT_CURRENT),
        ({"docStatus": "preliminary"}, SkipReason.PRELIMINARY_SOURCE),
        ({"type": coding("69730-0")}, SkipReason.TYPE_NOT_MAPPED),
        ({"type": None}, SkipReason.TYPE_NOT_MAPPED),
        (
            {
                "securityLabel": [
                    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
                ]
            },
            SkipReason.RESTRICTED,
        ),
        ({"content": [{"attachment": attachment(" \n\t ")}]}, SkipReason.NO_TEXT),
        ({"content": [{"attachment": attachment("Seen today.")}]}, SkipReason.TOO_LITTLE),
    ],
)
async def test_what_gets_no_draft_says_why(rig: Rig, changes: dict[str, Any], reason: SkipReason) -> None:
    assert await rig.publish(document(**changes)) == Skipped(reason)
    assert not rig.chart.drafts()


async def test_another_resource_on_the_topic_is_not_mapped(rig: Rig) -> None:
    assert await rig.event(ENCOUNTER) == Skipped(SkipReason.TYPE_NOT_MAPPED)


BAD_CONTENT = [
    (None, ParkReason.NO_CONTENT),
    ([], ParkReason.NO_CONTENT),
    ([{"attachment": {"contentType": "text/plain"}}], ParkReason.NO_CONTENT),
    ([{"attachment": {"contentType": "text/plain", "data": "%%%"}}], ParkReason.NO_CONTENT),
    ([{"attachment": {"contentType": "text/plain", "url": "Binary/missing"}}], ParkReason.NO_CONTENT),
    ([{"attachment": {"contentType": "text/plain", "url": "https://evil.test/Binary/1"}}], ParkReason.NO_CONTENT),
    ([{"attachment": attachment("x" * 20_000_000)}], ParkReason.NO_CONTENT),
    ([{"attachment": {**attachment(DISCHARGE), "size": 3}}], ParkReason.CONTENT_MISMATCH),
    ([{"attachment": {**attachment(DISCHARGE), "hash": "AAAA"}}], ParkReason.CONTENT_MISMATCH),
    ([{"attachment": attachment("{\\rtf1 hello}", "application/rtf")}], ParkReason.FORMAT_NOT_YET),
    ([{"attachment": attachment("%PDF-1.4 hello", "application/pdf")}], ParkReason.FORMAT_NOT_YET),
]


@pytest.mark.parametrize(("content", "reason"), BAD_CONTENT, ids=range(len(BAD_CONTENT)))
async def test_unusable_content_is_parked_with_its_reason(rig: Rig, content: Any, reason: ParkReason) -> None:
    assert await rig.publish(document(content=content)) == Parked(reason)
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    assert (entry.reason, entry.key.source) == (reason.value, "DocumentReference/d1")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{not json", DeadLetterCode.NOT_JSON),
        ({"hello": "world"}, DeadLetterCode.UNKNOWN_ENVELOPE),
        (document(docStatus={"coding": [{"code": "final"}]}), DeadLetterCode.INVALID_RESOURCE),
        (document(document_id="a b"), DeadLetterCode.INVALID_RESOURCE),
    ],
)
async def test_unreadable_events_are_dead_lettered_and_the_next_one_goes_on(
    rig: Rig, value: object, code: DeadLetterCode
) -> None:
    assert await rig.event(value) == DeadLettered(code)
    assert [letter.code for letter in rig.letters.letters] == [code.value]
    assert isinstance(await rig.publish(document("d2")), Filed)


async def test_a_binary_link_is_followed(rig: Rig) -> None:
    rig.chart.binaries["Binary/b1"] = BinaryContent(base64.b64encode(DISCHARGE.encode()).decode(), "text/plain")
    content = [{"attachment": {"contentType": "text/plain", "url": "Binary/b1"}}]
    assert isinstance(await rig.publish(document(content=content)), Filed)


async def test_an_encounter_that_is_not_there_yet_parks_and_comes_back(rig: Rig) -> None:
    del rig.chart.resources["Encounter/e1"]
    assert await rig.publish(document()) == Parked(ParkReason.NO_ENCOUNTER)
    rig.chart.put(ENCOUNTER)
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    assert isinstance(await rig.pipeline.retry(entry), Filed)
    assert [item.state for item in await rig.ledger.list_entries()] == [State.FILED]


async def test_parked_work_whose_note_was_retracted_is_forgotten(rig: Rig) -> None:
    del rig.chart.resources["Encounter/e1"]
    await rig.publish(document())
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    rig.chart.put(document(status="superseded"))
    assert await rig.pipeline.retry(entry) == Skipped(SkipReason.NOT_CURRENT)
    assert not await rig.ledger.list_entries()


@pytest.mark.parametrize("subject", ["Patient/other", "https://elsewhere/fhir/Patient/p2", "Group/p1"])
async def test_an_encounter_of_another_patient_is_never_written_to(rig: Rig, subject: str) -> None:
    rig.chart.put({**ENCOUNTER, "subject": {"reference": subject}})
    assert await rig.publish(document()) == Parked(ParkReason.PATIENT_MISMATCH)
    assert not rig.chart.drafts()


async def test_a_note_without_a_patient_is_parked(rig: Rig) -> None:
    assert await rig.publish(document(subject=None)) == Parked(ParkReason.PATIENT_MISMATCH)


async def test_an_event_that_names_another_patient_than_the_ehr_is_parked(rig: Rig) -> None:
    stored = rig.chart.put(document())
    assert await rig.event({**stored, "subject": {"reference": "Patient/p2"}}) == Parked(ParkReason.PATIENT_MISMATCH)
    assert not rig.chart.drafts()


async def test_a_create_whose_answer_is_lost_is_found_and_not_repeated(rig: Rig) -> None:
    rig.chart.conditional = False

    async def lose_once() -> None:
        rig.chart.after = None
        raise WriteUnknown

    await rig.event(rig.chart.put(document("warm-up")))
    rig.chart.after = lose_once
    assert isinstance(await rig.publish(document()), Filed)
    assert len(rig.chart.drafts()) == 2


async def test_a_create_that_was_lost_before_it_landed_is_sent_again(rig: Rig) -> None:
    await rig.event(rig.chart.put(document("warm-up")))

    async def lose_once() -> None:
        rig.chart.before = None
        raise WriteUnknown

    rig.chart.before = lose_once
    assert isinstance(await rig.publish(document()), Filed)
    assert len(rig.chart.drafts()) == 2


async def test_an_outage_is_waited_out_and_dead_letters_nothing(rig: Rig) -> None:
    failures = 3

    async def fail() -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise EhrUnavailable("HTTP 503", retry_after=0.01)

    rig.chart.before = fail
    assert isinstance(await rig.publish(document()), Filed)
    assert not rig.letters.letters


async def test_a_refusal_for_good_is_parked_for_a_person(rig: Rig) -> None:
    await rig.event(rig.chart.put(document("warm-up")))

    async def refuse() -> None:
        raise EhrRefused(422, ("invalid",))

    rig.chart.before = refuse
    event = rig.chart.put(document())
    assert await rig.event(event) == Parked(ParkReason.REJECTED_WRITE)
    (entry,) = await rig.ledger.list_entries(State.PARKED)
    assert entry.reason == "rejected-write"
    rig.chart.before = None
    assert isinstance(await rig.pipeline.retry(entry), Filed)


async def test_an_amended_note_waits_while_the_earlier_draft_is_open_and_cannot_be_replaced(tmp_path: Path) -> None:
    async with open_rig(tmp_path, target=profile(replace="none")) as rig:
        rig.chart.put(ENCOUNTER)
        await rig.publish(document())
        assert await rig.publish(document(text=DISCHARGE + "\nADDENDUM: none.")) == Parked(ParkReason.DRAFT_OPEN)
        (draft,) = rig.chart.drafts()
        assert draft["meta"]["versionId"] == "1"


async def test_a_target_without_identifier_search_leaves_an_unknown_write_to_a_person(tmp_path: Path) -> None:
    target = profile(identifier_search=False, provenance="never", conditional_create="never")
    async with open_rig(tmp_path, target=target) as rig:
        rig.chart.put(ENCOUNTER)

        async def lose() -> None:
            raise WriteUnknown

        rig.chart.after = lose
        event = rig.chart.put(document())
        assert await rig.event(event) == Parked(ParkReason.UNKNOWN_WRITE)
        assert [entry.state for entry in await rig.ledger.list_entries()] == [State.UNKNOWN]
        rig.chart.after = None
        assert await rig.event(event) == Parked(ParkReason.UNKNOWN_WRITE)
        assert len(rig.chart.drafts()) == 1


@pytest.mark.parametrize("mode", ["dry-run", "shadow"])
async def test_a_mode_that_does_not_write_writes_nothing_and_uses_nothing_up(tmp_path: Path, mode: str) -> None:
    async with open_rig(tmp_path, mode=mode) as rig:
        rig.chart.put(ENCOUNTER)
        before = len(rig.chart.resources)
        assert await rig.publish(document()) == Skipped(SkipReason(mode))
        assert len(rig.chart.resources) == before + 1  # the note itself
        assert not await rig.ledger.list_entries()


async def test_a_bug_costs_one_document_and_not_the_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("patient John Doe")

    event = rig.chart.put(document())
    with monkeypatch.context() as patched:
        patched.setattr("sidecar.pipeline.route", explode)
        assert await rig.event(event) == DeadLettered(DeadLetterCode.POISON)
    (letter,) = rig.letters.letters
    assert (letter.code, letter.error_class) == ("poison", "RuntimeError")
    assert isinstance(await rig.event(event), Filed)


async def test_an_empty_notification_is_answered_by_a_search(rig: Rig) -> None:
    rig.chart.put(document("a"))
    rig.chart.put(document("b", status="superseded"))
    parameters = [{"name": "subscription", "valueReference": {"reference": "Subscription/s1"}}]
    event = {"name": "notification-event", "part": [{"name": "event-number", "valueString": "3"}]}
    status = [*parameters, {"name": "type", "valueCode": "event-notification"}, event]
    entry = {"resource": {"resourceType": "Parameters", "parameter": status}}
    outcomes = await rig.events({"resourceType": "Bundle", "type": "history", "entry": [entry]})
    assert [type(outcome) for outcome in outcomes] == [Filed, Skipped]
