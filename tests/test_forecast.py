from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import orjson
import pytest

from sidecar import forecast as module
from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.forecast import Forecast
from sidecar.intake.record import EmptyNotification, Record
from sidecar.mappings import Mappings
from tests.support.notes import document


@cache
def mappings() -> Mappings:
    """The packaged mappings, with the age limit that a site sets for its go-live."""
    packaged = Mappings.load()
    types = {key: replace(item, task=replace(item.task, max_age_days=30)) for key, item in packaged.note_types.items()}
    return replace(packaged, note_types=types)


TODAY = date(2026, 11, 21)
NOW = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000)


def count(*values: Any, from_time: datetime | None = None, timestamp: int = NOW) -> list[tuple[str, str, int]]:
    forecast = Forecast(mappings(), TODAY, from_time)
    for offset, value in enumerate(values):
        data = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
        forecast.add(Record("t", 0, offset, None, data, (), timestamp))
    return forecast.rows()


RESTRICTED = {"meta": {"versionId": "1", "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}}  # fmt: skip  # noqa: E501 - a literal


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (document(), ("drafted", "summary")),
        (document(content=None), ("to be read", "id-only or thin event")),
        (document(meta=None), ("to be read", "id-only or thin event")),
        (document(docStatus="preliminary"), ("skipped", "preliminary-source")),
        (document(status="entered-in-error"), ("skipped", "not-current")),
        (document(type={"coding": [{"code": "x"}]}), ("skipped", "type-not-mapped")),
        (document(date="1999-01-01"), ("skipped", "too-old")),
        (document(**RESTRICTED), ("skipped", "restricted")),
        (document(identifier=[{"system": DRAFT_SYSTEM, "value": "d"}]), ("skipped", "own-draft")),
        ({"resourceType": "Patient", "id": "p1"}, ("skipped", "type-not-mapped")),
        (document(docStatus={}), ("dead-lettered", "invalid-resource")),
        (b"{", ("dead-lettered", "not-json")),
        ({"x": 1}, ("dead-lettered", "unknown-envelope")),
        (None, ("no event", "handshake, heartbeat or null")),
    ],
)
def test_each_record_counts_as_what_the_worker_would_make_of_it(value: Any, row: tuple[str, str]) -> None:
    assert count(value) == [(*row, 1)]


def test_of_several_versions_only_the_last_counts_as_it_is() -> None:
    drafts = [document(meta={"versionId": str(version)}) for version in range(1, 4)]
    assert count(*drafts) == [("drafted", "summary", 1), ("skipped", "superseded", 2)]
    assert count(*drafts, document(status="superseded")) == [
        ("skipped", "superseded", 3),
        ("skipped", "not-current", 1),
    ]


def test_what_is_drafted_comes_first_then_the_most_frequent() -> None:
    skipped = [document(f"s{number}", status="superseded") for number in range(3)]
    rows = count(b"{", *skipped, document("p", docStatus="preliminary"), document("d"))
    assert [row[2] for row in rows] == [1, 3, 1, 1]
    assert [row[0] for row in rows] == ["drafted", "skipped", "skipped", "dead-lettered"]


def test_a_record_from_before_the_time_is_not_counted() -> None:
    from_time = datetime(2026, 11, 20, tzinfo=UTC)
    assert count(document(), from_time=from_time, timestamp=NOW - 10 * 86_400_000) == []
    assert count(document(), from_time=from_time) == [("drafted", "summary", 1)]


def test_an_empty_notification_is_something_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_record", lambda _record: (EmptyNotification("Subscription", "s"),))
    assert count({}, {}) == [("to be read", "empty notification", 2)]


def test_a_bug_costs_one_document_not_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_resource: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "parse_source", fail)
    assert count(document(), b"{") == [("dead-lettered", "not-json", 1), ("dead-lettered", "poison", 1)]
