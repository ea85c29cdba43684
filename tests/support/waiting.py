"""Waiting until something holds that other tasks, threads or processes bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """TimeoutError when it does not hold in time; the limit is generous, for nothing here measures speed."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # a state is looked at, not one event
            await asyncio.sleep(0.002)
