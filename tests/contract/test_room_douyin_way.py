"""From a push of Douyin to what the host answers: a real source and a real journal, in a running director."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from broadcaster.brain.mind import ChainMind
from broadcaster.brain.responder import Responder
from broadcaster.paths import Paths
from sources.douyin.source import DouyinRoom
from tests.contract.test_source_douyin import room_at
from tests.fakes.douyin_server import DouyinServer, comment, gift, signed
from tests.support.directing import Brain, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.contract

AIRDROP = "pGLo7HKNk1i4djkicmJXf6iWEyd+pfPBjbsHmd3WcX0Ierm2UdnRR7UINvI="


@asynccontextmanager
async def on_air(made: Station, server: DouyinServer, **options: Any) -> AsyncIterator[DouyinRoom]:
    room = room_at(server, **options)
    running = asyncio.create_task(room.run(made.director.room.intake))
    await until(lambda: room.status()["connected"] and (len(server.tasks) == 2 or "room_id" in options))
    yield room
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def done(made: Station) -> int:
    count: int = made.director.status()["counters"]["done"]
    return count


def mind() -> ChainMind:
    """What is answered is written by a brain; thanks are the host's own."""
    return ChainMind.of([Brain("brain", ["唱一首老歌。"])], Responder("小播"))


def said(made: Station) -> list[str]:
    return [event["text"] for event in made.events if event["type"] == "on_air"]


async def test_a_gift_is_thanked_for_once_however_often_it_comes(paths: Paths) -> None:
    async with DouyinServer() as server, station(paths, mind=mind()) as made, on_air(made, server) as room:
        dear = gift(value=5200, nickname="阿树", sec_gift_id=AIRDROP)
        for _ in range(3):
            assert await server.push(room.address, "live_gift", [dear], limit_s=20) == 200
        assert await server.push(room.address, "live_comment", [comment("主播今天唱什么歌？")], limit_s=20) == 200
        await until(lambda: done(made) == 2)
        assert sum("阿树" in text and "神秘空投" in text for text in said(made)) == 1
        assert any("唱一首老歌" in text for text in said(made))


async def test_gifts_are_on_disk_and_answered_while_the_directors_loop_stands_still(paths: Paths) -> None:
    async with (
        DouyinServer() as server,
        station(paths, mind=mind()) as made,
        on_air(made, server, room_id=None) as room,
    ):
        answers: list[int] = []

        def push() -> None:
            with httpx.Client(trust_env=False) as client:
                for number in range(5):
                    body = json.dumps([gift(value=5200, nickname="甲乙丙丁戊"[number])]).encode()
                    answer = client.post(room.address, content=body, headers=signed("live_gift", body))
                    answers.append(answer.status_code)

        pushing = threading.Thread(target=push)
        pushing.start()
        pushing.join(20)  # nothing of the director goes on until here
        assert answers == [200] * 5
        await until(lambda: done(made) == 5)
