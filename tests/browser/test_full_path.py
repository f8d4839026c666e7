"""From a Kafka event to a signature in the browser, and the ledger knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from playwright.async_api import expect

from sidecar.demo.run import open_demo
from sidecar.ledger.ledger import State
from sidecar.ledger.sql import open_ledger
from sidecar.outcomes import Filed

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from sidecar.demo.run import Demo


async def wait_for_drafts(demo: Demo) -> dict[str, str]:
    """Wait until every sample has its outcome; return the draft of each source."""
    assert await demo.watch.wait_for(lambda: demo.watch.outcomes.keys() >= set(demo.sources))
    outcomes = demo.watch.outcomes
    return {source: end.target for source, end in outcomes.items() if isinstance(end, Filed)}


async def test_a_clinician_follows_the_evidence_signs_and_the_ledger_shows_it(browser: Browser) -> None:
    lines: list[str] = []
    async with open_demo(None, 0, lines.append) as demo:
        target = (await wait_for_drafts(demo))["DocumentReference/gi-bleed-discharge-summary"]
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
        await page.goto(f"{demo.ehr.inbox_url}#{target.partition('/')[2]}")
        await expect(page.locator("#draft")).to_contain_text("AI DRAFT - NOT REVIEWED")
        marks = page.locator("#draft .evidence")
        assert await marks.count() > 5
        for number in range(await marks.count()):
            await marks.nth(number).click()
            await expect(page.locator("#source mark").first).to_be_visible()
        await page.get_by_role("button", name="Sign", exact=True).click()
        await expect(page.locator("#draft-state")).to_have_text("Final")
        assert await demo.watch.wait_for(lambda: demo.watch.observed.get(target) == "signed")
        assert await ledger_state(demo.ledger, target) is State.SIGNED
        await page.close()


async def ledger_state(path: Path, target: str) -> State | None:
    async with asyncio.timeout(10), open_ledger(f"sqlite:///{path}") as ledger:
        entry = await ledger.find_draft(target)
        return entry.state if entry else None
