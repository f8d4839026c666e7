from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.period import Period
from hypothesis import given
from hypothesis import strategies as st

from sidecar.chart.source import content_digest, parse_source
from sidecar.errors import DeadLetterEvent

DOCUMENT: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "meta": {"versionId": "4", "security": [{"system": "s", "code": "R"}]},
    "status": "current",
    "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5", "display": "Discharge summary"}]},
    "securityLabel": [{"coding": [{"code": "V"}]}],
    "subject": {"reference": "Patient/p1"},
    "date": "2026-11-20T10:00:00Z",
    "context": {"encounter": [{"reference": "Encounter/e1"}], "period": {"start": "2026-11-19"}},
}


def test_the_elements_that_decide_are_read() -> None:
    source = parse_source(DOCUMENT)
    assert (source.id, source.version, source.status, source.doc_status) == ("d1", "4", "current", None)
    assert source.types == (("http://loinc.org", "18842-5"),)
    assert source.security == (("s", "R"), ("", "V"))
    assert (source.subject, source.encounter) == ("Patient/p1", "Encounter/e1")
    assert source.type_display == "Discharge summary"


def test_the_resource_is_kept_as_it_came() -> None:
    assert parse_source({**DOCUMENT, "vendorField": {"x": 1}}).resource["vendorField"] == {"x": 1}


def test_r5_and_epic_shapes_of_context_give_the_encounter() -> None:
    assert parse_source({**DOCUMENT, "context": [{"reference": "Encounter/e2"}]}).encounter == "Encounter/e2"
    epic = {**DOCUMENT, "context": {"encounter": {"reference": "Encounter/e3"}}}
    assert parse_source(epic).encounter == "Encounter/e3"


def test_version_falls_back_to_time_stamp_then_to_content() -> None:
    stamped = parse_source({**DOCUMENT, "meta": {"lastUpdated": "2026-11-20T10:00:00Z"}})
    assert stamped.version == "2026-11-20T10:00:00Z"
    bare = {name: value for name, value in DOCUMENT.items() if name != "meta"}
    assert parse_source(bare).version == parse_source({**bare, "text": {"div": "x"}}).version
    assert parse_source(bare).version != parse_source({**bare, "status": "superseded"}).version


@pytest.mark.parametrize(
    ("start", "kept"),
    [
        *((whole, whole) for whole in ("2026", "2026-11", "2026-11-19", "2026-11-19T10:00:00Z")),
        *((whole, whole) for whole in ("2026-11-19T10:00:00.123456789-05:00", "2026-12-31T23:59:60+14:00")),
        ("2026-11-19T10:00:00", "2026-11-19"),
        ("2026-11-19T10:00Z", "2026-11-19"),
        ("2026-11-19T24:00:00Z", "2026-11-19"),
        ("2026-11-19T", "2026-11-19"),
        *((odd, None) for odd in ("", "20261119", "2026-02-30", "2026-13", "0000", "2026-11T10:00:00Z", "19.11.2026")),
        *((odd, None) for odd in ("2026-W47", "2026-11-19 ", "\u0662\u0660\u0662\u0666", 2026, None, ["2026"], {})),
    ],
)
def test_a_period_keeps_what_fhir_can_hold(start: object, kept: str | None) -> None:
    period = parse_source({**DOCUMENT, "context": {"period": {"start": start, "end": "2026-12"}}}).period
    assert period == ({"end": "2026-12"} if kept is None else {"start": kept, "end": "2026-12"})
    assert Period.model_validate(period)


@pytest.mark.parametrize("period", [{}, {"start": ""}, {"start": 5, "end": "x"}, {"extension": []}])
def test_a_period_without_any_date_is_none(period: dict[str, Any]) -> None:
    assert parse_source({**DOCUMENT, "context": {"period": period}}).period is None


@given(st.text(max_size=30) | st.from_regex(r"\d{1,4}(-\d\d?){0,2}(T\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?)?"))
def test_every_period_that_is_kept_passes_the_model_that_we_send_by(value: str) -> None:
    period = parse_source({**DOCUMENT, "context": {"period": {"start": value}}}).period
    assert period is None or Period.model_validate(period)


@pytest.mark.parametrize("value", [2**70, "\ud800", [[[]]]])
def test_content_that_orjson_does_not_write_has_its_digest(value: object) -> None:
    for _ in range(300):
        value = [value]
    one, other = content_digest({"a": value, "b": 1}), content_digest({"b": 1, "a": value})
    assert one == other
    assert one != content_digest({"a": [value], "b": 1})


def test_content_nested_without_end_is_an_invalid_resource() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(DeadLetterEvent, match="invalid-resource"):
        content_digest({"a": value})


@pytest.mark.parametrize(
    "change",
    [
        {"docStatus": {"coding": [{"code": "final"}]}},
        {"docStatus": "draft"},
        {"docStatus": 3},
        {"status": "active"},
        {"status": None},
        {"id": None},
        {"type": "18842-5"},
        {"type": {"coding": {"code": "x"}}},
        {"subject": "Patient/1"},
        {"subject": {"reference": 5}},
        {"meta": []},
        {"securityLabel": {"coding": []}},
        {"context": "x"},
    ],
)
def test_a_wrong_shape_is_an_invalid_resource(change: dict[str, Any]) -> None:
    with pytest.raises(DeadLetterEvent, match="invalid-resource"):
        parse_source({**DOCUMENT, **change})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "reference", "code", "system", "encounter"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(DOCUMENT)), values))
def test_any_damage_is_read_or_refused_but_never_crashes(damage: dict[str, Any]) -> None:
    try:
        parse_source({**DOCUMENT, **damage})
    except DeadLetterEvent:
        return
