"""What the page shows, in real Chromium: outputs, plain texts, a phone, reading aloud, language and colours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from broadcaster.paths import Paths
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role
from tests.fakes.station import FakeStation, sink_status
from tests.support.browser import LINK_OPEN, becomes, chromium, page_of
from tests.support.console import RunningConsole, running_console

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

OPERATOR_ORIGIN = Origin("websocket", role=Role.OPERATOR)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


def full_station() -> FakeStation:
    """A channel with something to show in every panel, long texts included."""
    station = FakeStation()
    station.sinks = [
        sink_status("preview", "preview", "live"),
        sink_status("bilibili", "rtmp", "live", address="rtmp://live-push.example/live-bvc/***", kbps=2514.4,
                    congestion=0.42, uptime_s=93_784, reconnects=2, dropped_frames=14),
        sink_status("backup", "rtmp", "suspended", address="rtmp://" + "a" * 90 + ".example/***",
                    error="refused after connecting: probably a wrong key", retry_in_s=241),
        sink_status("record", "file", "live", address="/var/lib/broadcaster/demo/recordings"),
        sink_status("spare", "rtmp", "off"),
    ]  # fmt: skip
    return station


async def push(station: FakeStation) -> None:
    await station.emit({"type": "status", "status": station.status()})


async def test_every_output_is_shown_as_obs_would(browser: Browser, paths: Paths) -> None:
    station = full_station()
    async with running_console(paths, station=station) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        bilibili = page.locator("[data-sink=bilibili]")
        for text in ("直播中", "2514 kbit/s", "14 丢帧", "1d 2h", "2 重连", "rtmp://live-push.example/live-bvc/***"):
            await expect(bilibili).to_contain_text(text)
        await expect(bilibili.get_by_role("meter")).to_have_attribute("aria-valuenow", "42")
        await expect(page.locator("[data-sink=backup]")).to_contain_text("被拒绝，慢速重试")
        await expect(page.locator("[data-sink=backup]")).to_contain_text("241 秒后重试")
        await expect(page.locator("[data-sink=record]")).to_contain_text("录制中")
        await expect(page.locator("[data-sink=spare]")).to_contain_text("未启用")
        station.sinks[1] = sink_status("bilibili", "rtmp", "waiting", error="connection reset", retry_in_s=3)
        station.connected = False
        await push(station)
        await expect(bilibili).to_contain_text("等待重试")
        await expect(bilibili).to_contain_text("connection reset")
        await expect(page.locator("#tally-text")).to_have_text("未播出")
        await expect(page.locator("#health")).to_contain_text("未连接")


async def test_texts_are_texts_and_never_markup(browser: Browser, paths: Paths) -> None:
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    station = FakeStation()
    station.sinks = [sink_status("x", "rtmp", "failed", error=evil, address=evil)]
    async with running_console(paths, station=station) as console, page_of(browser, console.address) as page:
        for _ in range(3):
            await station.accept(PromptKind.SAY, evil, OPERATOR_ORIGIN)
        viewer, paid = Origin("bilibili", "小明"), Lane.SUPER_CHAT
        station.waiting.append(Inbound("gift", PromptKind.EVENT, "小明 gift 辣条", viewer, lane=paid))
        await station.air()
        await station.finish()
        await station.air()
        await expect(page.locator("#now")).to_have_text(evil)
        await expect(page.locator("#asrun")).to_contain_text(evil)
        await expect(page.locator("#queue")).to_contain_text(evil)
        await expect(page.locator("#queue")).to_contain_text("醒目留言")
        await expect(page.locator("#sinks")).to_contain_text(evil)
        assert await page.evaluate("window.hit === undefined && document.querySelectorAll('img').length === 1")


async def fill_everything(console: RunningConsole) -> None:
    station = console.station
    for text in ("大家好，欢迎来到直播间。" * 6, "a" * 300, "https://example.com/" + "x" * 200, "晚上好！"):
        await station.accept(PromptKind.SAY, text, Origin("websocket", author="观众" * 20, role=Role.OPERATOR))
    await station.air()
    await station.finish()
    await station.air()


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
async def test_a_phone_never_scrolls_sideways(browser: Browser, paths: Paths, locale: str) -> None:
    async with running_console(paths, station=full_station()) as console:
        async with page_of(browser, console.address, phone=True, locale=locale) as page:
            await becomes(page, LINK_OPEN)
            await fill_everything(console)
            await page.locator("#prompt").fill("x" * 500)
            await page.locator("#manner summary").click()
            await page.locator("#manner-voice").fill("v" * 64)
            await page.locator("#panic").click()
            await expect(page.locator("#panic-banner")).to_be_visible()
            assert await page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]
            wide = await page.evaluate(
                "[...document.querySelectorAll('main *')]"
                ".filter((each) => each.getBoundingClientRect().right > 360.5)"
                ".map((each) => each.id || each.className || each.tagName)"
            )
            assert wide == []
            small = await page.evaluate(
                "['send', 'interrupt', 'resume', 'sound-on', 'manner-speed'].map((id) => document.getElementById(id))"
                ".filter((each) => !each.hidden && each.getBoundingClientRect().height < 44).map((each) => each.id)"
            )
            assert small == [], "what a thumb must hit is at least 44 px high"


async def test_what_is_said_is_announced_and_every_control_has_a_name(browser: Browser, paths: Paths) -> None:
    async with running_console(paths, station=full_station()) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await expect(page.locator("#now")).to_have_attribute("aria-live", "polite")
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, textarea")]
              .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
              .map((each) => each.id)"""
        )
        assert nameless == []
        node = await page.evaluate_handle("document.getElementById('now').firstChild")
        source = {"name": "live", "state": "waiting", "received": 12, "paid": 3, "error": "连不上", "note": ""}
        console.station.sources = [source, {**source, "name": "spare", "state": "off"}]
        for tick in (2000, 3000):
            console.station.tick = tick
            await push(console.station)
        await expect(page.locator("#health")).to_contain_text("00:02:00")
        await expect(page.locator("#health")).to_contain_text("没有使用语言模型")
        await expect(page.locator("#health")).to_contain_text("live · 等待重试 · 12 条，付费 3 · 连不上")
        await expect(page.locator("#health")).not_to_contain_text("spare")
        assert await page.evaluate("(node) => document.getElementById('now').firstChild === node", node), (
            "a status that changes nothing is not announced again"
        )


@pytest.mark.parametrize(("locale", "send"), [("zh-TW", "发送"), ("de-DE", "Send")])
async def test_the_language_follows_the_browser(browser: Browser, paths: Paths, locale: str, send: str) -> None:
    async with running_console(paths) as console, page_of(browser, console.address, locale=locale) as page:
        await expect(page.locator("#send")).to_have_text(send)
        missing = await page.evaluate(
            """async () => {
              const { t } = await import("/static/js/i18n.js");
              const wrong = (each) => each.textContent !== t(each.dataset.i18n);
              return [...document.querySelectorAll("[data-i18n]")].filter(wrong).length;
            }"""
        )
        assert missing == 0


@pytest.mark.parametrize(("scheme", "dark"), [("dark", True), ("light", False)])
async def test_the_colours_follow_the_system_and_can_be_read(
    browser: Browser, paths: Paths, scheme: str, dark: bool
) -> None:
    async with running_console(paths, station=full_station()) as console:
        async with page_of(browser, console.address, scheme=scheme) as page:
            await becomes(page, LINK_OPEN)
            await fill_everything(console)
            await expect(page.locator("#asrun li").first).to_be_visible()
            ground = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert (sum(ground) < 128 * 3) is dark
            faint = await page.evaluate(CONTRAST)
            assert faint == [], "WCAG AA: 4.5 for text, 3 for large text"


CONTRAST = r"""() => {
  const gamma = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const linear = (value) => gamma(value / 255);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const numbers = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(each).backgroundColor);
      if (alpha > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("header *, main *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.offsetParent || element.closest(".screen, :disabled, .visually-hidden")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(numbers(style.color).slice(0, 3)), luminance(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${element.id || element.className}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
