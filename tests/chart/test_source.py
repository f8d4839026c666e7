from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.chart.source import parse_source
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
