"""The player in real Chromium: it plays, stays close to the air, and comes back after every kind of loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from broadcaster.config import Console
from broadcaster.paths import Paths
from tests.fakes.preview import FPS, GOP, HEIGHT, WIDTH, TestCard
from tests.fakes.station import FakeStation, sink_status
from tests.support.browser import SHOWN_TICK, becomes, chromium, page_of
from tests.support.console import running_console
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PLAYING = "document.getElementById('screen').dataset.state === 'playing'"
BEHIND = """() => {
  const video = document.querySelector("video");
  const buffered = video.buffered;
  return buffered.length ? buffered.end(buffered.length - 1) - video.currentTime : null;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def shown(page: Page) -> int:
    """The tick on the screen, once there is a picture."""
    await becomes(page, PLAYING)
    await becomes(page, f"({SHOWN_TICK})() !== null")
    tick: int = await page.evaluate(SHOWN_TICK)
    return tick


async def distance(page: Page, card: TestCard) -> int:
    """Ticks between the newest encoded picture and the one on the screen."""
    return card.tick - await shown(page)


async def settles(page: Page, card: TestCard, most: int, samples: int = 10) -> list[int]:
    """Waits until `samples` looks in a row, each a fifth of a second after the other, are within `most` ticks."""
    run: list[int] = []
    async with asyncio.timeout(25):
        while len(run) < samples:
            now = await distance(page, card)
            run = [*run, now] if now <= most else []
            await page.wait_for_timeout(200)
    return run


async def test_it_plays_muted_by_itself_and_within_a_second_of_the_air(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            first = await shown(page)
            assert await page.evaluate("[video.videoWidth, video.videoHeight]") == [WIDTH, HEIGHT]
            assert await page.evaluate("video.muted") is True
            await settles(page, card, FPS)
            assert await shown(page) > first
            assert await page.evaluate(BEHIND) <= 1.0


async def test_a_new_page_starts_from_the_cached_group(browser: Browser, paths: Paths) -> None:
    """What a page holds first is the key picture that was already past when it connected."""
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console:
            await until(lambda: card.tick > GOP and card.tick % GOP == 20)
            async with page_of(browser, console.address, visit=False) as page:
                connected: list[int] = []
                page.on("websocket", lambda socket: connected.append(card.tick) if "preview" in socket.url else None)
                await page.goto(console.address)
                await shown(page)
                start = round(await page.evaluate("video.buffered.start(0)") * FPS)
                first = round(await page.evaluate("video.played.start(0)") * FPS)
    key = round(start / GOP) * GOP
    assert abs(start - key) <= 2, "sound and picture begin within two ticks of a key picture"
    assert connected[0] - GOP <= key <= connected[0] + 1
    assert first >= connected[0] - FPS, "playing begins near the live edge, not where the group begins"


async def test_sound_comes_with_a_click_and_goes_with_another(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")):
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await shown(page)
            button = page.get_by_role("button", name="打开声音")
            await button.click()
            assert await page.evaluate("video.muted") is False
            assert await button.is_hidden()
            decoded = await page.evaluate("video.webkitAudioDecodedByteCount")
            await becomes(page, f"video.webkitAudioDecodedByteCount > {decoded}")
            assert await page.evaluate("video.paused") is False
            await page.get_by_role("button", name="静音", exact=True).click()
            assert await page.evaluate("video.muted") is True


async def test_behind_it_plays_faster_and_far_behind_it_jumps(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await becomes(page, "video.played.length > 0 && performance.now() > 4500")
            await settles(page, card, FPS, samples=2)
            seeks = await watch(page)
            await page.evaluate("() => { video.currentTime -= 2; }")
            await becomes(page, "window.rates.some((rate) => rate > 1.2 && rate <= 1.5)")
            await settles(page, card, FPS, samples=3)
            assert await page.evaluate("window.seeks") == seeks + 1, "two seconds are caught up, not jumped"
            await becomes(page, "video.playbackRate === 1")
            await becomes(page, "video.currentTime > 7")
            await page.evaluate("() => { video.currentTime -= 6; }")
            await settles(page, card, FPS, samples=3)
            assert await page.evaluate("window.seeks") == seeks + 3, "six seconds are jumped"


async def watch(page: Page) -> int:
    """Counts seeks and collects playback rates from now on."""
    await page.evaluate(
        """() => {
          window.seeks = 0;
          window.rates = [];
          video.addEventListener("seeking", () => { window.seeks += 1; });
          video.addEventListener("ratechange", () => window.rates.push(video.playbackRate));
        }"""
    )
    return 0


async def test_it_comes_back_after_a_restart_of_the_daemon(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with AsyncExitStack() as first:
            console = await first.enter_async_context(running_console(paths))
            async with page_of(browser, console.address) as page:
                before = await shown(page)
                await asyncio.to_thread(card.stop)
                await first.aclose()
                await becomes(page, "document.getElementById('link').dataset.state !== 'open'")
                await becomes(page, "document.getElementById('screen').dataset.state === 'gone'")
                card.start()
                async with running_console(paths, Console(port=console.port)):
                    assert await shown(page) > before
                    await settles(page, card, FPS, samples=3)
                    assert await page.evaluate("document.getElementById('link').dataset.state") == "open"


async def test_it_comes_back_after_a_restart_of_the_sink_with_another_picture(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as small:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await shown(page)
            await asyncio.to_thread(small.stop)
            with TestCard(paths.preview_socket("preview"), width=368, height=640) as portrait:
                await becomes(page, "video.videoWidth === 368 && video.videoHeight === 640")
                await settles(page, portrait, FPS, samples=3)


async def test_it_comes_back_after_the_tab_was_frozen(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await settles(page, card, FPS, samples=3)
            devtools = await page.context.new_cdp_session(page)
            await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
            asleep = card.tick
            await until(lambda: card.tick > asleep + 6 * FPS, seconds=20)
            await devtools.send("Page.setWebLifecycleState", {"state": "active"})
            await settles(page, card, FPS, samples=3)


async def test_a_hidden_tab_that_stood_still_jumps_to_live(browser: Browser, paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await settles(page, card, FPS, samples=3)
            await page.evaluate(hidden(True))
            await page.evaluate("video.pause()")
            await becomes(page, f"({BEHIND})() > 2.5")
            await watch(page)
            await page.evaluate(hidden(False))
            await becomes(page, f"({BEHIND})() < 1 && !video.paused")
            assert await page.evaluate("window.seeks") == 1
            await settles(page, card, FPS, samples=3)


def hidden(state: bool) -> str:
    """What a browser does to a tab that goes to the back or comes to the front."""
    word = "true" if state else "false"
    return f"""() => {{
      Object.defineProperty(document, "hidden", {{ value: {word}, configurable: true }});
      document.dispatchEvent(new Event("visibilitychange"));
    }}"""


async def test_the_buffer_is_trimmed_also_when_the_stream_runs_ahead(browser: Browser, paths: Paths) -> None:
    """A stream at six times its speed: 50 s of media in 9 s, of which 36 at most stay."""
    with TestCard(paths.preview_socket("preview"), speed=6) as card:
        async with running_console(paths) as console, page_of(browser, console.address) as page:
            await shown(page)
            while card.tick < 50 * FPS:
                held: Any = await page.evaluate(
                    "video.buffered.length ? video.buffered.end(0) - video.buffered.start(0) : 0"
                )
                assert held < 36
                await page.wait_for_timeout(250)
            assert await page.evaluate("video.error") is None
            assert await page.evaluate("video.buffered.start(0)") > 15


async def test_several_previews_can_be_chosen_and_none_is_said(browser: Browser, paths: Paths) -> None:
    station = FakeStation()
    station.sinks = [sink_status("wide", "preview", "live"), sink_status("tall", "preview", "live")]
    with (
        TestCard(paths.preview_socket("wide")),
        TestCard(paths.preview_socket("tall"), width=208, height=368),
    ):
        async with running_console(paths, station=station) as console, page_of(browser, console.address) as page:
            await becomes(page, f"video.videoWidth === {WIDTH}")
            await page.get_by_role("combobox", name="画面").select_option("tall")
            await becomes(page, "video.videoWidth === 208")
            station.sinks = [sink_status("record", "file", "live")]
            await station.emit({"type": "status", "status": station.status()})
            await page.get_by_text("没有启用预览输出").wait_for()
