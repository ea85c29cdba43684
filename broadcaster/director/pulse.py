"""Waiting for a condition of the director's state. Event loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pulse:
    """`beat` after a change of state; `until` looks again after every beat."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout: float | None = None) -> None:
        """Until the next beat, or `timeout` seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            pass  # the caller looks at the state again either way
        finally:
            self._waiting.discard(future)

    async def until(self, holds: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until `holds()`; False when `timeout` seconds passed first."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not holds():
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            await self.wait(left)
        return True
