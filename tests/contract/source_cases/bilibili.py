"""Bilibili over Open-Live, beside a server that speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broadcaster.config.sources import BilibiliSource
from broadcaster.ports import Source
from sources.bilibili.source import BilibiliRoom
from tests.contract.source_cases.case import LABEL, NAME, PRICE, TEXT, Platform, SourceCase
from tests.fakes import bilibili_server as fake
from tests.fakes.bilibili_server import APP_ID, CODE, KEY_ID, SECRET, BilibiliServer
from tests.support.net import free_port


def _source(url: str) -> BilibiliRoom:
    return BilibiliRoom(
        BilibiliSource.model_validate(
            {
                "name": LABEL,
                "access_key_id": KEY_ID,
                "access_key_secret": SECRET,
                "app_id": APP_ID,
                "code": CODE,
                "url": url,
            }
        )
    )


@asynccontextmanager
async def _there(folder: Path) -> AsyncIterator[Platform]:
    async with BilibiliServer() as server:

        async def comment() -> None:
            await server.send(fake.message("DM", open_id="o1", uname=NAME, msg=TEXT, msg_id="1"))

        async def gift() -> None:
            fields = {"open_id": "o1", "uname": NAME, "gift_name": TEXT, "gift_num": 2, "r_price": PRICE // 2}
            await server.send(fake.with_zlib(fake.message("SEND_GIFT", **fields, paid=True, msg_id="2")))

        yield Platform(_source(server.url), comment, gift, lambda: not server.running)


@asynccontextmanager
async def _away(folder: Path) -> AsyncIterator[Source]:
    yield _source(f"http://127.0.0.1:{free_port()}")


CASE = SourceCase((KEY_ID, SECRET, CODE), _there, _away)
