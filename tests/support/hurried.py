"""An event loop whose clock stands still while anything can be done, and jumps to the next timer when nothing can.

Sockets of this machine work as always (whoever writes and whoever reads are in this loop), so a session of minutes
with its real protocol takes seconds. Threads are not waited for, but for those of `run_in_executor`: what another
one does in between takes some timers of virtual time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOOKS = 2
"""So often it is looked whether a socket has something, before the clock jumps: the loopback device has delivered
when the writer's call returns."""


class _Selector(selectors.DefaultSelector):
    """Asks the real one without waiting, and lets the clock jump instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.busy: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        for _ in range(LOOKS):
            if ready := super().select(0):
                return ready
        while self.busy():
            if ready := super().select(0.001):
                return ready
        self.now += timeout
        return []


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurry = _Selector()
        super().__init__(self._hurry)
        self._working = 0
        self._hurry.busy = lambda: self._working > 0

    def time(self) -> float:
        return self._hurry.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        self._working += 1
        work = super().run_in_executor(executor, func, *args)

        def done(_: object) -> None:
            self._working -= 1

        work.add_done_callback(done)
        return work


def hurried(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(work)
