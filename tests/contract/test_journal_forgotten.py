"""A viewer is forgotten while the channel runs: what waits for free leaves the queue, what was paid for is said."""

from __future__ import annotations

import asyncio
import time

import pytest

from broadcaster.journal.database import open_for_reading
from broadcaster.paths import Paths
from broadcaster.types import Inbound, Origin, Post, PostKind, PromptKind, Role, Viewer
from tests.support.directing import OPERATOR, Brain, station
from tests.support.waiting import until

pytestmark = pytest.mark.contract

BY = Origin("bilibili", "小明", Role.VIEWER)


def post(kind: PostKind, name: str, viewer: str, text: str, price: int = 0) -> Post:
    return Post("bilibili", kind, name, Viewer(viewer, "小明"), text, price=price, received_ns=time.time_ns())


async def test_what_was_paid_for_is_said_first(paths: Paths) -> None:
    async with station(paths, brains=[Brain("b", ["好的，谢谢大家。"])], playout=False) as on:
        director = on.director
        director._inbox.pause(True)
        await asyncio.wrap_future(
            director.room.intake.bring([post(PostKind.SUPER_CHAT, "m1", "ming", "什么时候下播？", 30_000)])
        )
        await asyncio.wrap_future(
            director.room.intake.bring([post(PostKind.COMMENT, "m2", "ming", "今天聊什么呀？")])
        )
        await asyncio.wrap_future(
            director.room.intake.bring([post(PostKind.COMMENT, "m3", "hong", "主播吃饭了吗？")])
        )
        await until(lambda: len(director._inbox) == 3)
        held = Inbound("h1", PromptKind.ASK, "加我微信", BY, time.time_ns(), viewer=Viewer("bilibili:ming", "小明"))
        director._moderators.hold(held, "contacts")
        await director.forget("bilibili:ming", OPERATOR)
        assert len(director._inbox) == 2
        assert (await director.queue(9))["held"] == 0
        assert director.room.audience.get("bilibili:ming") is None
        assert director.room.audience.get("bilibili:hong") is not None
        await director.journal.flush()
        db = open_for_reading(paths.journal)
        assert db.execute("SELECT state, viewer FROM posts").fetchall() == [("queued", "bilibili:ming")]
        db.close()
    async with station(paths, brains=[Brain("b", ["好的，谢谢大家。"])]) as on:
        ended = lambda: [event for event in on.events if event["type"] == "done"]  # noqa: E731
        await until(lambda: len(ended()) == 1)
        await on.director.journal.flush()
        db = open_for_reading(paths.journal)
        assert db.execute("SELECT state, text, viewer FROM posts").fetchall() == [("done", "", None)]
        assert db.execute("SELECT count(*) FROM audience WHERE id = 'bilibili:ming'").fetchone() == (0,)
        assert db.execute("SELECT text, viewer_id FROM prompts WHERE lane = 'super_chat'").fetchall() == [("", None)]
        db.close()
