"""Waiting until what was brought is on disk, before a platform is answered. In the thread of a `Listener`."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future


async def is_stored(stored: Future[None], deadline: float) -> bool:
    """Whether it was stored before `deadline` (the loop's clock). What is late is stored still."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def finished(_: Future[None]) -> None:
        with contextlib.suppress(RuntimeError):  # the listener has ended meanwhile
            loop.call_soon_threadsafe(over.set)

    stored.add_done_callback(finished)
    try:
        async with asyncio.timeout_at(deadline):
            await over.wait()
    except TimeoutError:
        return False
    return not stored.cancelled() and stored.exception() is None
