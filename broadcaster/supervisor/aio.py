"""Asyncio shell: runs an adapter's coroutine for ever by a `Backoff`. Ends only by cancellation or a final error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from broadcaster.errors import AdapterError
from broadcaster.supervisor.backoff import Backoff


async def keep_running(
    run: Callable[[], Awaitable[None]],
    backoff: Backoff,
    *,
    failed: Callable[[AdapterError, float], None] = lambda err, delay: None,
    at_once: Callable[[AdapterError], bool] = lambda err: False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Awaits `run()` again after each AdapterError, when the back-off says so; tells `failed(error, delay_s)`.

    A return of `run` waits like a failure. After an error that is `at_once` it does not wait, unless the run was too
    short to have been of use. An error that is not retryable, and any other exception, is raised.
    """
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await run()
            delay = backoff.failed(loop.time() - began)
        except AdapterError as err:
            if not err.retryable:
                raise
            delay = backoff.failed(loop.time() - began, at_once=at_once(err))
            failed(err, delay)
        await sleep(delay)
