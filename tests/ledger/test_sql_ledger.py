from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
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
    claim = await ledger.claim(f"draft-{version}", key(version))
    assert isinstance(claim, Claimed)
    return claim


async def filed(ledger: SqlLedger, version: str = "1") -> Claimed:
    claim = await claimed(ledger, version)
    assert await ledger.start_sending(claim)
    await ledger.record_filed(claim, f"DocumentReference/draft-{version}", "1", "digest")
    return claim


async def test_a_filed_version_is_not_claimed_again(ledger: SqlLedger) -> None:
    await filed(ledger)
    assert await ledger.claim("draft-1", key()) is Refusal.HANDLED


async def test_a_claim_left_by_a_dead_worker_is_taken_over_and_fences_the_old_one(ledger: SqlLedger) -> None:
    old = await claimed(ledger)
    new = await claimed(ledger)
    assert not await ledger.start_sending(old)
    assert await ledger.start_sending(new)


async def test_a_create_under_way_is_unsettled_not_repeated(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim)
    answer = await ledger.claim("draft-1", key())
    assert isinstance(answer, Unsettled)
    assert answer.entry.state is State.SENDING


async def test_an_unsettled_row_is_adopted_once(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim)
    entry = await ledger.get("draft-1")
    assert entry is not None
    first, second = await ledger.adopt(entry), await ledger.adopt(entry)
    assert first is not None
    assert second is None
    await ledger.record_filed(claim, "DocumentReference/late", "1", None)
    assert (await ledger.get("draft-1")).target is None  # type: ignore[union-attr]


async def test_an_open_draft_of_an_earlier_version_stands_in_the_way(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    assert await ledger.claim("draft-2", key("2")) is Refusal.DRAFT_OPEN


@pytest.mark.parametrize("state", [State.SIGNED, State.SIGNED_EDITED, State.EDITED])
async def test_a_persons_work_on_an_earlier_version_is_respected(ledger: SqlLedger, state: State) -> None:
    await filed(ledger, "1")
    assert await ledger.observe("draft-1", state, "DocumentReference/draft-1", "2")
    assert await ledger.claim("draft-2", key("2")) is Refusal.PERSON_WORKED


async def test_a_discarded_draft_is_not_made_again_but_a_new_version_is(ledger: SqlLedger) -> None:
    await filed(ledger, "1")
    await ledger.observe("draft-1", State.DISCARDED, "DocumentReference/draft-1", "2")
    assert await ledger.claim("draft-1", key("1")) is Refusal.HANDLED
    await claimed(ledger, "2")


async def test_an_older_version_after_a_newer_one_is_superseded(ledger: SqlLedger) -> None:
    await filed(ledger, "10")
    assert await ledger.claim("draft-9", key("9")) is Refusal.SUPERSEDED


async def test_a_newer_version_replaces_an_older_claim_that_wrote_nothing(ledger: SqlLedger) -> None:
    old = await claimed(ledger, "1")
    await claimed(ledger, "2")
    assert not await ledger.start_sending(old)
    assert (await ledger.get("draft-1")).state is State.REPLACED  # type: ignore[union-attr]


async def test_a_released_claim_leaves_no_trace(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.release(claim)
    assert await ledger.get("draft-1") is None


async def test_a_release_after_sending_began_changes_nothing(ledger: SqlLedger) -> None:
    claim = await claimed(ledger)
    await ledger.start_sending(claim)
    await ledger.release(claim)
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
    await ledger.start_sending(claim)
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
        claims = await asyncio.gather(*((one, two)[n % 2].claim("draft-1", key()) for n in range(10)))
        sent = [await one.start_sending(claim) for claim in claims if isinstance(claim, Claimed)]
    assert sent.count(True) == 1


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
