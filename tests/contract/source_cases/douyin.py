"""Douyin over its data push, beside a server that has its API and pushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broadcaster.config.sources import DouyinSource
from broadcaster.ports import Source
from sources.douyin.source import DouyinRoom
from tests.contract.source_cases.case import LABEL, NAME, PRICE, TEXT, Platform, SourceCase
from tests.fakes import douyin_server as fake
from tests.fakes.douyin_server import APP_ID, APP_SECRET, PUSH_SECRET, ROOM, DouyinServer
from tests.support.net import free_port

GIFT = {"sec_gift_id": "of no list", "gift_name": TEXT, "nickname": NAME}


def _source(url: str) -> DouyinRoom:
    return DouyinRoom(
        DouyinSource.model_validate(
            {
                "name": LABEL,
                "app_id": APP_ID,
                "app_secret": APP_SECRET,
                "push_secret": PUSH_SECRET,
                "room_id": ROOM,
                "push": ["live_comment", "live_gift"],
                "port": 0,
                "url": url,
                "token_url": f"{url}/api/apps/v2/token",
            }
        )
    )


@asynccontextmanager
async def _there(folder: Path) -> AsyncIterator[Platform]:
    async with DouyinServer() as server:
        source = _source(server.url)

        async def push(kind: str, item: dict[str, Any]) -> None:
            while kind not in server.tasks:  # noqa: ASYNC110  # they are started one after the other
                await asyncio.sleep(0.002)
            assert await server.push(source.address, kind, [item], limit_s=20) in (200, 503)

        async def comment() -> None:
            await push("live_comment", fake.comment(TEXT, nickname=NAME))

        async def gift() -> None:
            await push("live_gift", fake.gift(value=PRICE // 10, **GIFT))

        yield Platform(source, comment, gift, lambda: not server.tasks)


@asynccontextmanager
async def _away(folder: Path) -> AsyncIterator[Source]:
    yield _source(f"http://127.0.0.1:{free_port()}")


CASE = SourceCase((APP_SECRET, PUSH_SECRET, "c0ffee"), _there, _away)
