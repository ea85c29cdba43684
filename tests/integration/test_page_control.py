"""The page's controls in real Chromium: prompts, brakes, login, what it shows, on a desk, on a phone, by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.types import PLAIN, Manner, Origin, PromptKind, Role
from tests.fakes.station import FakeStation, sink_status
from tests.support.browser import becomes, chromium, page_of
from tests.support.console import MODERATOR, OPERATOR, TOKENS, VIEWER, RunningConsole, running_console, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

LINK_OPEN = "document.getElementById('link').dataset.state === 'open'"
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


async def log_in(page: Page, token: str) -> None:
    await page.locator("#token").fill(token)
    await page.get_by_role("button", name="登录").click()


async def test_a_typed_prompt_is_queued_aired_and_logged(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        box = page.locator("#prompt")
        await box.fill("大家好，")
        await box.press("Shift+Enter")
        await box.press_sequentially("欢迎。")
        await expect(page.locator("#prompt-count")).to_have_text("8 / 2000")
        await box.press("Enter")
        await expect(page.locator("#verdict")).to_contain_text("已排队")
        await expect(box).to_have_value("")
        [prompt] = console.station.queue
        assert (prompt.kind, prompt.text) == (PromptKind.SAY, "大家好，\n欢迎。")
        await expect(page.locator("#queue")).to_contain_text("欢迎。")
        await expect(page.locator("#next")).to_contain_text("欢迎。")
        await console.station.air()
        await expect(page.locator("#now")).to_contain_text("大家好，")
        await expect(page.locator("#queue")).to_contain_text("队列是空的")
        await console.station.finish()
        await expect(page.locator("#now")).to_contain_text("待机画面")
        await expect(page.locator("#asrun li").first).to_contain_text("欢迎。")


async def test_a_prompt_may_be_given_a_manner_which_stays_and_is_shown(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await send(page, "照旧。")
        now = page.locator("#manner-now")
        await expect(now).to_be_empty()
        await page.get_by_text("说话方式").click()
        await page.get_by_label("语速（倍）").fill("1.25")
        await page.get_by_label("音高（半音）").fill("-20")
        await page.get_by_label("声音", exact=True).fill(" zm_yunxia ")
        await page.get_by_text("说话方式").click()
        await expect(now).to_have_text("1.25 倍语速 · -6 半音 · zm_yunxia")
        await send(page, "慢一点。")
        await send(page, "再来一次。")
        await page.get_by_text("说话方式").click()
        await page.get_by_label("语速（倍）").fill("")
        await page.get_by_label("声音", exact=True).fill("no <such> voice")
        await send(page, "不对。", refused=True)
        await page.get_by_role("button", name="恢复默认").click()
        await expect(now).to_be_empty()
        await send(page, "不对。")
        slow = Manner(1.25, -6.0, "zm_yunxia")
        assert [prompt.manner for prompt in console.station.queue] == [PLAIN, slow, slow, PLAIN]


async def send(page: Page, text: str, *, refused: bool = False) -> None:
    """Types a prompt and waits for its verdict."""
    await page.locator("#prompt").fill(text)
    await page.locator("#prompt").press("Enter")
    await expect(page.locator("#prompt")).to_have_value(text if refused else "")
    await expect(page.locator("#verdict")).to_contain_text("没有发出" if refused else "已排队")


async def test_asking_sends_a_question(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.get_by_role("radio", name="提问").check()
        await page.locator("#prompt").fill("现在几点？")
        await page.get_by_role("button", name="发送").click()
        await until(lambda: console.station.queue)
        assert console.station.queue[0].kind is PromptKind.ASK


async def test_a_refused_text_stays_in_the_box_and_the_reason_is_shown(browser: Browser, paths: Paths) -> None:
    station = FakeStation(capacity=0, max_text=10)
    async with running_console(paths, station=station) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        box = page.locator("#prompt")
        await box.fill("请说这个")
        await box.press("Enter")
        await expect(page.locator("#verdict")).to_contain_text("队列已满")
        await expect(box).to_have_value("请说这个")
        await box.fill("这句话比十个字要长得多呢")
        assert await page.locator("#prompt-count").get_attribute("data-over") == "true"
        await box.press("Enter")
        await expect(page.locator("#verdict")).to_contain_text("文字太长")
        await expect(box).to_have_value("这句话比十个字要长得多呢")


async def test_a_text_typed_while_the_daemon_is_away_is_kept(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console:
        running = page_of(browser, console.address)
        page = await running.__aenter__()
        await becomes(page, LINK_OPEN)
    await becomes(page, "document.getElementById('link').dataset.state !== 'open'")
    await expect(page.locator("#tally-text")).to_have_text("未播出")
    await page.locator("#prompt").fill("别丢了我")
    await page.locator("#prompt").press("Enter")
    await expect(page.locator("#verdict")).to_contain_text("没有发出")
    await expect(page.locator("#prompt")).to_have_value("别丢了我")
    async with running_console(paths, Console(port=console.port)) as again:
        await becomes(page, LINK_OPEN)
        await page.locator("#prompt").press("Enter")
        await until(lambda: again.station.queue)
        assert again.station.queue[0].text == "别丢了我"
        await running.__aexit__(None, None, None)


async def test_a_skipped_prompt_of_this_page_is_told(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.locator("#prompt").fill("请说这个")
        await page.locator("#prompt").press("Enter")
        await expect(page.locator("#verdict")).to_contain_text("已排队")
        await console.station.emit({"type": "skipped", "id": "other", "reason": "voice"})
        await console.station.emit({"type": "skipped", "id": "p1", "reason": "expired"})
        await expect(page.locator("#verdict")).to_contain_text("没有播出“请说这个”：等待太久")


async def test_panic_is_one_click_and_resume_is_not_a_double_click(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.get_by_role("button", name="紧急静音").dblclick()
        await expect(page.get_by_role("alert").filter(has_text="紧急静音中")).to_be_visible()
        await expect(page.locator("#tally")).to_have_attribute("data-state", "panic")
        assert [name for name, _ in console.station.calls] == ["panic"] * len(console.station.calls)
        assert console.station.panicked
        resume = page.get_by_role("button", name="恢复播出")
        await expect(resume).to_be_enabled()
        await resume.click()
        await expect(page.locator("#panic-banner")).to_be_hidden()
        assert not console.station.panicked


async def test_the_brakes_work_while_the_websocket_is_away(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.evaluate("() => { window.WebSocket = class { close() {} }; }")
        await console.station.stop()  # ends the websockets; HTTP goes on
        await becomes(page, "document.getElementById('link').dataset.state !== 'open'")
        await page.get_by_role("button", name="紧急静音").click()
        await until(lambda: console.station.panicked)


async def test_a_moderator_may_panic_but_not_resume(browser: Browser, paths: Paths) -> None:
    async with running_console(paths, Console(port=0, tokens=TOKENS)) as console:
        async with page_of(browser, console.address) as page:
            await log_in(page, "wrong")
            await expect(page.locator("#login-verdict")).to_contain_text("令牌不正确")
            await log_in(page, MODERATOR)
            await becomes(page, LINK_OPEN)
            await expect(page.locator("#role")).to_have_text("场控")
            await page.get_by_role("button", name="紧急静音").click()
            await expect(page.locator("#panic-banner")).to_contain_text("只有操作员")
            await page.wait_for_timeout(1700)
            await expect(page.get_by_role("button", name="恢复播出")).to_be_disabled()
            assert MODERATOR not in await page.content()
            assert await page.evaluate("document.cookie") == "", "scripts cannot read the session"
            assert await page.evaluate("localStorage.length + sessionStorage.length") == 0
            await page.get_by_role("button", name="退出").click()
            await expect(page.locator("#login")).to_be_visible()


async def test_a_viewer_watches(browser: Browser, paths: Paths) -> None:
    async with running_console(paths, Console(port=0, tokens=TOKENS)) as console:
        async with page_of(browser, console.address) as page:
            await log_in(page, VIEWER)
            await becomes(page, LINK_OPEN)
            for name in ("发送", "打断", "紧急静音"):
                await expect(page.get_by_role("button", name=name)).to_be_disabled()
            await expect(page.locator("#prompt")).to_be_disabled()
            await expect(page.locator("#sinks")).to_contain_text("preview")


async def test_a_logged_in_page_survives_a_restart(browser: Browser, paths: Paths) -> None:
    async with running_console(paths, Console(port=0, tokens=TOKENS)) as console:
        running = page_of(browser, console.address)
        page = await running.__aenter__()
        await log_in(page, OPERATOR)
        await becomes(page, LINK_OPEN)
    await becomes(page, "document.getElementById('link').dataset.state !== 'open'")
    async with running_console(paths, Console(port=console.port, tokens=TOKENS)):
        await becomes(page, LINK_OPEN)
        await expect(page.locator("#login")).to_be_hidden()
        await running.__aexit__(None, None, None)


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
        await station.air()
        await station.finish()
        await station.air()
        await expect(page.locator("#now")).to_have_text(evil)
        await expect(page.locator("#asrun")).to_contain_text(evil)
        await expect(page.locator("#queue")).to_contain_text(evil)
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


async def test_everything_can_be_done_by_keyboard(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.keyboard.press("Tab")
        assert await focused(page) == "skip"
        await page.keyboard.press("Enter")
        assert await focused(page) == "prompt"
        await page.keyboard.type("你好")
        await page.keyboard.press("Enter")
        await until(lambda: console.station.queue)
        await console.station.air()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Tab")
        await page.keyboard.type("几点了")
        await page.keyboard.press("Enter")
        await until(lambda: len(console.station.queue) == 1)
        assert console.station.queue[0].kind is PromptKind.ASK
        seen = []
        for _ in range(3):
            await page.keyboard.press("Tab")
            seen.append(await focused(page))
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert seen == ["send", "interrupt", "panic"]
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Space")
        await until(lambda: [name for name, _ in console.station.calls] == ["interrupt"])
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await until(lambda: console.station.panicked)


async def focused(page: Page) -> str:
    name: str = await page.evaluate("document.activeElement.id || document.activeElement.className")
    return name


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
        for tick in (2000, 3000):
            console.station.tick = tick
            await push(console.station)
        await expect(page.locator("#health")).to_contain_text("00:02:00")
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
