"""Where sources bring what they receive, without a director behind it; from any thread, as the real one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from broadcaster.errors import JournalError
from broadcaster.types import Post, PostKind


class HeldIntake:
    """Keeps what is brought in `posts`. Paid ones are on disk at once, unless `hangs` (until `release`) or `full`."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.batches: list[list[Post]] = []
        self.hangs = False
        self.full = False
        self._waiting: list[Future[None]] = []
        self._lock = threading.Lock()

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        future: Future[None] = Future()
        paid = any(post.paid for post in posts)
        with self._lock:
            if paid and self.full:
                future.set_exception(JournalError("the disk is full"))
                return future
            self.posts += posts
            self.batches.append(list(posts))
            if paid and self.hangs:
                self._waiting.append(future)
                return future
        future.set_result(None)
        return future

    def release(self) -> None:
        """The disk answers again: what waited is on it."""
        self.hangs = False
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)

    def ids(self) -> list[str]:
        return [post.id for post in list(self.posts)]

    def of(self, kind: PostKind) -> list[Post]:
        return [post for post in list(self.posts) if post.kind is kind]
