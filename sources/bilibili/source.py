"""A Bilibili live room: one session with the platform from its start to its end. Director's event loop.

While the session lives, a websocket that is lost after it held is followed by the next one of its addresses, for a
new session would cost what is said until the platform has closed the old one (it asks for ten seconds). Everything
else ends the run.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext
from typing import Any, Final, NoReturn

from broadcaster.config.sources import BilibiliSource
from broadcaster.errors import SourceError
from broadcaster.ports import Intake
from broadcaster.types import Post
from sources.bilibili.api import Game, OpenLive
from sources.bilibili.connection import Connection, Lost, Times, first_of
from sources.bilibili.events import Ended, Events
from sources.trust import trust

MISSED_BEATS: Final = 2
"""Heartbeats of the session in a row that may fail for a reason that passes: three of them are its whole life."""


class BilibiliRoom:
    """Port `Source`. `times` are the platform's own unless a test is in a hurry; `wall_ns` is the wall clock."""

    def __init__(
        self,
        settings: BilibiliSource,
        *,
        times: Times | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = settings.label
        self._settings = settings
        self._times = times or Times()
        self._wall_ns = wall_ns
        self._counts: Counter[str] = Counter()
        self._events = Events(self.name, wall_ns=wall_ns)
        self._room = ""
        self._connected = False

    async def run(self, intake: Intake) -> None:
        trusted = await trust()
        api = OpenLive(self._settings, trusted, wall_s=lambda: self._wall_ns() / 1e9)
        try:
            game = await self._start(api)
            self._counts["sessions"] += 1
            over = False
            try:
                await self._hold(api, game, intake, trusted)
            except SourceError as err:
                over = err.at_once
                raise
            finally:
                self._connected = False
                if not over:
                    await self._end(api, game)
        finally:
            await api.close()

    def status(self) -> dict[str, Any]:
        """Counters: `sessions`, `connections`, `frames`, `missed_beats`, `not_ended`; of what came in wrong:
        `oversized`, `text_frame`, `other_packets`, those of `packets.Unpacker` and of `events.Events`."""
        return {
            **self._counts,
            **self._events.counts,
            "connected": self._connected,
            "note": f"room {self._room}" if self._room else "",
        }

    async def _hold(self, api: OpenLive, game: Game, intake: Intake, trusted: SSLContext) -> None:
        if not game.auth or not game.links:
            raise SourceError("the platform began a session without an address for its websocket")
        self._room = game.room
        await first_of(self._keep(api, game), self._follow(game, intake, trusted))

    async def _keep(self, api: OpenLive, game: Game) -> NoReturn:
        missed = 0
        while True:
            await asyncio.sleep(self._times.game)
            try:
                await api.heartbeat(game)
                missed = 0
            except SourceError as err:
                if err.at_once or not err.retryable:
                    raise
                missed += 1
                self._counts["missed_beats"] += 1
                if missed >= MISSED_BEATS:
                    raise

    async def _follow(self, game: Game, intake: Intake, trusted: SSLContext) -> NoReturn:
        def take(bodies: list[bytes]) -> None:
            self._take(bodies, game, intake)

        failed = 0
        for link in itertools.cycle(game.links):
            self._counts["connections"] += 1
            try:
                await Connection(link, game.auth, trusted, self._times, self._counts).follow(take, self._opened)
            except Lost as err:
                self._connected = False
                failed = 0 if err.settled else failed + 1
                if failed >= len(game.links):
                    raise
        raise AssertionError("a cycle has no end")

    def _opened(self) -> None:
        self._connected = True

    def _take(self, bodies: list[bytes], game: Game, intake: Intake) -> None:
        """What came in one frame. Nobody waits for the answer: the platform has no acknowledgement."""
        read = [self._events.read(body, game.room) for body in bodies]
        posts = [event for event in read if isinstance(event, Post)]
        if posts:
            intake.bring(posts)
        if any(isinstance(event, Ended) and event.game in ("", game.id) for event in read):
            raise SourceError("the platform has ended the session", at_once=True)

    async def _start(self, api: OpenLive) -> Game:
        """Cancelled on the way, it still waits for the answer: the session that it tells of must be ended."""
        starting = asyncio.ensure_future(api.start())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(SourceError, TimeoutError):
                async with asyncio.timeout(self._times.end / 2):
                    game = await starting
                await self._end(api, game)
            raise

    async def _end(self, api: OpenLive, game: Game) -> None:
        """A session that is not ended bars the room for a while; one that cannot be ended now runs out by itself."""
        try:
            async with asyncio.timeout(self._times.end):
                await api.end(game)
        except (SourceError, TimeoutError):
            self._counts["not_ended"] += 1
