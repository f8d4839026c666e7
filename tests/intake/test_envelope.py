from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelope import lane_key, read_record
from sidecar.intake.record import Record
from sidecar.references import parse_reference

DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "meta": {"versionId": "4"},
    "status": "current",
    "subject": {"reference": "Patient/p1"},
}


def record(value: object, key: bytes | None = None) -> Record:
    data = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    return Record("t", 0, 7, key, data)


def notification(kind: str, *entries: dict[str, object], focus: tuple[str, ...] = ("DocumentReference/d1",)) -> dict:
    events = [
        {"name": "notification-event", "part": [{"name": "focus", "valueReference": {"reference": item}}]}
        for item in focus
    ]
    status = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": kind}, *events]}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}, *entries]}


def test_a_bare_resource_is_one_event_with_its_version() -> None:
    (event,) = read_record(record(DOCUMENT))
    assert (event.reference, event.version_id, event.resource) == ("DocumentReference/d1", "4", DOCUMENT)


def test_a_byte_order_mark_is_not_a_reason_to_fail() -> None:
    (event,) = read_record(record(b"\xef\xbb\xbf" + orjson.dumps(DOCUMENT)))
    assert event.id == "d1"


def test_a_null_value_is_a_no_op() -> None:
    assert read_record(record(None)) == ()


@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "query-status", "query-event"])
def test_notifications_without_events_are_no_ops(kind: str) -> None:
    assert read_record(record(notification(kind))) == ()


def test_an_id_only_notification_names_the_document() -> None:
    focus = ("https://ehr.example/fhir/DocumentReference/d1/_history/3",)
    (event,) = read_record(record(notification("event-notification", focus=focus)))
    assert (event.reference, event.version_id, event.resource) == ("DocumentReference/d1", "3", None)


def test_a_full_notification_carries_the_resource() -> None:
    entry = {"resource": DOCUMENT, "request": {"method": "PUT", "url": "DocumentReference/d1"}}
    (event,) = read_record(record(notification("event-notification", entry)))
    assert event.resource == DOCUMENT


def test_one_notification_may_carry_several_events_in_order() -> None:
    focus = ("DocumentReference/d1", "DocumentReference/d2", "Patient/p1")
    events = read_record(record(notification("event-notification", focus=focus)))
    assert [event.reference for event in events] == list(focus)


def test_a_delete_in_a_notification_is_a_retraction() -> None:
    entry = {"request": {"method": "DELETE", "url": "DocumentReference/d1"}}
    (event,) = read_record(record(notification("event-notification", entry)))
    assert event.retracted


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b'{"a": NaN}', "not-json"),
        (b'{"a": "\\ud800"}', "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"1", "unknown-envelope"),
        (b"[]", "unknown-envelope"),
        (b'"text"', "unknown-envelope"),
        (b"{}", "unknown-envelope"),
        (b'{"resourceType": 5}', "unknown-envelope"),
        (b'{"resourceType": "Bundle", "type": "transaction", "entry": []}', "unknown-envelope"),
        (b'{"resourceType": "DocumentReference"}', "invalid-resource"),
        (b'{"resourceType": "DocumentReference", "id": 5}', "invalid-resource"),
        (b'{"resourceType": "DocumentReference", "id": "../Patient/1"}', "invalid-resource"),
        (b'{"resourceType": "../x", "id": "1"}', "invalid-resource"),
    ],
)
def test_what_cannot_be_read_has_a_code(value: bytes, code: str) -> None:
    with pytest.raises(DeadLetterEvent) as caught:
        read_record(record(value))
    assert caught.value.reason.value == code


def test_a_focus_that_is_no_reference_is_invalid() -> None:
    with pytest.raises(DeadLetterEvent, match="invalid-resource"):
        read_record(record(notification("event-notification", focus=("nonsense",))))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceType", "id", "meta", "entry", "resource", "parameter", "part", "name", "request"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(json_values | st.binary(max_size=40))
def test_no_message_does_more_than_end_in_events_or_a_code(value: object) -> None:
    try:
        events = read_record(record(value))
    except DeadLetterEvent:
        return
    assert all(event.id for event in events)


@given(json_values)
def test_a_notification_of_any_content_never_crashes(value: object) -> None:
    message = notification("event-notification", {"resource": value, "request": value}, focus=("Patient/1",))
    message["entry"][0]["resource"]["parameter"].append({"name": "notification-event", "part": value})
    try:
        read_record(record(message))
    except DeadLetterEvent:
        return


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("DocumentReference/1", ("DocumentReference", "1", None)),
        ("https://e/fhir/DocumentReference/1/_history/2", ("DocumentReference", "1", "2")),
        ("urn:uuid:1", None),
        ("", None),
    ],
)
def test_references_are_split(reference: str, expected: object) -> None:
    assert parse_reference(reference) == expected


def test_lanes_follow_the_key_then_the_patient_then_the_document() -> None:
    assert lane_key(record(DOCUMENT, b"k")) == "k"
    assert lane_key(record(DOCUMENT)) == "Patient/p1"
    assert lane_key(record(notification("event-notification"))) == "DocumentReference/d1"
    assert lane_key(record(b"{")) == "t:0:7"
