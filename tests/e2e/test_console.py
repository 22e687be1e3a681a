"""The console as a person uses it: real fleet, real browser. Screenshots are left in test-artifacts/."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from libs.engine.users import ensure_admin
from tests.e2e.browser import Page, browser, find_chromium
from tests.e2e.whole_fleet import whole_fleet

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
CHROMIUM = find_chromium()
NEW_PASSWORD = "a password of my own"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; Debian: apt-get install chromium"),
]


def test_a_day_at_the_console(tmp_path: Path) -> None:
    password = ensure_admin(tmp_path)
    assert password is not None
    assert CHROMIUM is not None

    async def scenario(program: str) -> None:
        async with (
            asyncio.timeout(240),
            browser(program, tmp_path) as page,
            whole_fleet(tmp_path, date(1990, 8, 1), speed=25) as process,
        ):
            await page.open(f"http://127.0.0.1:{process.members['gateway'].port}/")
            await follow_the_replay(page)
            await halt(page, password)
            await resume(page, password)
            await see_the_replay_end(page)
            process.stop()
            await page.wait_for_text("#stale", "trying again", 30)
            await page.wait_for_text("#link", "disconnected")
            await page.wait_for_text("#fleet", "the gateway does not answer", 30)
            await page.screenshot(ARTIFACTS / "console-gateway-gone.png")

    asyncio.run(scenario(CHROMIUM))


async def follow_the_replay(page: Page) -> None:
    await page.wait_for_text("#link", "live", 30)
    await page.wait_for_text("#clock", "1990-", 60)
    await page.wait_for("document.querySelectorAll('.engine[data-state=healthy]').length === 10", 60)
    await page.wait_for("Number(document.querySelector('#figures .value').innerText.replaceAll(',', '')) > 900000", 60)
    await page.wait_for_text("#pace", "steps/s", 30)
    await page.wait_for("document.querySelectorAll('#limits .limit').length >= 4")
    # The moving averages need thirty closes; then there are signals, orders and, a day later, positions.
    await page.wait_for("document.querySelectorAll('#signals li:not(.empty)').length > 0", 60)
    await page.wait_for("document.querySelectorAll('#positions tbody tr:not(.empty)').length > 0", 60)
    await page.wait_for_text("#orders", "filled", 60)
    first = await page.text("#clock")
    await page.wait_for(f"document.querySelector('#clock').innerText > '{first}'")
    await page.wait_for("document.querySelector('#stale').hidden")
    await page.screenshot(ARTIFACTS / "console.png")
    asked = [problem for problem in page.problems if "Failed to load resource" not in problem]
    assert asked == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 1440
    await page.resize(390, 844)
    await page.wait_for("document.documentElement.scrollWidth <= 390")
    await asyncio.sleep(0.5)  # the charts are drawn anew for a picture only a person looks at
    await page.screenshot(ARTIFACTS / "console-phone.png")
    await page.resize(1440, 900, "light")
    await asyncio.sleep(0.5)
    await page.screenshot(ARTIFACTS / "console-light.png")
    await page.resize(1440, 900)


async def halt(page: Page, password: str) -> None:
    await page.click("#halt")
    assert await page.evaluate("document.querySelector('#halt-go').disabled") is True
    await page.type("#halt-reason", "a drill, every Monday")
    assert await page.evaluate("document.querySelector('#halt-go').disabled") is True
    await page.click("#halt-sure")
    await page.screenshot(ARTIFACTS / "console-halt.png")
    await page.click("#halt-go")
    await page.wait_for_text("#login-dialog", "Halting takes a trader")
    await page.type("#login-user", "admin")
    await page.type("#login-password", "not the password")
    await page.click("#login-go")
    await page.wait_for_text("#login-error", "do not belong together")
    await page.evaluate("document.querySelector('#login-password').value = ''")
    await page.type("#login-password", password)
    await page.click("#login-go")
    await page.wait_for_text("#halted", "a drill, every Monday")
    assert "admin" in await page.text("#halted")
    await page.wait_for("!document.querySelector('dialog[open]')")
    # What the page says is what the risk engine has committed.
    found = await page.evaluate("fetch('/api/v1/risk/halts').then((answer) => answer.json())")
    assert [(one["scope"], one["reason"], one["actor"]) for one in found["items"]] == [
        ("all", "a drill, every Monday", "admin")
    ]
    await page.screenshot(ARTIFACTS / "console-halted.png")


async def resume(page: Page, password: str) -> None:
    await page.wait_for_text("#halt", "Resume trading")
    await page.click("#halt")
    await page.type("#halt-reason", "the drill is over")
    await page.click("#halt-sure")
    await page.click("#halt-go")
    # An administrator with the password of the first start may halt; for all else it must be changed.
    await page.wait_for_text("#login-dialog", "choose a password of your own")
    await page.evaluate("document.querySelector('#login-user').value = ''")
    await page.type("#login-user", "admin")
    await page.type("#login-password", password)
    await page.click("#login-go")
    await page.wait_for_text("#login-title", "Choose a password")
    await page.type("#login-new", NEW_PASSWORD)
    await page.click("#login-go")
    await page.wait_for("!document.querySelector('#login-dialog[open]')")
    await page.click("#halt-go")
    await page.wait_for("document.querySelector('#halted').hidden")
    found = await page.evaluate("fetch('/api/v1/risk/halts').then((answer) => answer.json())")
    assert found["items"] == []


async def see_the_replay_end(page: Page) -> None:
    await page.wait_for_text("#stale", "Stale since", 120)
    await page.wait_for_text("#stale", "the feed is finished", 30)
    await page.wait_for("getComputedStyle(document.querySelector('.chart')).opacity < 0.7")
    await page.screenshot(ARTIFACTS / "console-stale.png")
