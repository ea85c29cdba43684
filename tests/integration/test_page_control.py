"""The page's controls in real Chromium: prompts, brakes and login, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.types import PLAIN, Manner, PromptKind
from tests.fakes.station import FakeStation
from tests.support.browser import LINK_OPEN, becomes, chromium, page_of
from tests.support.console import MODERATOR, OPERATOR, TOKENS, VIEWER, running_console
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


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
        [prompt] = console.station.waiting
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
        assert [prompt.manner for prompt in console.station.waiting] == [PLAIN, slow, slow, PLAIN]


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
        await until(lambda: console.station.waiting)
        assert console.station.waiting[0].kind is PromptKind.ASK


async def test_a_text_may_go_on_after_a_cut_and_is_shown_as_held(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        box = page.get_by_label("被打断后接着说")
        await box.check()
        await send(page, "很长的一段话。")
        [prompt] = console.station.waiting
        assert prompt.resumable
        console.station.held.add(prompt.id)
        await console.station.emit({"type": "held", "id": prompt.id, "sentence": 2})
        await expect(page.locator("#queue")).to_contain_text("稍后接着说")
        await page.get_by_role("radio", name="提问").check()
        await expect(box).to_be_hidden()


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
        await until(lambda: again.station.waiting)
        assert again.station.waiting[0].text == "别丢了我"
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


async def test_everything_can_be_done_by_keyboard(browser: Browser, paths: Paths) -> None:
    async with running_console(paths) as console, page_of(browser, console.address) as page:
        await becomes(page, LINK_OPEN)
        await page.keyboard.press("Tab")
        assert await focused(page) == "skip"
        await page.keyboard.press("Enter")
        assert await focused(page) == "prompt"
        await page.keyboard.type("你好")
        await page.keyboard.press("Enter")
        await until(lambda: console.station.waiting)
        await becomes(page, "document.getElementById('prompt').value === ''")  # until then Enter sends nothing more
        await console.station.air()
        for there in ("resumable", "say", "ask"):
            await page.keyboard.press("ArrowRight" if there == "ask" else "Shift+Tab")
            assert await page.evaluate("document.activeElement.id || document.activeElement.value") == there
        while await focused(page) != "prompt":
            await page.keyboard.press("Tab")
        await page.keyboard.type("几点了")
        await page.keyboard.press("Enter")
        await until(lambda: len(console.station.waiting) == 1)
        assert console.station.waiting[0].kind is PromptKind.ASK
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
