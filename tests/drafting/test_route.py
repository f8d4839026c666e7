"""Which documents get a draft, and the reason for those that do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidecar.note
from sidecar.drafting.route import NoteFacts, route, suits
from sidecar.errors import SkipEvent
from sidecar.mappings import Mappings, NoteType
from sidecar.note.text import NoteText
from sidecar.outcomes import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.drafting.task import Task

LOINC = "http://loinc.org"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
TODAY = date(2026, 11, 20)
GOOD = NoteFacts("current", "final", ((LOINC, "18842-5"),), (), datetime(2026, 11, 19, 8, tzinfo=UTC))
MAPPINGS = Mappings.load()


def reason(facts: NoteFacts, mappings: Mappings = MAPPINGS) -> SkipReason:
    with pytest.raises(SkipEvent) as caught:
        route(facts, mappings, today=TODAY)
    return caught.value.reason


def with_age_limit(days: int | None) -> Mappings:
    limited = {
        key: NoteType(found.system, found.code, found.display, replace(found.task, max_age_days=days))
        for key, found in MAPPINGS.note_types.items()
    }
    return replace(MAPPINGS, note_types=limited)


@pytest.mark.parametrize("doc_status", [None, "final", "amended", "corrected", "appended"])
def test_a_signed_note_of_a_mapped_type_is_drafted(doc_status: str | None) -> None:
    task: Task = route(replace(GOOD, doc_status=doc_status), MAPPINGS, today=TODAY)
    assert task.kind == "summary"


@pytest.mark.parametrize("status", ["superseded", "entered-in-error", ""])
def test_a_document_that_is_not_current_is_skipped(status: str) -> None:
    assert reason(replace(GOOD, status=status)) is SkipReason.NOT_CURRENT


@pytest.mark.parametrize("doc_status", ["entered-in-error", "cancelled", "deprecated"])
def test_a_withdrawn_text_is_skipped(doc_status: str) -> None:
    assert reason(replace(GOOD, doc_status=doc_status)) is SkipReason.NOT_CURRENT


@pytest.mark.parametrize("doc_status", ["preliminary", "registered", "partial", "unknown", "draft", ""])
def test_an_unsigned_text_is_skipped(doc_status: str) -> None:
    assert reason(replace(GOOD, doc_status=doc_status)) is SkipReason.PRELIMINARY_SOURCE


CONFIDENTIALITY_NAMES = (
    "2.16.840.1.113883.5.25",
    "urn:oid:2.16.840.1.113883.5.25",
    "URN:OID:2.16.840.1.113883.5.25",
    "http://hl7.org/fhir/v3/Confidentiality",
    "https://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|3.0.0",
)
ACT_CODE_NAMES = (ACT_CODE, "2.16.840.1.113883.5.4", "urn:oid:2.16.840.1.113883.5.4", "http://hl7.org/fhir/v3/ActCode")
TABLE_0177_NAMES = (
    "http://terminology.hl7.org/CodeSystem/v2-0177",
    "http://hl7.org/fhir/v2/0177",
    "urn:oid:2.16.840.1.113883.12.177",
)


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (CONFIDENTIALITY, "R"),
        (CONFIDENTIALITY, "V"),
        ("http://hl7.org/fhir/v3/Confidentiality", "V"),
        ("urn:oid:2.16.840.1.113883.5.25", "R"),
        ("", "R"),
        (ACT_CODE, "42CFRPart2"),
        (ACT_CODE, "PSYTHPN"),
        (ACT_CODE, "ETH"),
        (ACT_CODE, "HIV"),
        (ACT_CODE, "SDV"),
        (ACT_CODE, "ADOL"),
        (ACT_CODE, "OPTOUT"),
        (f"{ACT_CODE}/", "psy"),
        *((name, "R") for name in CONFIDENTIALITY_NAMES),
        *((CONFIDENTIALITY, code) for code in ("ETH", "HIV", "PSY", "SDV", "S", "T")),
        *((name, code) for name in ACT_CODE_NAMES for code in ("ETH", "TABOO", "TBOO", "42CFRPart2")),
        *((name, code) for name in TABLE_0177_NAMES for code in ("V", "AID", "PSY")),
        *((name, code) for name in ("urn:hospital:labels", "*") for code in ("42CFRPart2", "42cfrpart2")),
        *(("", code) for code in ("V", "ETH", "PSY", "HIV", "TABOO", "42CFRPart2")),
    ],
)
def test_a_restricted_label_forbids_a_draft(system: str, code: str) -> None:
    labels = ((CONFIDENTIALITY, "N"), (system, code))
    assert reason(replace(GOOD, security=labels)) is SkipReason.RESTRICTED


@pytest.mark.parametrize(
    "label",
    [(CONFIDENTIALITY, "N"), (CONFIDENTIALITY, "L"), (ACT_CODE, "TREAT"), ("urn:other", "R"), ("", "N"), ("", "T")],
)
def test_other_labels_do_not(label: tuple[str, str]) -> None:
    assert route(replace(GOOD, security=(label,)), MAPPINGS, today=TODAY)


@pytest.mark.parametrize("types", [(), ((LOINC, "11502-2"),), (("urn:local", "18842-5"),)])
def test_a_type_without_a_mapping_is_skipped(types: tuple[tuple[str, str], ...]) -> None:
    assert reason(replace(GOOD, types=types)) is SkipReason.TYPE_NOT_MAPPED


def test_the_first_type_with_a_mapping_decides() -> None:
    facts = replace(GOOD, types=(("urn:local", "7"), (LOINC, "34117-2"), (LOINC, "51847-2")))
    assert route(facts, MAPPINGS, today=TODAY) == MAPPINGS.note_types[LOINC, "34117-2"].task


def test_a_note_older_than_the_limit_is_skipped_and_one_at_the_limit_is_not() -> None:
    mappings = with_age_limit(30)
    limit = datetime(2026, 10, 21, 23, 30, tzinfo=UTC)
    assert route(replace(GOOD, date=limit), mappings, today=TODAY)
    assert reason(replace(GOOD, date=limit - timedelta(days=1)), mappings) is SkipReason.TOO_OLD


def test_age_is_counted_in_days_of_utc() -> None:
    mappings = with_age_limit(30)
    east = datetime(2026, 10, 21, 1, tzinfo=timezone(timedelta(hours=9)))  # still the 20th in UTC
    assert reason(replace(GOOD, date=east), mappings) is SkipReason.TOO_OLD


def test_age_does_not_count_without_a_date_a_limit_or_a_day_of_today() -> None:
    old = datetime(1990, 1, 1, tzinfo=UTC)
    assert route(replace(GOOD, date=None), with_age_limit(1), today=TODAY)
    assert route(replace(GOOD, date=old), with_age_limit(None), today=TODAY)
    assert route(replace(GOOD, date=old), with_age_limit(1), today=None)


FAULTS = {
    SkipReason.NOT_CURRENT: {"status": "superseded"},
    SkipReason.PRELIMINARY_SOURCE: {"doc_status": "preliminary"},
    SkipReason.RESTRICTED: {"security": ((CONFIDENTIALITY, "R"),)},
    SkipReason.TYPE_NOT_MAPPED: {"types": ()},
    SkipReason.TOO_OLD: {"date": datetime(2020, 1, 1, tzinfo=UTC)},
}


@given(st.sets(st.sampled_from(list(FAULTS)), min_size=1))
def test_the_first_reason_in_the_documented_order_is_given(faults: set[SkipReason]) -> None:
    facts = GOOD
    for fault in faults:
        facts = replace(facts, **FAULTS[fault])
    assert reason(facts, with_age_limit(30)) is next(found for found in FAULTS if found in faults)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, str], None]:
    """Fix what the note room says of a text: whether it is an empty template, and its language."""

    def fix(empty: bool, language: str) -> None:
        monkeypatch.setattr(sidecar.note, "is_empty_template", lambda _: empty)
        monkeypatch.setattr(sidecar.note, "language", lambda _: language)

    return fix


def unsuited(words: int) -> SkipReason:
    task = MAPPINGS.note_types[LOINC, "11506-3"].task
    with pytest.raises(SkipEvent) as caught:
        suits(NoteText("word " * words, "text/plain", None), replace(task, min_words=20))
    return caught.value.reason


def test_a_text_that_is_worth_a_draft_passes(judged: Callable[[bool, str], None]) -> None:
    judged(False, "en")
    task = MAPPINGS.note_types[LOINC, "11506-3"].task
    suits(NoteText("word " * 20, "text/plain", None), replace(task, min_words=20))


@pytest.mark.parametrize(
    ("empty", "language", "words", "expected"),
    [
        (True, "de", 5, SkipReason.EMPTY_TEMPLATE),
        (False, "de", 19, SkipReason.TOO_LITTLE),
        (False, "de", 20, SkipReason.LANGUAGE),
        (False, "und", 20, SkipReason.LANGUAGE),
    ],
)
def test_a_text_that_is_not_names_the_first_reason(
    judged: Callable[[bool, str], None], empty: bool, language: str, words: int, expected: SkipReason
) -> None:
    judged(empty, language)
    assert unsuited(words) is expected
