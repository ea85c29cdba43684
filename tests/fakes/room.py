"""An intake that keeps what it is brought, with a scripted journal: what a source is tested against."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from broadcaster.errors import JournalError
from broadcaster.types import Post


class KeepingIntake:
    """Port `Intake`. `refuses`: the journal cannot store; `hangs`: it does not come back until `release`."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.refuses = False
        self.hangs = False
        self._waiting: list[Future[None]] = []

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        self.posts.extend(posts)
        self.batches.append(len(posts))
        self.threads.add(threading.current_thread().name)
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        if not any(post.paid for post in posts):
            future.set_result(None)
        elif self.refuses:
            future.set_exception(JournalError("the disk is full"))
        elif self.hangs:
            self._waiting.append(future)
        else:
            future.set_result(None)
        return future

    def release(self) -> None:
        self.hangs = False
        for future in self._waiting:
            future.set_result(None)
        self._waiting.clear()

    @property
    def ids(self) -> list[str]:
        return [post.id for post in self.posts]


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for a condition that other threads bring about."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # the state of threads is looked at, not one event
            await asyncio.sleep(0.002)
