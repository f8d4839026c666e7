"""A demo EHR with one hand-filed draft, and Debian's chromium looking at it."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from playwright.async_api import async_playwright

from sidecar.demo.ehr import DemoEhr, demo_ehr
from sidecar.demo.samples import load_samples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

SOURCE_ID = "gi-bleed-discharge-summary"
DRAFT_ID = "draft-of-gi-bleed"
DRAFT_TEXT = """\
AI DRAFT - NOT REVIEWED. Check against the note before signing.
Summary of Discharge summary, 2026-11-20 (version 1)

WHY ADMITTED
- 80-year-old woman with atrial fibrillation, on Coumadin, admitted with
  increasing fatigue. [1]
- CBC revealed microcytic anemia with hemoglobin of 8.9. [2]
HOSPITAL COURSE
- Upper endoscopy: erosive gastritis. Colonoscopy: diverticulosis, and a
  polyp, which was resected. [3][4]
- Transfused; hemoglobin 10.7 and stable before discharge. [5]
MEDICATION CHANGES
- Per the note: Coumadin held in hospital and for three more days after
  discharge, then to be resumed. [6]
NOT CARRIED OVER - check in the note
! Follow-up: followup CBC and INR were ordered [7]
REMOVED BY CHECKS: 1 statement (number not in the note)

WHERE IT STANDS IN THE NOTE
[1] HISTORY OF PRESENT ILLNESS: "The patient is an 80-year-old white
    female with history of atrial fibrillation, on Coumadin, who ..."
[2] HISTORY OF PRESENT ILLNESS: "CBC revealed microcytic anemia with
    hemoglobin of 8.9."
[3] HOSPITAL COURSE: "The patient underwent upper endoscopy performed by
    Dr. A, which revealed erosive gastritis."
[4] HOSPITAL COURSE: "Colonoscopy did reveal diverticulosis as well as
    polyp, which was resected."
[5] HOSPITAL COURSE: "She was transfused, and prior to discharge
    hemoglobin was stable at 10.7."
[6] HOSPITAL COURSE: "Coumadin was held during hospital stay and
    recommendations were given by GI to hold Coumadin for ..."
[7] FOLLOWUP: "Followup CBC and INR were ordered."
extractive 0.1.0 3f9c2a71, recipe 8d21aa04, draft 5b7e0c9e-22d1-5c8e-9c55
"""


def draft_of(source: dict[str, Any], text: str, draft_id: str) -> dict[str, Any]:
    """Return a preliminary draft as the sidecar files it."""
    return {
        "resourceType": "DocumentReference",
        "id": draft_id,
        "meta": {
            "security": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"},
            ]
        },
        "status": "current",
        "docStatus": "preliminary",
        "type": {"coding": [{"system": "http://loinc.org", "code": "68608-9"}], "text": "Summary note"},
        "subject": source["subject"],
        "date": source["date"],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(text.encode()).decode(),
                }
            }
        ],
        "context": {
            "encounter": source["context"]["encounter"],
            "related": [{"reference": f"DocumentReference/{source['id']}"}],
        },
    }


@pytest.fixture
async def ehr() -> AsyncIterator[DemoEhr]:
    """Sample charts, and one draft that waits for a signature."""
    samples = load_samples()
    async with demo_ehr() as running:
        for resource in (*samples.chart, *samples.documents):
            await running.load(resource)
        source = next(document for document in samples.documents if document["id"] == SOURCE_ID)
        await running.load(draft_of(source, DRAFT_TEXT, DRAFT_ID))
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium on PATH: apt-get install chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield running
        await running.close()


@pytest.fixture
async def page(browser: Browser, ehr: DemoEhr) -> AsyncIterator[Page]:
    """The inbox at 1280x800, in English, with nothing in the console that is an error."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    opened = await context.new_page()
    opened.set_default_timeout(15_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    await opened.goto(ehr.inbox_url)
    yield opened
    await context.close()
    assert not faults


async def read_document(page: Page, ehr: DemoEhr, document_id: str) -> dict[str, Any]:
    answer = await page.request.get(f"{ehr.base_url}/DocumentReference/{document_id}")
    document: dict[str, Any] = orjson.loads(await answer.body())
    return document
