"""What was paid for, over a real journal: on disk before it is acknowledged, one prompt each, in order, to an end."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from broadcaster.config.room import Inbox as InboxConfig
from broadcaster.director.admission import Admission
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.intake import RoomIntake
from broadcaster.director.room.prompts import Prompts
from broadcaster.director.room.thanks import Window
from broadcaster.director.room.till import Till
from broadcaster.errors import JournalError
from broadcaster.journal import Journal
from broadcaster.journal.posts import Stored
from broadcaster.types import Inbound, Lane, Post, PostKind, Viewer
from tests.fakes.gate import PassGate

pytestmark = pytest.mark.contract


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def chat(id: str, text: str = "加油", *, who: str = "a", price: int = 30_000) -> Post:
    return Post("test", PostKind.SUPER_CHAT, id, Viewer(who, f"name {who}", 3), text, price=price, received_ns=now())


def gift(id: str, *, who: str = "a", price: int = 100, item: str = "rose") -> Post:
    viewer = Viewer(who, f"name {who}")
    return Post("test", PostKind.GIFT, id, viewer, item=item, price=price, received_ns=now())


def now() -> int:
    return time.time_ns()


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # a thread's work is waited for
            await asyncio.sleep(0.002)


async def test_it_is_on_disk_when_it_is_acknowledged_and_becomes_one_prompt(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(chat("1"), chat("2", "[dog][打call]！"), gift("3", price=60_000))
        assert set(await made.states()) == {"test:1", "test:2", "test:3"}
        await made.bring(chat("1"))
        await until(lambda: len(made.queue) == 3)
        lanes = [(each.lane, each.kind.value, each.paid, each.post) for each in made.queue]
        assert lanes == [
            (Lane.SUPER_CHAT, "ask", 30_000, "test:1"),
            (Lane.SUPER_CHAT, "event", 30_000, "test:2"),
            (Lane.SUPPORT, "event", 60_000, "test:3"),
        ]
        assert made.intake.paid_twice == 1
        assert [each.viewer and each.viewer.id for each in made.queue] == ["test:a"] * 3
        made.end()
        made.end("skipped", "dropped")
        made.end("cut", "interrupted")
        assert list((await made.states()).values()) == ["done", "skipped", "cut"]


async def test_what_does_not_fit_stays_on_disk_and_follows_in_order(path: Path) -> None:
    async with counter(path, room=3) as made:
        for start in range(0, 40, 10):
            await made.bring(*(chat(f"{number:02}") for number in range(start, start + 10)))
        await until(lambda: len(made.queue) == 3 and made.till.on_disk == 37)
        heard = []
        while len(heard) < 40:
            await until(lambda: made.queue)
            assert len(made.queue) <= 3
            heard.append(made.end().post)
        assert heard == [f"test:{number:02}" for number in range(40)]
        assert set((await made.states()).values()) == {"done"}
        await until(lambda: made.till.on_disk == 0)


async def test_after_a_crash_what_waited_comes_and_what_was_queued_is_not_made_again(path: Path) -> None:
    async with counter(path, room=2) as made:
        await made.bring(*(chat(str(number)) for number in range(5)))
        await until(lambda: len(made.queue) == 2)
    async with counter(path, room=10) as made:
        await made.bring(chat("3"), chat("5"))
        await until(lambda: len(made.queue) == 4)
        assert [each.post for each in made.queue] == [f"test:{number}" for number in (2, 3, 4, 5)]
        assert [entry.prompt.post for entry in await made.journal.unfinished()] == [f"test:{n}" for n in range(6)]
        assert made.queue[0].viewer is not None
        assert made.queue[0].viewer.name == "name a"


async def test_small_gifts_are_one_prompt_and_all_of_them_are_marked_with_it(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(gift("1"), gift("2"), gift("3", who="b"))
        await until(lambda: len(made.window) == 2)
        assert made.till.thank(made.window.close(1e9), Lane.THANKS) is None
        await until(lambda: made.queue)
        (prompt,) = made.queue
        assert (prompt.paid, prompt.lane) == (300, Lane.THANKS)
        assert [(each.viewer.name, each.happening.count) for each in prompt.given] == [("name a", 2), ("name b", 1)]
        made.end()
        assert set((await made.states()).values()) == {"done"}


async def test_a_gift_that_waited_in_a_window_when_the_power_went_is_thanked_for_afterwards(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(gift("1"))
        await until(lambda: len(made.window) == 1)
    async with counter(path) as made:
        await until(lambda: len(made.window) == 1)


async def test_a_super_chat_that_is_taken_back(path: Path) -> None:
    """While it waits on disk, with its prompt, after its end, and before it has come at all."""
    async with counter(path, room=1) as made:
        await made.bring(chat("queued"), chat("waiting"))
        await until(lambda: len(made.queue) == 1)
        (prompt,) = made.queue
        await made.bring(Post("test", PostKind.REVOKE, revokes=("waiting", "queued", "early"), received_ns=now()))
        assert made.revoked == [None, prompt.id]
        made.end("skipped", "revoked")
        await made.bring(chat("early"), chat("last"))
        await until(lambda: made.queue)
        made.end()
        await made.bring(Post("test", PostKind.REVOKE, revokes=("last",), received_ns=now()))
        assert made.revoked == [None, prompt.id]
        states = await made.states()
        assert states == {
            "test:queued": "revoked",
            "test:waiting": "revoked",
            "test:early": "revoked",
            "test:last": "done",
        }


async def test_what_is_taken_back_while_it_is_being_queued_is_not_offered(path: Path) -> None:
    async with counter(path) as made:
        made.intake.bring([chat("1"), chat("2")])
        made.intake.bring([Post("test", PostKind.REVOKE, revokes=("1",), received_ns=now())])
        await until(lambda: made.queue)
        await made.journal.flush()
        assert [each.post for each in made.queue] == ["test:2"]
        assert await made.states() == {"test:1": "revoked", "test:2": "queued"}


async def test_a_text_that_cannot_be_said_is_shortened_or_left_out_and_stops_nobody(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(
            chat("long", "字" * 5000), chat("blank", "\x00\x01"), chat("1"), gift("2", price=60_000, who="x" * 300)
        )
        await until(lambda: len(made.queue) == 4)
        kinds = [(each.kind.value, len(each.text) <= 100) for each in made.queue]
        assert kinds == [("ask", True), ("event", True), ("ask", True), ("event", True)]


async def test_nothing_is_made_for_somebody_who_is_banned_and_the_journal_says_why(path: Path) -> None:
    async with counter(path) as made:
        made.rules.bans.add("test:a")
        await made.bring(chat("1"), gift("2"), chat("3", who="b"))
        await until(lambda: made.queue)
        assert [each.post for each in made.queue] == ["test:3"]
        await until(lambda: made.till.skipped == {"banned": 2})
        assert await made.states() == {"test:1": "skipped", "test:2": "skipped", "test:3": "queued"}
        await made.bring(gift("4", who="c"), gift("5", who="d"))
        await until(lambda: len(made.window) == 2)
        made.rules.bans.add("test:c")
        made.till.thank(made.window.close(1e9), Lane.THANKS)
        await until(lambda: len(made.queue) == 2)
        assert made.queue[1].viewer == Viewer("test:d", "name d")
        assert (await made.states())["test:4"] == "skipped"


async def test_the_total_of_a_viewer_counts_every_post_once_and_from_the_beginning_of_the_broadcast(
    path: Path,
) -> None:
    async with counter(path) as made:
        await made.bring(chat("1"), gift("2"), gift("2"))
        guest = made.audience.get("test:a")
        assert guest is not None
        assert guest.paid == 30_100
        made.audience.save()
    async with counter(path) as made:
        await made.audience.load()
        guest = made.audience.get("test:a")
        assert guest is not None
        assert (guest.paid, guest.posts, guest.viewer.level) == (30_100, 2, 3)
        made.audience.begin_session(5)
        await made.bring(gift("3"))
        assert guest.paid == 100
    async with counter(path) as made:
        made.audience.session_ns = 5
        await made.audience.load()
        guest = made.audience.get("test:a")
        assert guest is not None
        assert guest.paid == 100


async def test_from_any_thread_and_none_counts_twice(path: Path) -> None:
    async with counter(path) as made:
        futures = []

        def bring() -> None:
            futures.extend(made.intake.bring([chat(str(number))]) for number in range(50))

        threads = [threading.Thread(target=bring) for _ in range(4)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        await asyncio.gather(*map(asyncio.wrap_future, futures))
        await until(lambda: len(made.queue) == 50)
        assert made.intake.paid_twice == 150
        assert len(await made.states()) == 50


async def test_a_journal_that_takes_nothing_refuses_aloud_and_what_has_an_id_follows_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("broadcaster.journal.sqlite.BUSY_SECONDS", 0.05)
    async with counter(path) as made:
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(JournalError, match="locked"):
                await made.bring(chat("1"), chat(""))
        assert (made.intake.owed, made.intake.paid_refused) == (2, 4)
        assert made.queue == []
        locker.execute("ROLLBACK")
        locker.close()
        await made.bring(chat("2"))
        await until(lambda: made.intake.owed == 0)
        await until(lambda: len(made.queue) == 2)
        assert {each.post for each in made.queue} == {"test:1", "test:2"}
    told = [record.getMessage() for record in caplog.records if "paid" in record.getMessage()]
    assert told == ["what was paid for cannot be stored; it is kept in memory", "what is paid for is stored again"]


async def test_a_full_disk_refuses_aloud_and_what_was_stored_before_is_not_lost(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(chat("before"))
        await until(lambda: made.queue)
        writer = made.journal._writer
        pages = await writer.durable(lambda db: db.execute("PRAGMA page_count").fetchone())
        await writer.durable(lambda db: db.execute(f"PRAGMA max_page_count = {pages[0]}").fetchone())
        with pytest.raises(JournalError, match=r"full.*free space"):
            await made.bring(chat("big", "字" * 9000))
        writer._db._inode = None  # another connection has no such limit
        await until(lambda: len(made.queue) == 2)  # what was refused is tried again
        await made.bring(chat("after"))
        await until(lambda: len(made.queue) == 3)
        assert {each.post for each in made.queue} == {"test:before", "test:big", "test:after"}
        assert len(await made.states()) == 3


async def test_what_is_held_in_memory_has_a_bound_and_what_is_lost_is_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("broadcaster.journal.sqlite.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("broadcaster.director.room.intake.OWED", 3)
    async with counter(path) as made:
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError):
            await made.bring(*(chat(str(number)) for number in range(5)))
        await until(lambda: made.intake.paid_refused == 5)
        assert (made.intake.owed, made.intake.paid_lost) == (3, 2)
        locker.execute("ROLLBACK")
        locker.close()
    assert sum("paid_lost" in record.getMessage() for record in caplog.records) == 1


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("bring"), st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["chat", "gift", "small"])))
        ),
        st.tuples(st.just("revoke"), st.integers(0, 25)),
        st.tuples(st.just("end"), st.integers(1, 4)),
        st.tuples(st.just("close window"), st.none()),
        st.tuples(st.just("crash"), st.none()),
    ),
    min_size=3,
    max_size=20,
)


@settings(max_examples=15, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(_STEPS, st.integers(1, 5))
def test_whatever_happens_every_post_has_one_end_and_is_told_of_once(steps: list[tuple[str, Any]], room: int) -> None:
    """Sent again, taken back, more than fits, killed: and then left in peace."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_through(Path(folder, "journal.sqlite"), steps, room))


async def _live_through(path: Path, steps: list[tuple[str, Any]], room: int) -> None:
    ended: list[Inbound] = []
    sent: set[str] = set()
    left: list[tuple[str, Any]] = [*steps, ("crash", None)]
    restored: list[Inbound] = []
    while left:
        async with counter(path, room) as made:
            made.queue = restored
            while left:
                what, about = left.pop(0)
                if what == "crash":
                    break
                await _do(made, what, about, ended, sent)
            await asyncio.sleep(0)
        journal = Journal(path)
        await journal.open()
        restored = [entry.prompt for entry in await journal.unfinished()]
        journal.close()
    async with counter(path, room) as made:
        made.queue = restored
        await _all_said(made, ended)
        states = await made.states()
    told = Counter(key for prompt in ended for key in _keys(path, prompt))
    assert set(states) >= sent
    assert set(states.values()) <= {"done", "revoked"}
    assert {key for key, state in states.items() if state == "done"} <= set(told)
    assert set(told.values()) <= {1}


async def _do(made: Box, what: str, about: Any, ended: list[Inbound], sent: set[str]) -> None:
    if what == "bring":
        posts = [chat(f"{n}") if kind == "chat" else gift(f"{n}", who=str(n), price=60_000 if kind == "gift" else 1)
                 for n, kind in about]  # fmt: skip
        sent |= {post.key for post in posts}
        await made.bring(*posts)
    elif what == "revoke":
        before = len(made.revoked)
        await made.bring(Post("test", PostKind.REVOKE, revokes=(str(about),), received_ns=now()))
        await asyncio.sleep(0)
        for prompt in made.revoked[before:]:
            found = next((each for each in made.queue if each.id == prompt), None)
            if found is not None:
                made.queue.remove(found)
                made.journal.finish(found.id, "skipped", "revoked")
                made.till.freed()
    elif what == "end":
        for _ in range(min(about, len(made.queue))):
            ended.append(made.end())
    else:
        await asyncio.sleep(0)
        if parts := made.window.close(1e9):
            made.till.thank(parts, Lane.THANKS)


async def _all_said(made: Box, ended: list[Inbound]) -> None:
    async with asyncio.timeout(10):
        while set((await made.states()).values()) & {"waiting", "queued"}:
            await _do(made, "close window", None, ended, set())
            await _do(made, "end", 100, ended, set())
            await asyncio.sleep(0.005)


def _keys(path: Path, prompt: Inbound) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [
            row[0] for row in db.execute("SELECT key FROM posts WHERE prompt = ? AND state = 'done'", (prompt.id,))
        ]
    finally:
        db.close()
