"""Take the README's picture: `python -m tests.browser.picture` runs the demo and looks at it with chromium."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from playwright.async_api import async_playwright

from sidecar.demo.run import open_demo
from tests.browser.test_full_path import wait_for_drafts

PICTURE = Path(__file__).parents[2] / "sidecar" / "demo" / "inbox.png"


async def main() -> None:
    async with open_demo(None, 0, lambda _line: None) as demo, async_playwright() as playwright:
        target = (await wait_for_drafts(demo))["DocumentReference/gi-bleed-discharge-summary"]
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
        await page.goto(f"{demo.ehr.inbox_url}#{target.partition('/')[2]}")
        await page.locator("#draft .evidence").nth(3).click()
        await page.locator("#source mark").first.wait_for()
        await page.screenshot(path=PICTURE)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
