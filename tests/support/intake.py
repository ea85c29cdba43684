"""An intake that keeps what it is brought, and may be slow or refuse. For tests of the sources."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from broadcaster.errors import JournalError
from broadcaster.types import Post, PostKind


class Kept:
    """Port `Intake`. From any thread. `refuses`: paid posts cannot be stored. `pending`: no answer is ever given."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.batches: list[int] = []
        self.refuses = self.pending = False
        self._lock = threading.Lock()

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        answer: Future[None] = Future()
        with self._lock:
            if self.refuses and any(post.paid for post in posts):
                answer.set_exception(JournalError("the disk is full -> make room"))
                return answer
            self.posts += posts
            self.batches.append(len(posts))
        if not self.pending:
            answer.set_result(None)
        return answer

    def of(self, kind: PostKind) -> list[Post]:
        return [post for post in self.posts if post.kind is kind]

    def ids(self) -> list[str]:
        return [post.id for post in self.posts]
