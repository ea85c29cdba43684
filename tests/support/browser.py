"""Headless Chromium for the page tests: Debian's, without background networking, with a profile of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
"""Autoplay is left as browsers have it: the page must start muted by itself."""

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}

LINK_OPEN = "document.getElementById('link').dataset.state === 'open'"
"""True while the page's websocket is open."""

SHOWN_TICK = """() => {
  const video = document.querySelector("video");
  if (video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const bar = canvas.width / 16;
  let number = 0;
  for (let bit = 0; bit < 16; bit += 1) {
    const [red] = context.getImageData(bar * (bit + 0.5), canvas.height / 6, 1, 1).data;
    if (red > 127) number |= 1 << bit;
  }
  return number;
}"""
"""Evaluates to the tick number that the test card's picture on the screen carries, or null."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser, for all tests of a module."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_of(
    browser: Browser,
    address: str,
    *,
    phone: bool = False,
    locale: str = "zh-CN",
    scheme: str = "dark",
    visit: bool = True,
) -> AsyncIterator[Page]:
    """A page in a fresh context, at `address` unless `visit` is false.

    A script error, a breach of the CSP or a request to another server fails the test at the end.
    """
    size = PHONE if phone else DESKTOP
    context: BrowserContext = await browser.new_context(
        viewport=size,  # type: ignore[arg-type]  # a plain mapping will do
        locale=locale,
        color_scheme=scheme,  # type: ignore[arg-type]  # "dark" or "light"
        has_touch=phone,
    )
    page = await context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    outside: list[str] = []
    page.on("request", lambda request: _outside(request.url, address, outside))
    if visit:
        await page.goto(address)
    try:
        yield page
    finally:
        await context.close()
    assert not errors, f"script errors on the page: {errors}"
    assert not outside, f"the page asked other servers: {outside}"


async def becomes(page: Page, expression: str, seconds: float = 15) -> None:
    """Waits until a script expression is true. Playwright's own wait needs `eval`, which the page's CSP forbids."""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(expression):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _outside(url: str, address: str, found: list[str]) -> None:
    if not url.startswith((address, address.replace("http", "ws", 1), "blob:", "data:")):
        found.append(url)
