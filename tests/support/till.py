"""Intake and till of a room over a real journal, and what they are brought. For tests of what was paid for."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broadcaster.config.room import Inbox as InboxConfig
from broadcaster.director.admission import Admission
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.intake import RoomIntake
from broadcaster.director.room.prompts import Prompts
from broadcaster.director.room.thanks import Window
from broadcaster.director.room.till import Till
from broadcaster.journal import Journal
from broadcaster.journal.posts import Stored
from broadcaster.types import Inbound, Post, PostKind, Viewer
from tests.fakes.gate import PassGate


class Rules:
    slow_s = 0.0

    def __init__(self) -> None:
        self.bans: set[str] = set()

    def banned(self, viewer: str) -> bool:
        return viewer in self.bans


class Box:
    """Intake and till over a journal, and a queue that takes `room` prompts of each class."""

    def __init__(self, path: Path, room: int) -> None:
        self.journal = Journal(path)
        self.room = room
        self.queue: list[Inbound] = []
        self.rules = Rules()
        self.revoked: list[str | None] = []
        config = InboxConfig()
        self.audience = Audience(self.journal.audience)
        prompts = Prompts(Admission(100), PassGate(), "这位朋友", max_text=100)
        self.window = Window(0.0)
        self.till = Till(
            config, self.journal.posts, self.audience, prompts, self.rules, self.window,
            room_for=lambda lane: self.room - sum(each.lane is lane for each in self.queue), offer=self.offer,
            recalled=lambda prompt: self.journal.finish(prompt.id, "skipped", "revoked"),
        )  # fmt: skip
        self.intake = RoomIntake(
            self.journal.posts,
            free=lambda post: None,
            stored=self.stored,
            live=lambda post: None,
            session_ns=lambda: self.audience.session_ns,
        )

    def offer(self, prompt: Inbound, guest: Guest | None) -> None:
        self.queue.append(prompt)

    def stored(self, stored: Stored) -> None:
        self.till.take(stored.new)
        self.revoked += [prompt for _, prompt in stored.revoked if not self.till.recall(prompt or "")]

    async def bring(self, *posts: Post) -> None:
        await asyncio.wrap_future(self.intake.bring(posts))

    def end(self, state: str = "done", reason: str = "") -> Inbound:
        prompt = self.queue.pop(0)
        self.journal.finish(prompt.id, state, reason)
        self.till.freed()
        return prompt

    async def states(self) -> dict[str, str]:
        await self.journal.flush()
        db = sqlite3.connect(self.journal.place)  # type: ignore[arg-type]
        try:
            return dict(db.execute("SELECT key, state FROM posts ORDER BY received_ns, key").fetchall())
        finally:
            db.close()


@asynccontextmanager
async def counter(path: Path, room: int = 100) -> AsyncIterator[Box]:
    made = Box(path, room)
    await made.journal.open()
    made.till.awaits()
    tasks = [asyncio.create_task(made.till.run()), asyncio.create_task(made.intake.catch_up())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        made.journal.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


def chat(id: str, text: str = "加油", *, who: str = "a", price: int = 30_000) -> Post:
    return Post("test", PostKind.SUPER_CHAT, id, Viewer(who, f"name {who}", 3), text, price=price, received_ns=now())


def gift(id: str, *, who: str = "a", price: int = 100, item: str = "rose") -> Post:
    viewer = Viewer(who, f"name {who}")
    return Post("test", PostKind.GIFT, id, viewer, item=item, price=price, received_ns=now())


def now() -> int:
    return time.time_ns()
