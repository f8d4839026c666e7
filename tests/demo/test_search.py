from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.demo.search import parse_search
from sidecar.demo.store import Store

from .conftest import note

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from sidecar.demo.ehr import DemoEhr

START = datetime(2026, 11, 20, 23, 59, 58, tzinfo=UTC)


def ticking(start: datetime, step: timedelta) -> Callable[[], datetime]:
    moments = iter(start + step * n for n in range(10_000))
    return lambda: next(moments)


@pytest.fixture
async def charted(ehr: DemoEhr, fhir: httpx.AsyncClient) -> httpx.AsyncClient:
    """Four documents of two patients."""
    loinc = "http://loinc.org"
    documents = [
        note(id="progress", identifier=[{"system": "urn:a", "value": "1"}], docStatus="final"),
        note(
            id="draft",
            identifier=[{"system": "urn:b", "value": "1"}],
            docStatus="preliminary",
            meta={
                "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}]
            },
            context={
                "encounter": [{"reference": "Encounter/e1"}],
                "related": [{"reference": "DocumentReference/progress"}],
            },
        ),
        note(
            id="consult",
            subject={"reference": f"{ehr.base_url}/Patient/p2"},
            type={"coding": [{"system": loinc, "code": "11488-4"}, {"system": "urn:local", "code": "C1"}]},
            masterIdentifier={"value": "bare"},
        ),
        note(
            id="old",
            status="superseded",
            docStatus=None,
            type={"coding": [{"code": "11506-3"}]},
            subject={"reference": "Group/p1"},
        ),
    ]
    for document in documents:
        await ehr.load(document)
    return fhir


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "progress draft consult old"),
        ("patient=p1", "progress draft"),
        ("patient=Patient/p1", "progress draft"),
        ("patient=p2", "consult"),
        ("patient=p1,p2", "progress draft consult"),
        ("subject=Patient/p2", "consult"),
        ("subject=Group/p1", "old"),
        ("encounter=e1", "draft"),
        ("related=DocumentReference/progress", "draft"),
        ("identifier=urn:a|1", "progress"),
        ("identifier=1", "progress draft"),
        ("identifier=urn:b|", "draft"),
        ("identifier=|bare", "consult"),
        ("identifier=|1", ""),
        ("type=11506-3", "progress draft old"),
        ("type=http://loinc.org|11506-3", "progress draft"),
        ("type=|11506-3", "old"),
        ("type=urn:local|C1", "consult"),
        ("type=http://loinc.org|C1", ""),
        ("type=11506-3,11488-4&status=current", "progress draft consult"),
        ("status=superseded", "old"),
        ("doc-status=preliminary", "draft"),
        ("doc-status=final,preliminary", "progress draft consult"),
        ("status=current&status=superseded", ""),
        ("_id=old,consult,nothing", "consult old"),
        ("_security=AIAST", "draft"),
        ("_lastUpdated=ge2026-01-01", "progress draft consult old"),
        ("_lastUpdated=lt2026-01-01", ""),
        ("_sort=_lastUpdated", "progress draft consult old"),
        ("_sort=-_lastUpdated", "old consult draft progress"),
    ],
)
async def test_a_search_finds_what_it_names(charted: httpx.AsyncClient, query: str, found: str) -> None:
    answer = await charted.get(f"DocumentReference?{query}")
    assert answer.status_code == 200
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    ids = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert bundle["total"] == len(ids)
    assert (ids if "_sort" in query else sorted(ids)) == (found.split() if "_sort" in query else sorted(found.split()))


async def test_an_absolute_reference_to_this_server_means_the_relative_one(
    charted: httpx.AsyncClient, ehr: DemoEhr
) -> None:
    for patient, count in (("p1", 2), ("p2", 1)):
        answer = await charted.get("DocumentReference", params={"patient": f"{ehr.base_url}/Patient/{patient}"})
        assert answer.json()["total"] == count


@pytest.mark.parametrize(
    "query",
    [
        "colour=blue",
        "patient:missing=true",
        "type:not=11506-3",
        "_include=DocumentReference:subject",
        "_sort=date",
        "_count=many",
        "_count=-1",
        "_lastUpdated=yesterday",
        "_lastUpdated=ge",
        "patient=",
        "type=a,,b",
        "_cursor=x",
        "author=abc",
    ],
)
async def test_a_query_that_would_be_wider_than_asked_is_refused(charted: httpx.AsyncClient, query: str) -> None:
    answer = await charted.get(f"DocumentReference?{query}")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_an_update_moves_a_document_from_one_search_to_another(charted: httpx.AsyncClient) -> None:
    draft = (await charted.get("DocumentReference/draft")).json()
    await charted.put("DocumentReference/draft", json={**draft, "docStatus": "final"})
    assert (await charted.get("DocumentReference?doc-status=preliminary")).json()["total"] == 0


async def test_the_next_link_leads_through_every_document_once(charted: httpx.AsyncClient) -> None:
    url, pages = "DocumentReference?_count=3&_sort=-_lastUpdated", []
    while url:
        bundle = (await charted.get(url)).json()
        assert bundle["total"] == 4
        pages.append([entry["resource"]["id"] for entry in bundle["entry"]])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert pages == [["old", "consult", "draft"], ["progress"]]


@given(count=st.integers(1, 7), total=st.integers(0, 15), same_instant=st.booleans(), descending=st.booleans())
def test_pages_cover_every_document_once_in_order(count: int, total: int, same_instant: bool, descending: bool) -> None:
    store = Store(now=ticking(START, timedelta(0 if same_instant else 1)))
    for number in range(total):
        store.load(note(id=f"n{number:02}"))
    query = [("_count", str(count)), ("_sort", "-_lastUpdated" if descending else "_lastUpdated")]
    seen: list[str] = []
    cursor: list[tuple[str, str]] = []
    while True:
        page = store.search("DocumentReference", parse_search("DocumentReference", "", query + cursor))
        seen += [version.id for version in page.versions]
        if page.next_after is None:
            break
        cursor = [("_cursor", str(page.next_after))]
    store.close()
    expected = [f"n{number:02}" for number in range(total)]
    assert seen == (expected[::-1] if descending else expected)


@pytest.mark.parametrize(
    ("value", "found"),
    [  # writes at 23:59:58, 23:59:59 and 00:00:00 of the next day
        ("2026-11-20", [0, 1]),
        ("gt2026-11-20", [2]),
        ("ge2026-11-21", [2]),
        ("lt2026-11-21", [0, 1]),
        ("le2026-11-20", [0, 1]),
        ("ne2026-11-20", [2]),
        ("ge2026-11-20T23:59:59Z", [1, 2]),
        ("gt2026-11-20T23:59:59Z", [2]),
        ("gt2026-11-20T23:59:58.000Z", [1, 2]),
        ("le2026-11-20T23:59:59", [0, 1]),
        ("ge2026-11-21T01:00:00+01:00", [2]),
        ("lt2026-11-20T18:59:59-05:00", [0]),
    ],
)
def test_last_updated_compares_with_the_whole_interval_of_the_value(value: str, found: list[int]) -> None:
    store = Store(now=ticking(START, timedelta(seconds=1)))
    for number in range(3):
        store.load(note(id=str(number)))
    page = store.search("DocumentReference", parse_search("DocumentReference", "", [("_lastUpdated", value)]))
    store.close()
    assert [int(version.id) for version in page.versions] == found


def test_the_clock_of_the_store_never_runs_backwards() -> None:
    store = Store(now=ticking(START, timedelta(seconds=-5)))
    versions = [store.load(note(id="n")) for _ in range(3)]
    store.close()
    assert len({version.last_updated for version in versions}) == 1


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc|,\\/:", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["reference", "coding", "code", "system", "value", "encounter", "security"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["subject", "identifier", "type", "status", "docStatus", "meta", "context", "author"]), JSON
    )
)
def test_a_resource_of_any_shape_can_be_loaded_and_listed(parts: dict[str, Any]) -> None:
    store = Store()
    store.load({"resourceType": "DocumentReference", "id": "odd", **parts})
    page = store.search("DocumentReference", parse_search("DocumentReference", "", []))
    (event,) = store.pending_events(5)
    store.close()
    assert page.total == 1
    assert event.key
