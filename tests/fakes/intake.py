"""An intake that keeps what it is brought, with a scripted journal: what a source is tested against."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from broadcaster.errors import JournalError
from broadcaster.types import Post


class KeepingIntake:
    """Port `Intake`, from any thread. What is paid for is stored at once, unless the journal is scripted otherwise.

    `refuses`: it cannot be stored, and nothing that was brought with it is kept. `hangs`: no answer until `release`.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.refuses = False
        self.hangs = False
        self._waiting: list[Future[None]] = []
        self._lock = threading.Lock()

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        answer: Future[None] = Future()
        answer.set_running_or_notify_cancel()
        paid = any(post.paid for post in posts)
        with self._lock:
            if self.refuses and paid:
                answer.set_exception(JournalError("the disk is full -> make room"))
                return answer
            self.posts += posts
            self.batches.append(len(posts))
            self.threads.add(threading.current_thread().name)
            if self.hangs and paid:
                self._waiting.append(answer)
                return answer
        answer.set_result(None)
        return answer

    def release(self) -> None:
        with self._lock:
            self.hangs = False
            waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer.set_result(None)

    def ids(self) -> list[str]:
        return [post.id for post in self.posts]
