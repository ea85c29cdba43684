"""Viewers' posts and moderators' commands in a running channel. For tests of what moderators do."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from broadcaster.paths import Paths
from broadcaster.types import Origin, Post, PostKind, Role, Verdict, VerdictKind, Viewer
from sources.moderation import QueueItem
from tests.fakes.gate import PassGate
from tests.support.directing import MODERATOR, Brain, Station
from tests.support.waiting import until

ALICE = Origin("control", "alice", Role.OPERATOR)
BLOCK = "这一句占着直播间。"
_numbers = itertools.count(1)


class Gate(PassGate):
    """Holds what has 扣 in it and drops what has 毒; every other text passes."""

    def glance(self, text: str) -> Verdict:
        return self._judge(text)

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        return [self._judge(text) for text in texts]

    def _judge(self, text: str) -> Verdict:
        if "毒" in text:
            return Verdict(VerdictKind.DROP, "", "word")
        if "扣" in text:
            return Verdict(VerdictKind.HOLD, text, "contact")
        return Verdict(VerdictKind.PASS, text)


def comment(text: str, viewer: str = "甲", **fields: Any) -> Post:
    number = next(_numbers)
    return Post(
        "test",
        PostKind.COMMENT,
        f"m{number}",
        Viewer(f"v-{viewer}", viewer),
        text,
        received_ns=time.time_ns(),
        **fields,
    )


def super_chat(text: str, viewer: str = "甲") -> Post:
    number = next(_numbers)
    return Post(
        "test", PostKind.SUPER_CHAT, f"s{number}", Viewer(f"v-{viewer}", viewer), text, price=30_000,
        received_ns=time.time_ns(),
    )  # fmt: skip


def brains() -> list[Brain]:
    return [Brain("brain", ["回答在这里。"])]


async def blocked(made: Station) -> None:
    """Somebody speaks and the next one waits in playout: what comes now stays in the queue."""
    made.playout.pause_in(BLOCK)
    for _ in range(2):
        await made.say(BLOCK)
    await until(lambda: len(made.director.rundown.active) == 2 and made.director.rundown.active[0].on_air is not None)


async def bring(made: Station, *posts: Post) -> list[str]:
    """Ids of the prompts that are made of them, in the order of the posts."""
    await asyncio.wrap_future(made.director.room.intake.bring(posts))
    found: dict[str, str] = {}

    async def listed() -> bool:
        for item in (await made.director.queue(500))["items"]:
            found.setdefault(item["text"], item["id"])
        return all(post.text in found for post in posts)

    async with asyncio.timeout(4):
        while not await listed():  # noqa: ASYNC110  # the state of the channel is looked at
            await asyncio.sleep(0.005)
    return [found[post.text] for post in posts]


async def command(made: Station, kind: str, by: Origin = MODERATOR, **fields: Any) -> None:
    await made.director.moderate({"type": kind, **fields}, by)


async def items(made: Station) -> list[dict[str, Any]]:
    found = (await made.director.queue(500))["items"]
    for item in found:
        QueueItem.model_validate(item)
    return found


def decisions(paths: Paths) -> list[tuple[Any, ...]]:
    with sqlite3.connect(paths.journal) as db:
        return db.execute("SELECT action, by_whom, prompt, viewer, detail FROM decisions ORDER BY row").fetchall()


def reason(made: Station, prompt: str) -> str:
    return next(event["reason"] for event in made.events if event["type"] == "skipped" and event["id"] == prompt)
