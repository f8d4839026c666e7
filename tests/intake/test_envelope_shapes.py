"""Every envelope that DESIGN names, as files: what each gives, and that no damage to one crashes."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelope import MOST_NESTED, lane_key, read_record
from sidecar.intake.record import DocumentEvent, EmptyNotification, Record
from sidecar.references import FHIR_ID, FHIR_TYPE
from tests.support.corpus import corpus_root

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(FIXTURES.rglob("*.json"))
DOCUMENT = orjson.loads((FIXTURES / "bare/r4.json").read_bytes())
GOOGLE_VERSION = "MTY4MzA2MDQzOTI5NjIxMDAwMA"

FULL = "DocumentReference/123 v4 full"
ID_ONLY = "DocumentReference/123 v- id-only"
VERSIONED = "DocumentReference/123 v4 id-only"
DELETED = "DocumentReference/123 v4 deleted"
DELETED_UNVERSIONED = "DocumentReference/123 v- deleted"

EXPECTED: dict[str, list[str]] = {
    "bare/r4.json": [FULL],
    "bare/r5.json": ["DocumentReference/r5 v2 full"],
    "bare/other-type.json": ["Observation/o1 v- full"],
    "backport/id-only.json": [ID_ONLY],
    "backport/full-resource.json": [FULL],
    "backport/empty.json": ["search for Subscription/s1 since 2026-01-01T07:30:00+00:00"],
    "backport/several-events.json": [ID_ONLY, "DocumentReference/124 v9 id-only", "Patient/p1 v- id-only"],
    "backport/same-document-twice.json": [FULL, "DocumentReference/123 v5 full"],
    "backport/deleted.json": [DELETED_UNVERSIONED],
    "backport/handshake.json": [],
    "backport/heartbeat.json": [],
    "backport/query-status.json": [],
    "backport/query-event.json": [],
    "backport/message.json": [FULL],
    "r5/id-only.json": [ID_ONLY],
    "r5/full-resource.json": ["DocumentReference/r5 v2 full"],
    "r5/empty.json": ["search for Subscription/s1 since 2026-01-01T00:00:00+00:00"],
    "r5/empty-without-events.json": ["search for Subscription/s1 since -"],
    "r5/heartbeat.json": [],
    "r5/hapi-transaction.json": [FULL],
    "r5/message-with-bundle.json": [ID_ONLY],
    "hl7/notification-full-resource.json": ["Encounter/2 v1 full"],
    "hl7/notification-id-only.json": ["Encounter/2 v- id-only"],
    "hapi/update.json": [FULL],
    "hapi/inner-only.json": [FULL],
    "hapi/version-in-the-id.json": [FULL],
    "hapi/without-payload.json": [VERSIONED],
    "hapi/delete.json": [DELETED_UNVERSIONED],
    "hapi/xml.json": [VERSIONED],
    "cloudevents/structured.json": [FULL],
    "cloudevents/data-base64.json": [FULL],
    "cloudevents/notification-inside.json": [ID_ONLY],
    "cloudevents/subject-only.json": [ID_ONLY],
    "cloudevents/xml-data.json": [ID_ONLY],
    "cloudevents/deleted.json": [DELETED],
    "cloudevents/batch.json": [FULL, "DocumentReference/124 v- id-only"],
    "azure/cloudevent.json": ["DocumentReference/e87ef649 v1 id-only"],
    "azure/cloudevent-deleted.json": ["DocumentReference/e87ef649 v3 deleted"],
    "azure/event-grid.json": ["DocumentReference/e87ef649 v1 id-only"],
    "azure/event-grid-array.json": [
        "DocumentReference/e87ef649 v2 id-only",
        "DocumentReference/e87ef649 v3 deleted",
    ],
    "azure/subscription-validation.json": [],
    "pubsub/name-only.json": [f"DocumentReference/123 v{GOOGLE_VERSION} id-only"],
    "pubsub/full-resource.json": [f"DocumentReference/123 v{GOOGLE_VERSION} full"],
    "pubsub/message-alone.json": [f"DocumentReference/123 v{GOOGLE_VERSION} full"],
    "pubsub/delete-name.json": [f"DocumentReference/123 v{GOOGLE_VERSION} deleted"],
    "pubsub/delete-resource.json": [f"DocumentReference/123 v{GOOGLE_VERSION} deleted"],
    "debezium/outbox-payload.json": [FULL],
    "debezium/outbox-deleted.json": [DELETED],
    "debezium/payload-as-json-string.json": [FULL],
    "debezium/json-text-column.json": [FULL],
    "debezium/object-column.json": [FULL],
    "debezium/mongodb.json": [FULL],
    "debezium/with-schema.json": [FULL],
    "debezium/columns-name-it.json": [VERSIONED],
    "debezium/table-names-it.json": [ID_ONLY],
    "debezium/deleted.json": [DELETED],
    "debezium/outbox-row.json": [FULL],
    "debezium/outbox-row-thin.json": [ID_ONLY],
    "debezium/outbox-row-deleted.json": [],
    "debezium/flattened.json": [FULL],
    "debezium/flattened-deleted.json": [DELETED],
}

CORPUS_EXPECTED = {
    "fhir-cdex/cdex-task-inline-scenario1-subscription-notification.json": ["Task/cdex-task-example2 v- id-only"],
    "fhir-cdex/cdex-task-inline-scenario1-subscription-active.json": [
        "Subscription/cdex-task-inline-scenario1-subscription-active v- full"
    ],
    "fhir-hl7-core/r4/DocumentReference-example.json": ["DocumentReference/example v- full"],
    "fhir-hl7-core/r4/OperationOutcome-101.json": ["OperationOutcome/101 v- full"],
    "fhir-hl7-core/r4/Bundle-bundle-transaction.json": "unknown-envelope",
    "fhir-hl7-core/r4/Bundle-ghp.json": "unknown-envelope",
    "fhir-cdex/cdex-searchbundle-scenario1-example.json": "unknown-envelope",
    "fhir-hl7-core/subscription/notification-id-only.xml": "not-json",
}


def record(value: bytes | None, key: bytes | None = None, **headers: str) -> Record:
    named = tuple((name.replace("content_type", "content-type"), text.encode()) for name, text in headers.items())
    return Record("t", 0, 7, key, value, named)


def encoded(message: object) -> Record:
    return record(orjson.dumps(message))


def describe(event: DocumentEvent) -> str:
    if isinstance(event, EmptyNotification):
        since = event.since.astimezone(UTC).isoformat() if event.since else "-"
        return f"search for {event.reference} since {since}"
    how = "deleted" if event.retracted else "full" if event.resource is not None else "id-only"
    return f"{event.reference} v{event.version_id or '-'} {how}"


def outcome(taken: Record) -> list[str] | str:
    try:
        return [describe(event) for event in read_record(taken)]
    except DeadLetterEvent as end:
        return end.reason.value


@pytest.mark.parametrize("name", EXPECTED)
def test_a_message_gives_the_events_it_tells(name: str) -> None:
    assert outcome(record((FIXTURES / name).read_bytes())) == EXPECTED[name]


@pytest.mark.parametrize("name", CORPUS_EXPECTED)
def test_a_published_example_gives_the_events_it_tells(name: str) -> None:
    assert outcome(record((corpus_root() / name).read_bytes())) == CORPUS_EXPECTED[name]


def test_every_file_has_its_expectation() -> None:
    assert {str(file.relative_to(FIXTURES)) for file in FILES} == EXPECTED.keys()


@pytest.mark.parametrize("name", [name for name, events in EXPECTED.items() if FULL in events])
def test_the_resource_inside_an_envelope_arrives_as_it_was_sent(name: str) -> None:
    event = next(event for event in read_record(record((FIXTURES / name).read_bytes())) if describe(event) == FULL)
    kept = {field: event.resource[field] for field in ("status", "type", "subject", "content", "context")}
    assert kept == {field: DOCUMENT[field] for field in kept}


CE = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "s", "ce_type": "org.example.updated"}
XML = b"<DocumentReference xmlns='http://hl7.org/fhir'/>"
BODY = orjson.dumps(DOCUMENT)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (record(BODY, **CE, content_type="application/fhir+json"), [FULL]),
        (record(BODY, **{**CE, "ce_type": "org.example.DocumentDeleted"}), [DELETED]),
        (record(BODY, **{**CE, "ce_type": "org.example.undeleted"}), [FULL]),
        (record(XML, **CE, ce_subject="DocumentReference/123", content_type="application/fhir+xml"), [ID_ONLY]),
        (record(XML, **CE, content_type="application/fhir+xml"), "not-json"),
        (record(b"{}", **CE, ce_subject="https://e/fhir/DocumentReference/123"), [ID_ONLY]),
        (record(b"{}", **CE), "unknown-envelope"),
        (record(b'{"resourceType":"DocumentReference"}', **CE, ce_subject="DocumentReference/123"), "invalid-resource"),
        (record(orjson.dumps({"resourceType": "DocumentReference", "resourceFhirId": "123"}), **CE), [ID_ONLY]),
    ],
)
def test_binary_cloudevents_are_told_by_their_headers(taken: Record, expected: object) -> None:
    assert outcome(taken) == expected


def test_a_structured_cloudevent_is_not_taken_for_a_binary_one() -> None:
    value = (FIXTURES / "cloudevents/structured.json").read_bytes()
    headers = {**CE, "content_type": "Application/CloudEvents+json; charset=UTF-8"}
    assert outcome(record(value, **headers)) == [FULL]


@pytest.mark.parametrize(
    ("key", "headers", "expected"),
    [
        (None, {}, []),
        (b"Patient/p1", {}, []),
        (b"p1", {}, []),
        (b"\xff", {}, []),
        (b'{"id": 77}', {}, []),
        (b"DocumentReference/123", {}, [ID_ONLY]),
        (b'"DocumentReference/123"', {}, [ID_ONLY]),
        (b"DocumentReference/123", {"__op": "d"}, [DELETED_UNVERSIONED]),
        (b"DocumentReference/123", CE, []),
        (None, {**CE, "ce_subject": "DocumentReference/123"}, [ID_ONLY]),
        (
            None,
            {**CE, "ce_subject": "DocumentReference/123", "ce_type": "org.example.deleted"},
            [DELETED_UNVERSIONED],
        ),
        (b"DocumentReference/123", {**CE, "ce_type": "x.deleted"}, [DELETED_UNVERSIONED]),
        (b"Patient/p1", {**CE, "ce_type": "org.example.deleted"}, []),
    ],
)
def test_a_null_value_is_a_retraction_only_where_a_delete_is_said(
    key: bytes | None, headers: dict[str, str], expected: object
) -> None:
    assert outcome(record(None, key, **headers)) == expected


@pytest.mark.parametrize(
    ("action", "payload_type", "value", "expected"),
    [
        ("CreateResource", "NameOnly", b"projects/p/fhirStores/s/fhir/DocumentReference/123", [VERSIONED]),
        ("UpdateResource", "FullResource", BODY, [FULL]),
        ("DeleteResource", "NameOnly", b"projects/p/fhirStores/s/fhir/DocumentReference/123", [DELETED]),
        ("UpdateResource", "NameOnly", b"\xff", "invalid-resource"),
        ("UpdateResource", "FullResource", b"[]", "invalid-resource"),
        ("UpdateResource", "FullResource", None, "not-json"),
    ],
)
def test_a_pubsub_connector_may_put_the_attributes_into_headers(
    action: str, payload_type: str, value: bytes | None, expected: object
) -> None:
    assert outcome(record(value, action=action, payloadType=payload_type, versionId="4")) == expected


def wrapped(times: int) -> dict[str, Any]:
    message = DOCUMENT
    for _ in range(times):
        message = {"payload": message}
    return message


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"specversion": "1.0", "type": "t", "data": {"id": "1"}}, "unknown-envelope"),
        ({"specversion": "1.0", "type": "t", "data_base64": "%%%"}, "invalid-resource"),
        ({"specversion": "1.0", "type": "t", "data_base64": 5}, "invalid-resource"),
        ({"eventType": "t", "data": None}, "unknown-envelope"),
        ({"resourceType": "DocumentReference", "resourceFhirId": "../1"}, "invalid-resource"),
        ({"resourceType": "DocumentReference", "resourceFhirId": 5}, "invalid-resource"),
        ({"operationType": "UPDATE"}, "invalid-resource"),
        ({"operationType": "DELETE", "resourceId": "nonsense"}, "invalid-resource"),
        ({"operationType": "UPDATE", "resourceId": "DocumentReference/1", "payload": "{"}, "not-json"),
        ({"operationType": "COPY", "resourceId": "DocumentReference/1"}, "unknown-envelope"),
        ({"payload": "text"}, "unknown-envelope"),
        ({"payload": None}, "unknown-envelope"),
        ({"payload": {"id": "1"}, "headers": {}}, "unknown-envelope"),
        ({"op": "c", "after": {"id": 1}}, "unknown-envelope"),
        ({"op": "d", "before": None, "after": None}, "unknown-envelope"),
        ({"op": "t", "after": None}, "unknown-envelope"),
        ({"op": "c", "after": "{"}, "not-json"),
        ({"op": "u", "after": {"resource_type": "DocumentReference", "id": "a b"}}, "invalid-resource"),
        ({"message": {"attributes": {"payloadType": "NameOnly"}, "data": "eA=="}}, "invalid-resource"),
        ({"message": {"attributes": {"payloadType": "NameOnly"}, "data": "%"}}, "invalid-resource"),
        ({"message": {"attributes": {"payloadType": "FullResource"}, "data": "bnVsbA=="}}, "invalid-resource"),
        ({"message": {"attributes": {"payloadType": ["FullResource"]}}}, "unknown-envelope"),
        ([DOCUMENT, {}], "unknown-envelope"),
        (wrapped(MOST_NESTED + 1), "unknown-envelope"),
    ],
)
def test_a_message_of_a_known_shape_that_tells_nothing_has_a_code(message: object, code: str) -> None:
    assert outcome(encoded(message)) == code


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"operationType": "DELETE", "payload": BODY.decode()}, [DELETED]),
        ({"op": "c", "after": {"note": "{not json", "resource_type": "DocumentReference", "id": "123"}}, [ID_ONLY]),
        ({"aggregatetype": "note", "aggregateid": "DocumentReference/123", "payload": None}, [ID_ONLY]),
        ({"resourceType": "DocumentReference", "resourceFhirId": "123", "resourceVersionId": True}, [ID_ONLY]),
        ({"op": "d", "before": {"id": "123"}, "source": {"table": "document_reference"}}, [DELETED_UNVERSIONED]),
    ],
)
def test_a_thin_message_still_names_its_document(message: object, expected: object) -> None:
    assert outcome(encoded(message)) == expected


def test_envelopes_in_envelopes_are_opened_down_to_the_limit() -> None:
    assert outcome(encoded(wrapped(MOST_NESTED))) == [FULL]


def notification(status: dict[str, Any], *entries: dict[str, Any]) -> Record:
    return encoded({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}, *entries]})


def subscription_status(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "SubscriptionStatus",
        "type": "event-notification",
        "subscription": {"reference": "Subscription/s1"},
        **changes,
    }


def test_context_beside_the_focus_is_no_event_and_its_defects_are_not_ours() -> None:
    status = subscription_status(notificationEvent=[{"focus": {"reference": "DocumentReference/123"}}])
    context = ({"resource": {"resourceType": "OperationOutcome"}}, {"resource": {"resourceType": "Patient", "id": "p"}})
    assert outcome(notification(status, *context)) == [ID_ONLY]


def test_events_that_name_nothing_among_others_ask_for_a_search_too() -> None:
    events = [{"focus": {"reference": "DocumentReference/123"}}, {"timestamp": "2026-01-01T00:00:00"}]
    status = subscription_status(notificationEvent=events)
    assert outcome(notification(status)) == [ID_ONLY, "search for Subscription/s1 since 2026-01-01T00:00:00+00:00"]


def test_an_empty_notification_without_its_subscription_is_invalid() -> None:
    assert outcome(notification(subscription_status(subscription={}))) == "invalid-resource"


def test_a_status_of_no_known_type_that_names_nothing_is_invalid() -> None:
    assert outcome(notification(subscription_status(type="rumour"))) == "invalid-resource"


def test_an_unreadable_time_is_no_time() -> None:
    status = subscription_status(notificationEvent=[{"timestamp": "yesterday"}, {"timestamp": 5}])
    assert outcome(notification(status)) == ["search for Subscription/s1 since -"]


@pytest.mark.parametrize(
    ("reference", "lane"),
    [
        ("Patient/p1", "Patient/p1"),
        ("https://ehr.example.org/fhir/Patient/p1/_history/2", "Patient/p1"),
        ("Group/g1", "DocumentReference/123"),
        ("", "DocumentReference/123"),
        (5, "DocumentReference/123"),
    ],
)
def test_a_patient_has_one_lane_however_the_reference_is_written(reference: object, lane: str) -> None:
    assert lane_key(encoded({**DOCUMENT, "subject": {"reference": reference}})) == lane


def test_a_search_runs_in_the_lane_of_its_subscription() -> None:
    assert lane_key(record((FIXTURES / "backport/empty.json").read_bytes())) == "Subscription/s1"


# What damages a message: values of wrong kinds, and whole pieces of other envelopes in odd places.

PIECES = [orjson.loads(file.read_bytes()) for file in FILES]
JUNK = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**53,
        1.5,
        "",
        " ",
        "{",
        "[]",
        "<a/>",
        "\ufeff",
        "\x00",
        "d",
        "%",
        "DocumentReference/1",
        [],
        {},
    ]
) | st.sampled_from(PIECES)


def paths(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path]
    if isinstance(value, dict):
        found += [p for name, inner in value.items() for p in paths(inner, (*path, name))]
    elif isinstance(value, list):
        found += [p for index, inner in enumerate(value) for p in paths(inner, (*path, index))]
    return found


def embedded(value: object) -> object:
    """Return JSON that stands in a string as a value, so that it can be damaged inside too."""
    return orjson.loads(value) if isinstance(value, str) and value.startswith('{"') else value


def damage(value: Any, path: tuple[object, ...], change: Any) -> Any:
    """Return `value` with what lies at `path` replaced, dropped (`...`) or doubled."""
    if not path:
        return change
    step, rest = path[0], path[1:]
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    changed = []
    for name, inner in items:
        if name != step:
            changed.append((name, inner))
        elif rest:
            changed.append((name, damage(inner, rest, change)))
        elif change is not ...:
            changed.append((name, change))
    return dict(changed) if isinstance(value, dict) else [inner for _, inner in changed]


@st.composite
def damaged(draw: st.DrawFn) -> Record:
    message = draw(st.sampled_from(PIECES))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(message)))
        inner = message
        for step in path:
            inner = inner[step]
        change = draw(JUNK | st.just(...))
        parsed = embedded(inner)
        if parsed is not inner and draw(st.booleans()):
            spot = draw(st.sampled_from(paths(parsed)))
            change = orjson.dumps(damage(parsed, spot, change) if spot and change is not ... else {}).decode()
        message = damage(message, path, change) if path or change is not ... else None
    value = draw(st.sampled_from([orjson.dumps(message), orjson.dumps(message)[:-2], None]))
    key = draw(st.sampled_from([None, b"", b"Patient/p1", b"DocumentReference/1", b"\xff"]))
    headers = draw(st.sampled_from([{}, {}, CE, {**CE, "ce_type": "x.deleted", "ce_subject": "DocumentReference/9"}]))
    return record(value, key, **headers)


@given(damaged())
def test_a_damaged_message_ends_in_usable_events_or_in_a_code(taken: Record) -> None:
    try:
        events = read_record(taken)
    except DeadLetterEvent:
        events = ()
    for event in events:
        assert FHIR_TYPE.fullmatch(event.resource_type)
        assert FHIR_ID.fullmatch(event.id)
        assert not (event.retracted and event.resource is not None)
        assert event.resource is None or event.resource["id"] == event.id


@given(damaged())
def test_a_damaged_message_has_a_lane(taken: Record) -> None:
    assert lane_key(taken)


def test_every_json_file_of_the_corpus_ends_in_events_or_in_a_code() -> None:
    files = sorted(corpus_root().rglob("*.json"))
    lines = [line for file in sorted(corpus_root().rglob("*.ndjson")) for line in file.read_bytes().splitlines()]
    ends = [outcome(record(value)) for value in (*(file.read_bytes() for file in files), *lines)]
    assert len(ends) > 100
    assert all(isinstance(end, list) or end in {"unknown-envelope", "invalid-resource", "not-json"} for end in ends)


@given(st.sampled_from([file for file in FILES if not file.read_bytes().startswith((b"[", b'"'))]), st.randoms())
def test_the_order_of_fields_does_not_matter(file: Path, chance: Random) -> None:
    fields = list(orjson.loads(file.read_bytes()).items())
    chance.shuffle(fields)
    assert outcome(encoded(dict(fields))) == EXPECTED[str(file.relative_to(FIXTURES))]
