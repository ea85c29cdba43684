"""The door for what sources receive: from any thread into the director's event loop, bounded, paid posts by way of
the disk.

`bring` never waits. What is free goes into a ring that the loop empties a little at a time, so that no flood of
comments holds up a clock or an answer; what was paid for goes into the journal and then to the desk.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from broadcaster.errors import JournalError
from broadcaster.journal.posts import JournalPosts, Stored
from broadcaster.redact import whereabouts
from broadcaster.types import Post, PostKind

log = logging.getLogger(__name__)

RING: Final = 20_000
"""Free posts that wait for the loop: two seconds of the greatest flood that is planned for, some 15 MB. The oldest
go first: of comments the latest are worth most."""

TURN_S: Final = 0.003
"""The loop is held no longer than this at a time: an eighth of a tick, and less than a piece of sound takes."""

PAUSE_S: Final = 0.002
"""Between two turns: a flood gets three fifths of the loop at most."""

BATCH: Final = 64
"""Posts taken under the lock at a time."""

OWED: Final = 10_000
"""Paid posts that are kept in memory while the journal takes nothing: a long evening of a busy room."""

OWED_AT_ONCE: Final = 256
_LIVE: Final = (PostKind.LIVE_START, PostKind.LIVE_END)
_NOTHING: Final[Future[None]] = Future()
_NOTHING.set_result(None)


class RoomIntake:
    """Port `Intake`. `free` and `stored` are told of posts in the loop, `live` of the beginning and the end of a
    broadcast. `session_ns` is read when a paid post is stored.
    """

    def __init__(
        self,
        journal: JournalPosts,
        *,
        free: Callable[[Post], None],
        stored: Callable[[Stored], None],
        live: Callable[[Post], None],
        session_ns: Callable[[], int],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.shed: Counter[str] = Counter()
        """Free posts that came faster than they could be looked at, by kind."""
        self.faults = 0
        self.paid_refused = 0
        self.paid_lost = 0
        self.paid_twice = 0
        self._journal = journal
        self._free = free
        self._stored = stored
        self._live = live
        self._session_ns = session_ns
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._ring: deque[Post] = deque()
        self._awake = False
        self._owed: deque[Post] = deque()
        self._troubled = False

    @property
    def waiting(self) -> int:
        """Free posts that nobody has looked at yet."""
        return len(self._ring)

    @property
    def owed(self) -> int:
        """Paid posts that the journal has not taken yet."""
        return len(self._owed)

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        """See `ports.Intake.bring`."""
        paid: list[Post] = []
        free: list[Post] = []
        for post in posts:
            if post.price > 0 or post.kind is PostKind.REVOKE:
                paid.append(post)
            elif post.kind in _LIVE:
                self._call(self._live, post)
            else:
                free.append(post)
        if free:
            self._gather(free)
        return self._store(paid) if paid else _NOTHING

    async def catch_up(self) -> None:
        """Once a second tries again what the journal would not take. Ends only by cancel."""
        while True:
            await asyncio.sleep(1.0)
            at_once = OWED_AT_ONCE
            while self._owed:
                batch = [self._owed.popleft() for _ in range(min(at_once, len(self._owed)))]
                try:
                    self._take(batch, await asyncio.wrap_future(self._journal.bring(batch, self._session_ns())))
                except JournalError:
                    if not self._journal.error and len(batch) == 1:
                        self._lose(1)
                        continue
                    self._owed.extendleft(reversed(batch))
                    if self._journal.error:
                        break
                    at_once = 1  # one that can never be stored must not hold up the others

    # -- free -------------------------------------------------------------------------------------------------

    def _gather(self, posts: list[Post]) -> None:
        with self._lock:
            self._ring.extend(posts)
            while len(self._ring) > RING:
                self.shed[self._ring.popleft().kind.value] += 1
            wake, self._awake = not self._awake, True
        if wake:
            self._call(self._turn)

    def _turn(self) -> None:
        until = self._clock() + TURN_S
        while True:
            with self._lock:
                batch = [self._ring.popleft() for _ in range(min(BATCH, len(self._ring)))]
                self._awake = bool(batch)
            if not batch:
                return
            for post in batch:
                self._look_at(post)
            if self._clock() >= until:
                self._loop.call_later(PAUSE_S, self._turn)
                return

    def _look_at(self, post: Post) -> None:
        """A fault of ours in one post must not stop those behind it."""
        try:
            self._free(post)
        except Exception as err:
            if not self.faults:
                log.error("a post could not be looked at; the counter faults goes on", extra=whereabouts(err))
            self.faults += 1

    # -- paid -------------------------------------------------------------------------------------------------

    def _store(self, posts: list[Post]) -> Future[None]:
        named = [
            post if post.id or post.kind is PostKind.REVOKE else replace(post, id=f"~{secrets.token_hex(8)}")
            for post in posts
        ]
        outcome: Future[None] = Future()
        outcome.set_running_or_notify_cancel()  # who stops waiting for it does not stop it

        def done(stored: Future[Stored]) -> None:
            err = stored.exception()
            if err is not None:
                self._call(self._refused, named, str(err))
                outcome.set_exception(err)
            else:
                self._call(self._take, named, stored.result())
                outcome.set_result(None)

        self._journal.bring(named, self._session_ns()).add_done_callback(done)
        return outcome

    def _take(self, posts: Sequence[Post], stored: Stored) -> None:
        if self._troubled and not self._owed:
            self._troubled = False
            log.info("what is paid for is stored again")
        self.paid_twice += sum(post.kind is not PostKind.REVOKE for post in posts) - len(stored.new)
        self._stored(stored)

    def _refused(self, posts: list[Post], reason: str) -> None:
        """What has an id may come again and counts once then; of the rest whoever sent it must send it again."""
        if not self._troubled:
            log.error("what was paid for cannot be stored; it is kept in memory", extra={"reason": reason})
        self._troubled = True
        self.paid_refused += len(posts)
        kept = [post for post in posts if not post.id.startswith("~")]
        self._owed.extend(kept)
        while len(self._owed) > OWED:
            self._owed.popleft()
            self._lose(1)

    def _lose(self, count: int) -> None:
        if not self.paid_lost:
            log.error("something that was paid for cannot be stored; the counter paid_lost goes on")
        self.paid_lost += count

    def _call(self, what: Callable[..., object], *values: object) -> None:
        """In the loop; one that has ended needs nothing any more: what was paid for is in the journal."""
        try:
            self._loop.call_soon_threadsafe(what, *values)
        except RuntimeError:
            pass
