"""A room of Bilibili at a local server. For tests of the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from broadcaster.config.sources import BilibiliSource
from broadcaster.errors import SourceError
from sources.bilibili.connection import Times
from sources.bilibili.source import BilibiliRoom
from tests.fakes.bilibili_server import APP_ID, CODE, KEY_ID, SECRET, BilibiliServer
from tests.fakes.intake import KeepingIntake
from tests.support.waiting import until

QUICK = Times(game=0.05, beat=0.05, answer=0.25, settled=0.1, close=0.1, end=0.5)
PATIENT = Times(answer=2.0, close=0.1, end=0.5)


def settings(server: BilibiliServer, **changes: Any) -> BilibiliSource:
    fields = {
        "name": "bili",
        "access_key_id": KEY_ID,
        "access_key_secret": SECRET,
        "app_id": APP_ID,
        "code": CODE,
        "url": server.url,
    }
    return BilibiliSource.model_validate({**fields, **changes})


class Room:
    def __init__(self, server: BilibiliServer, times: Times, changes: dict[str, Any]) -> None:
        self.server = server
        self.intake = KeepingIntake()
        self.source = BilibiliRoom(settings(server, **changes), times=times)
        self.task = asyncio.create_task(self.source.run(self.intake))

    def count(self, name: str) -> int:
        return int(self.source.status().get(name, 0))

    async def connected(self) -> None:
        await until(lambda: bool(self.server.sockets) and self.source.status()["connected"])

    async def ended(self) -> SourceError:
        """Why the run ended by itself."""
        with pytest.raises(SourceError) as caught:
            await asyncio.wait_for(self.task, 10)
        assert not self.source.status()["connected"]
        text = str(caught.value) + repr(caught.value.__cause__)
        assert not [secret for secret in (SECRET, CODE, KEY_ID, "观众") if secret in text]
        return caught.value


@asynccontextmanager
async def room(times: Times = PATIENT, server: BilibiliServer | None = None, **changes: Any) -> AsyncIterator[Room]:
    async with server or BilibiliServer() as running:
        made = Room(running, times, changes)
        try:
            yield made
        finally:
            made.task.cancel()
            with suppress(asyncio.CancelledError, SourceError):
                await made.task
