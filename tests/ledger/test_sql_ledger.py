from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.errors import ConfigError, LedgerUnavailable
from sidecar.ledger.ledger import Claimed, Key, Refusal, State, Unsettled
from sidecar.ledger.sql import SqlLedger, open_ledger
from sidecar.versions import is_newer

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def key(version: str = "1") -> Key:
    return Key("http://ehr/fhir", "DocumentReference/a", version, "summary")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    async with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened


async def claimed(ledger: SqlLedger, version: str = "1") -> Claimed:
    claim = await ledger.claim(f"draft-{version}", key(version), replacing=True)
    assert isinstance(claim, Claimed)
    return claim


async def filed(ledger: SqlLedger, version: str = "1") -> Claimed:
    claim = await claimed(ledger, version)
    assert await ledger.start_sending(claim, "sent")
    await ledger.record_filed(claim, f"DocumentReference/draft-{version}", "1", "digest")
    return claim


async def test_a_filed_version_is_not_claimed_again(ledger: SqlLedger) -> None:
    await filed(ledger)
    assert await ledger.claim("draft-1", key(), replacing=True) is Refusal.HANDLED


async def test_a_claim_left_by_a_dead_worker_is_taken_over_and_fences_the_old_one(ledger: SqlLedger) -> None:
    old = await claimed(ledger)
    new = await claimed(ledger)
    assert not await ledger.start_sending(old, "sent")
    assert await ledger.start_sending(new, "sent")


async def test_a_create_under_way_is_unsettled_not_repeated(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim, "sent")
    answer = await ledger.claim("draft-1", key(), replacing=True)
    assert isinstance(answer, Unsettled)
    assert answer.entry.state is State.SENDING


async def test_an_unsettled_row_is_adopted_once(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim, "sent")
    entry = await ledger.get("draft-1")
    assert entry is not None
    first, second = await ledger.adopt(entry), await ledger.adopt(entry)
    assert first is not None
    assert second is None
    await ledger.record_filed(claim, "DocumentReference/late", "1", None)
    assert (await ledger.get("draft-1")).target is None  # type: ignore[union-attr]


async def test_an_open_draft_of_an_earlier_version_stands_in_the_way(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    assert await ledger.claim("draft-2", key("2"), replacing=False) is Refusal.DRAFT_OPEN


@pytest.mark.parametrize("state", [State.SIGNED, State.SIGNED_EDITED, State.EDITED])
async def test_a_persons_work_on_an_earlier_version_is_respected(ledger: SqlLedger, state: State) -> None:
    await filed(ledger, "1")
    assert await ledger.observe("draft-1", state, "DocumentReference/draft-1", "2")
    assert await ledger.claim("draft-2", key("2"), replacing=True) is Refusal.PERSON_WORKED


async def test_a_discarded_draft_is_not_made_again_but_a_new_version_is(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    await ledger.observe("draft-1", State.DISCARDED, "DocumentReference/draft-1", "2")
    assert await ledger.claim("draft-1", key("1"), replacing=True) is Refusal.HANDLED
    await claimed(ledger, "2")


async def test_an_older_version_after_a_newer_one_is_superseded(ledger: SqlLedger) -> None:
    await filed(ledger, "10")
    assert await ledger.claim("draft-9", key("9"), replacing=True) is Refusal.SUPERSEDED


async def test_a_newer_version_replaces_an_older_claim_that_wrote_nothing(ledger: SqlLedger) -> None:
    old = await claimed(ledger, "1")
    await claimed(ledger, "2")
    assert not await ledger.start_sending(old, "sent")
    assert (await ledger.get("draft-1")).state is State.REPLACED  # type: ignore[union-attr]


async def test_a_released_claim_leaves_no_trace(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.release(claim, wanted=False)
    assert await ledger.get("draft-1") is None


async def test_a_release_after_sending_began_changes_nothing(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim, "sent")
    await ledger.release(claim, wanted=False)
    assert (await ledger.get("draft-1")).state is State.SENDING  # type: ignore[union-attr]


async def test_parked_work_comes_due_and_moves_its_next_time(ledger: SqlLedger) -> None:
    past, later = NOW - timedelta(days=1), datetime.now(UTC) + timedelta(hours=1)
    await ledger.park("draft-1", key(), "no-encounter", past)
    (entry,) = await ledger.take_due(later, 10)
    assert entry.draft_id == "draft-1"
    assert await ledger.take_due(later, 10) == []


async def test_parked_work_without_a_time_waits_for_retry(ledger: SqlLedger) -> None:
    await ledger.park("draft-1", key(), "no-content", None)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await ledger.take_due(later, 10) == []
    assert await ledger.retry(reason="other") == 0
    assert await ledger.retry(reason="no-content") == 1
    assert len(await ledger.take_due(later, 10)) == 1
    assert await ledger.retry(draft_id="draft-1") == 1


async def test_parked_work_can_be_claimed_and_forgotten(ledger: SqlLedger) -> None:
    await ledger.park("draft-1", key(), "no-encounter", NOW)
    entry = await ledger.get("draft-1")
    assert entry is not None
    await claimed(ledger)
    await ledger.forget_parked(entry)  # has moved on
    assert (await ledger.get("draft-1")).state is State.CLAIMED  # type: ignore[union-attr]
    await ledger.park("draft-1", key(), "no-encounter", NOW)
    entry = await ledger.get("draft-1")
    assert entry is not None
    await ledger.forget_parked(entry)
    assert await ledger.get("draft-1") is None


async def test_parking_never_touches_a_draft(ledger: SqlLedger) -> None:
    await filed(ledger)
    await ledger.park("draft-1", key(), "no-content", None)
    await ledger.record_attention("draft-1", key(), "source-amended")
    assert (await ledger.get("draft-1")).state is State.FILED  # type: ignore[union-attr]


async def test_signed_is_final_for_the_ledger_too(ledger: SqlLedger) -> None:
    await filed(ledger)
    assert await ledger.observe("draft-1", State.SIGNED, "DocumentReference/draft-1", "2")
    assert not await ledger.observe("draft-1", State.DISCARDED, "DocumentReference/draft-1", "3")


async def test_a_rejected_create_is_parked_until_someone_retries(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim, "sent")
    await ledger.record_rejected(claim, "rejected-write")
    (entry,) = await ledger.list_entries(State.PARKED)
    assert (entry.reason, entry.retry_at) == ("rejected-write", None)


async def test_the_database_itself_refuses_a_second_live_draft(ledger: SqlLedger, tmp_path: Path) -> None:
    await filed(ledger, "1")
    with sqlite3.connect(tmp_path / "ledger.db") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO drafts (draft_id, server, source, source_version, task, state, attempts, created, updated)"
            " SELECT 'x', server, source, '2', task, 'claimed', 1, created, updated FROM drafts"
        )
    connection.close()


async def test_many_workers_get_one_claim_through(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    async with open_ledger(url) as one, open_ledger(url) as two:
        claims = await asyncio.gather(*((one, two)[n % 2].claim("draft-1", key(), replacing=True) for n in range(10)))
        sent = [await one.start_sending(claim, "sent") for claim in claims if isinstance(claim, Claimed)]
    assert sent.count(True) == 1


TARGET = "DocumentReference/draft-1"


async def state_of(ledger: SqlLedger, draft_id: str) -> State | None:
    entry = await ledger.get(draft_id)
    return entry.state if entry else None


async def test_a_new_version_takes_the_place_of_an_untouched_draft_and_knows_what_it_replaces(
    ledger: SqlLedger,
) -> None:
    await filed(ledger, "1")
    claim = await claimed(ledger, "2")
    assert claim.earlier is not None
    told = (claim.earlier.draft_id, claim.earlier.target, claim.earlier.target_version, claim.earlier.text_digest)
    assert told == ("draft-1", TARGET, "1", "digest")
    assert await state_of(ledger, "draft-1") is State.REPLACED
    assert await ledger.start_sending(claim, "sent")
    await ledger.record_filed(claim, TARGET, "2", "digest-2")
    assert await state_of(ledger, "draft-2") is State.FILED
    assert await ledger.claim("draft-1", key("1"), replacing=True) is Refusal.HANDLED


async def give_up_release(ledger: SqlLedger, claim: Claimed) -> None:
    await ledger.release(claim, wanted=False)


async def give_up_park(ledger: SqlLedger, claim: Claimed) -> None:
    await ledger.park(claim.draft_id, key("2"), "review-blocked", None)


async def give_up_rejected(ledger: SqlLedger, claim: Claimed) -> None:
    await ledger.start_sending(claim, "sent")
    await ledger.record_rejected(claim, "rejected-write")


@pytest.mark.parametrize("give_up", [give_up_release, give_up_park, give_up_rejected])
async def test_a_claim_that_ends_without_a_write_gives_the_earlier_draft_back(
    ledger: SqlLedger, give_up: Callable[[SqlLedger, Claimed], Awaitable[None]]
) -> None:
    await filed(ledger, "1")
    before = await ledger.get("draft-1")
    assert before is not None
    await give_up(ledger, await claimed(ledger, "2"))
    after = await ledger.get("draft-1")
    assert after is not None
    assert replace(after, updated=before.updated) == before
    assert await ledger.find_draft(TARGET) == after
    again = await claimed(ledger, "2")
    assert again.earlier is not None
    assert again.earlier.draft_id == "draft-1"


async def test_a_claim_of_a_dead_worker_is_taken_over_with_its_target_by_its_own_version_and_by_a_newer_one(
    ledger: SqlLedger,
) -> None:
    await filed(ledger, "1")
    dead = await claimed(ledger, "2")
    second = await claimed(ledger, "2")
    third = await claimed(ledger, "3")
    assert [claim.earlier.draft_id for claim in (second, third) if claim.earlier] == ["draft-1", "draft-1"]
    for fenced in (dead, second):
        await ledger.release(fenced, wanted=False)
        assert not await ledger.drop_target(fenced)
    assert await state_of(ledger, "draft-1") is State.REPLACED
    await ledger.release(third, wanted=False)
    states = [(entry.draft_id, entry.state) for entry in await ledger.list_entries()]
    assert states == [("draft-1", State.FILED), ("draft-2", State.REPLACED)]


async def test_a_chain_of_versions_gives_back_the_last_one_filed(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    second = await claimed(ledger, "2")
    await ledger.start_sending(second, "sent")
    await ledger.record_filed(second, TARGET, "2", "digest-2")
    third = await claimed(ledger, "3")
    assert third.earlier is not None
    assert (third.earlier.draft_id, third.earlier.target_version) == ("draft-2", "2")
    await ledger.release(third, wanted=False)
    states = [(entry.draft_id, entry.state) for entry in await ledger.list_entries()]
    assert states == [("draft-1", State.REPLACED), ("draft-2", State.FILED)]


async def test_an_adopted_replacement_keeps_its_target(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    await ledger.start_sending(await claimed(ledger, "2"), "sent")
    answer = await ledger.claim("draft-3", key("3"), replacing=True)
    assert isinstance(answer, Unsettled)
    assert (answer.entry.draft_id, answer.entry.target, answer.entry.text_digest) == ("draft-2", TARGET, "sent")
    adopted = await ledger.adopt(answer.entry)
    assert adopted is not None
    assert adopted.earlier is not None
    assert (adopted.earlier.target, adopted.earlier.text_digest) == (TARGET, "digest")


@pytest.mark.parametrize("sending", [False, True])
async def test_an_earlier_draft_that_is_gone_is_discarded_and_the_claim_goes_on(
    ledger: SqlLedger, sending: bool
) -> None:
    await filed(ledger, "1")
    claim = await claimed(ledger, "2")
    if sending:
        await ledger.start_sending(claim, "sent")
    assert await ledger.drop_target(claim)
    entry = await ledger.get("draft-2")
    assert entry is not None
    assert (entry.state, entry.target) == (State.SENDING if sending else State.CLAIMED, None)
    assert not sending or entry.text_digest == "sent"
    await ledger.release(claim, wanted=False)
    assert await state_of(ledger, "draft-1") is State.DISCARDED


@pytest.mark.parametrize("sending", [False, True])
async def test_a_claim_gives_way_to_a_persons_work(ledger: SqlLedger, sending: bool) -> None:
    await filed(ledger, "1")
    claim = await claimed(ledger, "2")
    if sending:
        await ledger.start_sending(claim, "sent")
    await ledger.give_way(claim, State.EDITED, "5", "source-amended")
    first, second = await ledger.list_entries()
    assert (first.state, first.target_version) == (State.EDITED, "5")
    assert (second.state, second.reason, second.target) == (State.ATTENTION, "source-amended", None)
    assert await ledger.claim("draft-2", key("2"), replacing=True) is Refusal.PERSON_WORKED


@pytest.mark.parametrize("state", [State.SIGNED, State.EDITED, State.DISCARDED])
async def test_a_person_who_is_faster_than_the_replacement_is_seen(ledger: SqlLedger, state: State) -> None:
    await filed(ledger, "1")
    claim = await claimed(ledger, "2")
    found = await ledger.find_draft(TARGET)
    assert found is not None
    assert found.draft_id == "draft-1"
    assert await ledger.observe("draft-1", state, TARGET, "2")
    assert await state_of(ledger, "draft-1") is state
    goes_on = state is State.DISCARDED
    assert await state_of(ledger, "draft-2") is (State.CLAIMED if goes_on else State.ATTENTION)
    assert await ledger.start_sending(claim, "sent") is goes_on


async def test_a_late_event_of_a_replaced_draft_changes_nothing(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    claim = await claimed(ledger, "2")
    await ledger.start_sending(claim, "sent")
    assert not await ledger.observe("draft-1", State.EDITED, TARGET, "1")
    await ledger.record_filed(claim, TARGET, "2", "digest-2")
    assert not await ledger.observe("draft-1", State.SIGNED, TARGET, "1")
    states = [(entry.draft_id, entry.state) for entry in await ledger.list_entries()]
    assert states == [("draft-1", State.REPLACED), ("draft-2", State.FILED)]
    found = await ledger.find_draft(TARGET)
    assert found is not None
    assert found.draft_id == "draft-2"


async def test_settings_that_cannot_work_say_so() -> None:
    with pytest.raises(ConfigError, match=r"ledger\.url"):
        async with open_ledger("nonsense"):
            pass
    with pytest.raises(LedgerUnavailable):
        async with open_ledger("sqlite:////no/such/folder/ledger.db"):
            pass


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("10", "9", True),
        ("9", "10", False),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00", False),
        ("abc", "abd", False),
        ("²", "1", False),
    ],
)
def test_versions_are_compared_where_they_can_be(one: str, other: str, newer: bool) -> None:
    assert is_newer(one, other) is newer
