"""The page over a whole daemon: the presenter is seen and heard, a prompt is spoken, a killed process comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import becomes, chromium, page_of
from tests.support.channel import Channel

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PLAYING = "document.getElementById('screen').dataset.state === 'playing'"
PREVIEW = {"type": "preview", "name": "preview"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel() -> AsyncIterator[Channel]:
    """A daemon that answers SIGTERM; started and ended in a thread, because it waits."""
    running = Channel(sinks=[PREVIEW])
    await asyncio.to_thread(running.__enter__)
    yield running
    await asyncio.to_thread(running.__exit__, None, None, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def moves(page: Page) -> None:
    """The player plays: its time goes on and new pictures are decoded."""
    await becomes(page, PLAYING, 30)
    at, frames = await page.evaluate("[video.currentTime, video.getVideoPlaybackQuality().totalVideoFrames]")
    await becomes(
        page, f"video.currentTime > {at} && video.getVideoPlaybackQuality().totalVideoFrames > {frames} + 10"
    )


async def test_a_typed_prompt_is_seen_heard_and_logged(browser: Browser, channel: Channel) -> None:
    async with page_of(browser, f"http://127.0.0.1:{channel.port}/") as page:
        await moves(page)
        assert await page.evaluate("[video.videoWidth, video.videoHeight]") == [640, 360]
        await page.get_by_role("button", name="打开声音").click()
        await becomes(page, "video.webkitAudioDecodedByteCount > 0")
        await page.locator("#prompt").fill("大家好，这是一次测试。")
        await page.locator("#prompt").press("Enter")
        await expect(page.locator("#speaking")).to_have_attribute("data-state", "talking", timeout=30_000)
        await expect(page.locator("#now")).to_contain_text("大家好")
        await expect(page.locator("#speaking")).to_have_attribute("data-state", "idle", timeout=30_000)
        await expect(page.locator("#asrun li").first).to_contain_text("大家好")
        await expect(page.locator("[data-sink=preview]")).to_contain_text("直播中")
        await expect(page.locator("#health")).to_contain_text("上一次应答")
        await becomes(page, "video.buffered.end(video.buffered.length - 1) - video.currentTime <= 1")


async def test_interrupt_and_panic_from_the_page(browser: Browser, channel: Channel) -> None:
    async with page_of(browser, f"http://127.0.0.1:{channel.port}/") as page:
        await moves(page)
        await page.locator("#prompt").fill("这句话很长，" * 20)
        await page.locator("#prompt").press("Enter")
        await expect(page.locator("#speaking")).to_have_attribute("data-state", "talking", timeout=30_000)
        await page.get_by_role("button", name="打断").click()
        await expect(page.locator("#speaking")).to_have_attribute("data-state", "idle", timeout=15_000)
        await expect(page.locator("#asrun li").first).to_contain_text("被打断", timeout=15_000)
        await page.get_by_role("button", name="紧急静音").click()
        await expect(page.locator("#panic-banner")).to_be_visible()
        await page.locator("#prompt").fill("不会播出")
        await page.locator("#prompt").press("Enter")
        await expect(page.locator("#verdict")).to_contain_text("紧急静音中")
        await page.get_by_role("button", name="恢复播出").click()
        await expect(page.locator("#panic-banner")).to_be_hidden()
        await expect(page.locator("#prompt")).to_have_value("不会播出")


@pytest.mark.parametrize("role", ["sink", "director", "playout"])
async def test_the_page_comes_back_when_a_process_was_killed(browser: Browser, channel: Channel, role: str) -> None:
    async with page_of(browser, f"http://127.0.0.1:{channel.port}/") as page:
        await moves(page)
        await asyncio.to_thread(channel.kill, role)
        if role == "director":
            await becomes(page, "document.getElementById('link').dataset.state !== 'open'", 20)
        else:
            await becomes(page, f"!({PLAYING})", 20)
        await moves(page)
        await becomes(page, "document.getElementById('link').dataset.state === 'open'", 30)
        await expect(page.locator("#tally-text")).to_have_text("播出中", timeout=30_000)
