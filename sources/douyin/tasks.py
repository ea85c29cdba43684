"""The push tasks of one room: started, watched, started again, stopped; and what was missed, asked for again.

Director's event loop. While no task runs the platform pushes nothing. What it could not deliver it keeps for a day,
gifts and fan clubs only, in pages without any mark of what was read: the place is kept here, and begun anew every
hour; what comes twice is told apart by its id, across restarts too where it was paid.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Final

from broadcaster.errors import JournalError, SourceError
from broadcaster.ports import Intake
from broadcaster.types import Post
from sources.douyin.api import NOT_READY, RUNNING, Api, ApiError
from sources.douyin.events import FAILED_KINDS, Events

log = logging.getLogger(__name__)

POLL_S: Final = 30.0
"""A task that ended is noticed within this time, and what was not delivered comes again within it."""

LOST_AFTER: Final = 5
"""Rounds in a row without an answer of the API, after which the source ends and is started anew."""

PAGES: Final = 40
"""Pages of one kind in one round: about 10 s at the allowed pace, then the tasks are looked at again."""

AFRESH_S: Final = 3600.0
"""So often the list of what was not delivered is read from its first page. What is older than a day leaves it, and
all behind moves up: a place that was right would be behind the end of the list for ever."""

OLD_S: Final = 600.0
"""Who joined the fan club longer ago is not welcomed any more. A gift is always thanked for."""

STORE_S: Final = 10.0
"""How long a page may take to be on disk; it is asked for again in the next round."""

STOP_S: Final = 1.5
"""How long saying goodbye may take. A task that is not stopped ends with the live."""

COUNTERS: Final = ("started", "poll_failures", "again", "old", "unreadable")
"""Tasks started; rounds without an answer; posts that came by asking again; those too old; entries of no sense."""


class Tasks:
    def __init__(
        self,
        api: Api,
        intake: Intake,
        *,
        source: str,
        room: str,
        kinds: Sequence[str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.events = Events(source)
        self.running: set[str] = set()
        self.trouble = ""
        """Why not all are running, for people."""
        self.stop_s = STOP_S
        self._api = api
        self._intake = intake
        self._source = source
        self._room = room
        self._kinds = tuple(dict.fromkeys(kinds))
        self._sleep = sleep
        self._wall_ns = wall_ns
        self._clock = clock
        self._begun: set[str] = set()
        """Those that were asked to start: a cancel may come before the answer."""
        self._ran: set[str] = set()
        """Those that ran at some time: what they could not deliver is kept after the end of the live too."""
        self._page = dict.fromkeys(FAILED_KINDS, 1)
        self._read: dict[str, set[str]] = {kind: set() for kind in FAILED_KINDS}
        """Ids on the page that is read again because it was not full."""
        self._afresh_at = self._clock() + AFRESH_S

    async def keep(self) -> None:
        """Never returns. Raises SourceError when the API does not answer at the start, or for `LOST_AFTER` rounds."""
        await self._round()
        failures = 0
        while True:
            await self._sleep(POLL_S)
            try:
                await self._round()
                failures = 0
            except SourceError as err:
                failures += 1
                self.counts["poll_failures"] += 1
                if not err.retryable or failures >= LOST_AFTER:
                    raise
                self._tell(str(err))

    async def stop(self) -> None:
        """Ends what runs, as far as that can be done in `stop_s`."""
        ending = self.running | self._begun
        self.running, self._begun = set(), set()
        if ending:
            stopping = [asyncio.ensure_future(self._api.stop(self._room, kind)) for kind in sorted(ending)]
            _, late = await asyncio.wait(stopping, timeout=self.stop_s)
            for call in late:
                call.cancel()
            await asyncio.gather(*stopping, return_exceptions=True)

    async def _round(self) -> None:
        trouble = ""
        for kind in self._kinds:
            trouble = await self._started(kind) or trouble
        if self._clock() >= self._afresh_at:
            self._afresh_at = self._clock() + AFRESH_S
            self._page = dict.fromkeys(FAILED_KINDS, 1)
        for kind in FAILED_KINDS:
            if kind in self._ran:
                await self._ask_again(kind)
        self._tell(trouble)

    async def _started(self, kind: str) -> str:
        """Sees to it that the task of `kind` runs; what is in its way, "" for nothing."""
        if await self._api.state(self._room, kind) != RUNNING:
            self.running.discard(kind)
            self._begun.add(kind)
            try:
                await self._api.start(self._room, kind)
            except ApiError as err:
                if err.code != NOT_READY:
                    raise
                return str(err)
            self.counts["started"] += 1
        self.running.add(kind)
        self._ran.add(kind)
        return ""

    async def _ask_again(self, kind: str) -> None:
        for _ in range(PAGES):
            try:
                page = await self._api.failed(self._room, kind, self._page[kind])
            except ApiError as err:
                if err.code != NOT_READY:
                    raise
                return
            read = self._read[kind]
            now_ns = self._wall_ns()
            self.counts["unreadable"] += page.odd
            fresh = [p for p in self.events.posts(kind, page.items, self._room, now_ns) if p.id not in read]
            due = [post for post in fresh if not _is_old(post, now_ns)]
            if not await self._brought(due):
                return
            self.counts["again"] += len(due)
            self.counts["old"] += len(fresh) - len(due)
            if not page.full:
                read.update(post.id for post in fresh)
                return
            self._page[kind] += 1
            read.clear()

    async def _brought(self, posts: list[Post]) -> bool:
        """Whether they are on disk."""
        if not posts:
            return True
        stored: Future[None] = self._intake.bring(posts)
        waiting = asyncio.wrap_future(stored)
        try:
            async with asyncio.timeout(STORE_S):
                await asyncio.shield(waiting)
        except (JournalError, TimeoutError):
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            return False
        return True

    def _tell(self, trouble: str) -> None:
        if trouble and not self.trouble:
            log.warning("not all push tasks are running", extra={"source": self._source, "reason": trouble})
        elif self.trouble and not trouble:
            log.info("the push tasks are running", extra={"source": self._source})
        self.trouble = trouble


def _is_old(post: Post, now_ns: int) -> bool:
    return not post.paid and 0 < post.at_ns < now_ns - int(OLD_S * 1e9)
