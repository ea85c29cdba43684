"""The way of a post through a running director: queued, answered, thanked for, once."""

from __future__ import annotations

import time

import pytest

from broadcaster.paths import Paths
from broadcaster.types import Post, PostKind, Viewer
from tests.support.directing import Brain, station, until

pytestmark = pytest.mark.contract


def post(kind: PostKind, id: str = "", text: str = "", *, price: int = 0, item: str = "", who: str = "小明") -> Post:
    return Post("test", kind, id, Viewer(f"id-{who}", who), text, item, 1, price, 0, time.time_ns())


async def test_a_comment_is_answered_and_a_super_chat_too(paths: Paths) -> None:
    brain = Brain("brain", ["这是回答。"])
    async with station(paths, brains=[brain]) as made:
        intake = made.director.room.intake
        intake.bring([post(PostKind.COMMENT, "1", "今天几点下播？")])
        intake.bring([post(PostKind.SUPER_CHAT, "2", "主播加油", price=30_000)]).result(5)
        await until(lambda: made.types("") == [] and len(brain.turns) == 2)
        await until(lambda: made.director.status()["counters"]["done"] == 2)
