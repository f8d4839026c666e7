"""The cheap look says nothing, or exactly what the whole path would say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.chart.draft import DRAFT_SYSTEM
from sidecar.chart.source import DOC_STATUSES, STATUSES, parse_source
from sidecar.drafting.route import NoteFacts, route
from sidecar.errors import DeadLetterEvent, SkipEvent
from sidecar.intake.envelope import read_record
from sidecar.intake.peek import SkipRules, peek
from sidecar.intake.record import DocumentEvent, Record
from sidecar.mappings import Mappings
from sidecar.observe import own_draft_id
from sidecar.outcomes import SkipReason
from tests.support.notes import document

MAPPINGS = Mappings.load()
RULES = SkipRules(MAPPINGS.note_types.keys(), DRAFT_SYSTEM)
UNMAPPED = {"coding": [{"system": "http://loinc.org", "code": "69730-0"}]}
CONFIDENTIAL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}


def whole_path(message: object) -> SkipReason | str:
    """Say how the pipeline ends for a record with this value, as far as it goes without EHR and ledger."""
    try:
        events = read_record(Record("t", 0, 0, None, orjson.dumps(message)))
        return pipeline_end(events[0]) if len(events) == 1 else "several"
    except DeadLetterEvent as end:
        return end.reason.value
    except SkipEvent as end:
        return end.reason


def pipeline_end(event: DocumentEvent) -> SkipReason | str:
    if event.resource_type != "DocumentReference":
        return SkipReason.TYPE_NOT_MAPPED
    if event.resource is None or event.version_id is None or not event.resource.get("content"):
        return "the EHR is read"
    if own_draft_id(event.resource) is not None:
        return "observed"
    note = parse_source(event.resource)
    route(NoteFacts(note.status, note.doc_status, note.types, note.security, note.date), MAPPINGS, today=None)
    return "drafted"


@pytest.mark.parametrize(
    ("message", "reason", "takes_back"),
    [
        (document(status="superseded"), SkipReason.NOT_CURRENT, True),
        (document(status="entered-in-error", type=UNMAPPED), SkipReason.NOT_CURRENT, True),
        (document(docStatus="cancelled"), SkipReason.NOT_CURRENT, True),
        (document(docStatus="preliminary"), SkipReason.PRELIMINARY_SOURCE, True),
        (document(docStatus="unknown"), SkipReason.PRELIMINARY_SOURCE, True),
        (document(type=UNMAPPED), SkipReason.TYPE_NOT_MAPPED, False),
        (document(type={"text": "local"}), SkipReason.TYPE_NOT_MAPPED, False),
        (document(type=None, docStatus="final"), SkipReason.TYPE_NOT_MAPPED, False),
        (
            document(type=UNMAPPED, identifier=[{"system": "urn:other", "value": "1"}]),
            SkipReason.TYPE_NOT_MAPPED,
            False,
        ),
        ({"resourceType": "Observation", "id": "o1"}, SkipReason.TYPE_NOT_MAPPED, False),
    ],
)
def test_what_is_surely_skipped_is_seen(message: dict[str, Any], reason: SkipReason, takes_back: bool) -> None:
    hint = peek(message, RULES)
    assert hint is not None
    assert (hint.reference, hint.reason, hint.takes_back) == (
        f"{message['resourceType']}/{message['id']}",
        reason,
        takes_back,
    )


@pytest.mark.parametrize(
    "message",
    [
        document(),
        document(docStatus="final"),
        document(type=UNMAPPED, identifier=[{"system": DRAFT_SYSTEM, "value": "x"}]),
        document(status="entered-in-error", identifier=[{"value": "1"}, {"system": DRAFT_SYSTEM, "value": "x"}]),
        document(type=UNMAPPED, securityLabel=[CONFIDENTIAL]),
        document(type=UNMAPPED, meta={"versionId": "1", "security": CONFIDENTIAL["coding"]}),
        document(type=UNMAPPED, meta={"lastUpdated": "2026-01-01T00:00:00Z"}),
        document(type=UNMAPPED, content=[]),
        document(type=UNMAPPED, status="draft"),
        document(type=UNMAPPED, docStatus={"coding": []}),
        document(type=UNMAPPED, id="../1"),
        document(type=UNMAPPED, subject="Patient/1"),
        document(type=UNMAPPED, context="Encounter/1"),
        document(type={"coding": "18842-5"}),
        document(type=UNMAPPED, context={"encounter": "Encounter/1"}),
        {**document(type=UNMAPPED), "__deleted": "true"},
        {"resourceType": "Bundle", "id": "b1"},
        {"resourceType": "Patient", "id": "p1", "resourceFhirId": "p2"},
        {"resourceType": "pa tient", "id": "p1"},
        [document(type=UNMAPPED)],
        None,
    ],
)
def test_what_others_must_see_is_left_to_them(message: object) -> None:
    assert peek(message, RULES) is None


CODES = st.sampled_from([None, "", 5, [], {}, "x", "18842-5", "69730-0"])
CODINGS = st.fixed_dictionaries(
    {}, optional={"system": st.sampled_from(["http://loinc.org", "", None, 5]), "code": CODES, "display": CODES}
)
CONCEPTS = st.fixed_dictionaries({}, optional={"coding": st.lists(CODINGS, max_size=3) | CODES, "text": CODES})
IDENTIFIERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "system": st.sampled_from([DRAFT_SYSTEM, "urn:o", None, 5]),
            "value": st.sampled_from(["v", 5, None]),
        },
    )
    | st.none(),
    max_size=3,
)
FIELDS = {
    "resourceType": st.sampled_from(["DocumentReference", "Observation", "Bundle", "x y"]),
    "id": st.sampled_from(["d1", "", "a b", 5]),
    "meta": st.fixed_dictionaries(
        {}, optional={"versionId": CODES, "lastUpdated": CODES, "security": st.lists(CODINGS, max_size=2) | CODES}
    )
    | CODES,
    "status": st.sampled_from([*sorted(STATUSES), "draft", 5, ""]),
    "docStatus": st.sampled_from([*sorted(DOC_STATUSES), "", "draft", 5]) | CODES,
    "type": CONCEPTS | st.just(UNMAPPED) | CODES,
    "securityLabel": st.lists(CONCEPTS | st.just(CONFIDENTIAL), max_size=2) | CODES,
    "identifier": IDENTIFIERS | CODES,
    "subject": st.fixed_dictionaries({}, optional={"reference": CODES}) | CODES,
    "context": st.fixed_dictionaries({}, optional={"encounter": CODES, "period": CODES}) | st.lists(CODES) | CODES,
    "content": st.sampled_from([[], None, "x", {}]),
    "date": CODES,
    "__deleted": st.just("true"),
    "resourceFhirId": st.just("d2"),
}
CHANGES = st.lists(
    st.one_of([st.tuples(st.just(name), values) for name, values in FIELDS.items()]), min_size=1, max_size=3
).map(dict)


@given(CHANGES, st.booleans())
def test_a_hint_is_the_reason_that_the_whole_path_gives(changes: dict[str, Any], unmapped: bool) -> None:
    message = {**document(**({"type": UNMAPPED} if unmapped else {})), **changes}
    hint = peek(message, RULES)
    assert hint is None or hint.reason is whole_path(message)


@given(st.sampled_from(sorted(STATUSES)), st.sampled_from([None, *sorted(DOC_STATUSES)]), st.booleans())
def test_no_plain_skip_of_a_document_is_missed(status: str, doc_status: str | None, mapped: bool) -> None:
    message = document(status=status, docStatus=doc_status, **({} if mapped else {"type": UNMAPPED}))
    hint = peek(message, RULES)
    assert (hint.reason if hint else "drafted") == whole_path(message)
