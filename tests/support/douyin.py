"""A room of Douyin, and its API on a clock of its own, at a local server. For tests of the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from broadcaster.config.sources import DouyinSource
from sources.douyin.api import Api
from sources.douyin.source import DouyinRoom
from sources.trust import authorities
from tests.fakes.douyin_server import APP_ID, APP_SECRET, PUSH_SECRET, ROOM, DouyinServer
from tests.fakes.intake import KeepingIntake
from tests.support.waiting import until

FEW = ("live_comment", "live_gift")
"""So few that no call has to wait for the platform's pace."""


def room_at(server: DouyinServer, **options: Any) -> DouyinRoom:
    given = {
        "app_id": APP_ID,
        "app_secret": APP_SECRET,
        "push_secret": PUSH_SECRET,
        "room_id": ROOM,
        "port": 0,
        "push": FEW,
        "url": server.url,
        "token_url": f"{server.url}/api/apps/v2/token",
    }
    return DouyinRoom(DouyinSource.model_validate({**given, **options}))


@asynccontextmanager
async def on_air(**options: Any) -> AsyncIterator[tuple[DouyinServer, DouyinRoom, KeepingIntake]]:
    """A room whose tasks run; it is cancelled in the end, as the daemon does it."""
    async with DouyinServer() as server:
        room, intake = room_at(server, **options), KeepingIntake()
        running = asyncio.create_task(room.run(intake))
        try:
            await until(lambda: room.status()["connected"] and ("room_id" in options or server.tasks >= set(FEW)))
            yield server, room, intake
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert not room.status()["connected"]


class Virtual:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def api_of(server: DouyinServer, time: Virtual, **options: Any) -> Api:
    return Api(
        app_id=APP_ID,
        secret=APP_SECRET,
        url=server.url,
        token_url=f"{server.url}/api/apps/v2/token",
        trusted=authorities(),
        clock=time.clock,
        sleep=time.sleep,
        **options,
    )
