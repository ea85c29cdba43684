"""What was paid for, over a real journal: on disk before it is acknowledged, one prompt each, in order, to an end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from broadcaster.types import Lane, Post, PostKind, Viewer
from tests.support.till import chat, counter, gift, now
from tests.support.waiting import until

pytestmark = pytest.mark.contract


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


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
