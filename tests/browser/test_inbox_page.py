from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from playwright.async_api import expect

from sidecar.demo.samples import load_samples

from .conftest import DRAFT_ID, DRAFT_TEXT, SOURCE_ID, draft_of, read_document

if TYPE_CHECKING:
    from playwright.async_api import Page

    from sidecar.demo.ehr import DemoEhr


async def test_the_inbox_shows_the_draft_beside_its_source_and_says_what_it_is(page: Page) -> None:
    await expect(page.get_by_text("Not for clinical use")).to_be_visible()
    await expect(page.get_by_role("button", name="Discharge summary")).to_have_attribute("aria-current", "true")
    await expect(page.get_by_role("group", name="Patient")).to_contain_text("Anna Example")
    await expect(page.locator("#notice")).to_contain_text("AI draft, not reviewed")
    await expect(page.locator("#draft")).to_contain_text("Transfused; hemoglobin 10.7 and stable before discharge.")
    await expect(page.locator("#source")).to_contain_text("HISTORY OF PRESENT ILLNESS: The patient is an 80-year-old")


async def test_the_draft_fits_its_pane_unwrapped(page: Page) -> None:
    await page.wait_for_selector(".evidence")
    lines = await page.locator("#draft .line").evaluate_all(
        "nodes => nodes.map((n) => [n.textContent, n.clientHeight])"
    )
    one = min(height for _, height in lines)
    assert len(lines) == len(DRAFT_TEXT.split("\n"))
    assert all(height == one for text, height in lines if len(text) <= 72)


async def test_an_evidence_mark_highlights_its_sentence_and_scrolls_to_it(page: Page) -> None:
    await page.locator("#draft").get_by_role("link", name="Evidence 7:").first.click()
    marked = page.locator("#source mark")
    await expect(marked).to_have_text("Followup CBC and INR were ordered.")
    await expect(marked).to_be_in_viewport()
    await page.locator("#draft").get_by_role("link", name="Evidence 1:").first.click()
    await expect(marked).to_have_count(1)
    await expect(marked).to_contain_text("who presented as outpatient, complaining of increasing fatigue.")
    await expect(marked).to_be_in_viewport()
    await expect(page.get_by_role("status")).to_contain_text("Evidence 1")


async def test_every_mark_of_the_draft_has_its_place_in_the_note(page: Page) -> None:
    marks = page.locator("#draft").get_by_role("link")
    await expect(marks).to_have_count(2 * 7)


async def test_signing_makes_the_draft_final(page: Page, ehr: DemoEhr) -> None:
    await page.get_by_role("button", name="Sign", exact=True).click()
    await expect(page.locator("#draft-state")).to_have_text("Final")
    await expect(page.locator("#notice")).to_contain_text("Signed by Demo Clinician")
    await expect(page.get_by_role("button", name="Sign", exact=True)).to_have_count(0)
    await expect(page.locator(".group.signed .entry")).to_have_count(1)
    await expect(page.locator(".group.unsigned")).to_contain_text("None waiting")
    document = await read_document(page, ehr, DRAFT_ID)
    assert (document["status"], document["docStatus"]) == ("current", "final")
    assert base64.b64decode(document["content"][0]["attachment"]["data"]).decode() == DRAFT_TEXT


async def test_a_draft_can_be_signed_with_the_keyboard_alone(page: Page, ehr: DemoEhr) -> None:
    await page.wait_for_selector(".evidence")
    await page.locator("#draft").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#source mark")).to_have_count(1)
    sign = page.get_by_role("button", name="Sign", exact=True)
    for _ in range(40):
        if await sign.evaluate("node => node === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#draft-state")).to_have_text("Final")
    assert (await read_document(page, ehr, DRAFT_ID))["docStatus"] == "final"


async def test_edit_and_sign_stores_the_edited_text(page: Page, ehr: DemoEhr) -> None:
    await page.get_by_role("button", name="Edit and sign").click()
    text = page.get_by_role("textbox", name="Text of the draft")
    await expect(text).to_have_value(DRAFT_TEXT)
    edited = DRAFT_TEXT.replace("admitted with", "seen for")
    await text.fill(edited)
    await page.get_by_role("button", name="Sign edited text").click()
    await expect(page.locator("#draft-state")).to_have_text("Final")
    document = await read_document(page, ehr, DRAFT_ID)
    attachment = document["content"][0]["attachment"]
    data = base64.b64decode(attachment["data"])
    assert data.decode() == edited
    assert attachment["size"] == len(data)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(data, usedforsecurity=False).digest()
    assert document["docStatus"] == "final"


async def test_cancelling_an_edit_leaves_the_draft_as_it_was(page: Page, ehr: DemoEhr) -> None:
    await page.get_by_role("button", name="Edit and sign").click()
    await page.get_by_role("textbox", name="Text of the draft").fill("nothing")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#draft")).to_contain_text("WHY ADMITTED")
    assert (await read_document(page, ehr, DRAFT_ID))["meta"]["versionId"] == "1"


async def test_discarding_asks_first(page: Page, ehr: DemoEhr) -> None:
    await page.get_by_role("button", name="Discard").click()
    await page.get_by_role("button", name="Keep it").click()
    assert (await read_document(page, ehr, DRAFT_ID))["docStatus"] == "preliminary"
    await page.get_by_role("button", name="Discard").click()
    await page.get_by_role("button", name="Discard draft").click()
    await expect(page.locator("#draft-state")).to_have_text("Discarded")
    document = await read_document(page, ehr, DRAFT_ID)
    assert (document["status"], document["docStatus"]) == ("entered-in-error", "entered-in-error")


async def test_a_draft_that_changed_meanwhile_is_not_signed(page: Page, ehr: DemoEhr) -> None:
    await page.get_by_role("button", name="Edit and sign").click()
    await page.get_by_role("textbox", name="Text of the draft").fill("mine")
    ehr.store.load(ehr.store.read("DocumentReference", DRAFT_ID).resource)
    await page.get_by_role("button", name="Sign edited text").click()
    await expect(page.get_by_role("status")).to_contain_text("newer version")
    await expect(page.get_by_role("textbox", name="Text of the draft")).to_have_value("mine")
    assert (await read_document(page, ehr, DRAFT_ID))["docStatus"] == "preliminary"


async def test_a_new_draft_appears_by_itself(page: Page, ehr: DemoEhr) -> None:
    await page.wait_for_selector(".entry")
    source = ehr.store.read("DocumentReference", "consult-sepsis").resource
    await ehr.load(draft_of(source, DRAFT_TEXT, "another"))
    await expect(page.locator(".group.unsigned .entry")).to_have_count(2)
    await expect(page.get_by_role("status")).to_contain_text("1 new draft")
    await expect(page).to_have_title("Inbox (2) - Demo EHR")


async def test_script_in_note_draft_and_names_is_text(page: Page, ehr: DemoEhr) -> None:
    attack = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    await page.wait_for_selector(".entry")
    samples = load_samples()
    source = next(document for document in samples.documents if document["id"] == SOURCE_ID)
    text = f"HISTORY: {attack} Fever."
    data = base64.b64encode(text.encode()).decode()
    await ehr.load({"resourceType": "Patient", "id": "evil", "name": [{"text": attack}]})
    await ehr.load(
        {
            **source,
            "id": "evil-source",
            "subject": {"reference": "Patient/evil"},
            "type": {"text": attack},
            "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
        }
    )
    evil = ehr.store.read("DocumentReference", "evil-source").resource
    draft = f'AI DRAFT\n- {attack} [1]\n\nWHERE IT STANDS IN THE NOTE\n[1] {attack}: "{attack}"\nengine'
    await ehr.load({**draft_of(evil, draft, "evil-draft"), "type": {"text": attack}})
    await page.locator('[data-draft="evil-draft"]').click()
    await page.locator("#draft").get_by_role("link").first.click()
    await expect(page.locator("#source mark")).to_have_text(attack)
    await expect(page.locator("#draft")).to_contain_text(f"- {attack} [1]")
    await expect(page.locator("#patient")).to_contain_text(attack)
    assert await page.evaluate("window.hit") is None
    assert await page.locator("main img, nav img, main script").count() == 0
