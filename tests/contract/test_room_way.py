"""The way of a post through a running director, with a playout over its real socket: queued, answered, thanked."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from broadcaster.brain.mind import ChainMind
from broadcaster.brain.responder import Responder
from broadcaster.paths import Paths
from broadcaster.types import Origin, Post, PostKind, Verdict, VerdictKind, Viewer
from tests.fakes.gate import PassGate
from tests.support.directing import LONG, Brain, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.contract

QUICK = {"inbox": {"thanks_window_s": 0, "welcome_window_s": 0}}


class WordGate(PassGate):
    """What is judged at a cost: drops, holds and masks by what a text says."""

    def __init__(self) -> None:
        self.judged: list[list[str]] = []

    async def hear(self, texts: Any, origin: Origin) -> list[Verdict]:
        self.judged.append(list(texts))
        return [self._judge(text) for text in texts]

    @staticmethod
    def _judge(text: str) -> Verdict:
        for kind in (VerdictKind.DROP, VerdictKind.HOLD):
            if kind.value in text:
                return Verdict(kind, text, "word")
        return Verdict(VerdictKind.MASK if "mask" in text else VerdictKind.PASS, text.replace("mask", "*"))


def post(kind: PostKind, id: str = "", text: str = "", *, price: int = 0, item: str = "", who: str = "小明") -> Post:
    return Post("test", kind, id, Viewer(f"id-{who}", who), text, item, 1, price, 0, time.time_ns())


def mind() -> ChainMind:
    """A brain of one answer, and the built-in rules that thank."""
    return ChainMind.of([Brain("brain", ["这是回答。"])], Responder("小播"))


def chat(id: str, text: str = "主播加油", who: str = "小明") -> Post:
    return post(PostKind.SUPER_CHAT, id, text, price=30_000, who=who)


async def bring(made: Station, *posts: Post) -> None:
    await asyncio.wrap_future(made.director.room.intake.bring(posts))


def counters(made: Station) -> dict[str, int]:
    found: dict[str, int] = made.director.status()["counters"]
    return found


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def test_comments_super_chats_gifts_and_welcomes_go_on_air_once_each(paths: Paths) -> None:
    async with station(paths, mind=mind(), settings=QUICK) as made:
        await bring(
            made, post(PostKind.COMMENT, "1", "今天几点下播？"), post(PostKind.COMMENT, "1", "今天几点下播？")
        )
        await until(lambda: counters(made)["done"] == 1)
        await bring(made, chat("2"), chat("2"), post(PostKind.GUARD, "3", price=198_000, item="舰长"))
        await until(lambda: counters(made)["done"] == 3)
        await bring(made, *(post(PostKind.GIFT, f"g{n}", price=100, item="花", who=f"观众{n % 2}") for n in range(6)))
        await until(lambda: counters(made)["done"] == 4)
        await bring(made, post(PostKind.ENTER, "9", who="新来的"))
        await until(lambda: counters(made)["done"] == 5)
        await made.director.journal.flush()
        assert made.director.status()["room"]["twice"] == 1
    found = rows(paths.journal, "SELECT key, state FROM posts ORDER BY key")
    assert found == [("test:2", "done"), ("test:3", "done"), *((f"test:g{n}", "done") for n in range(6))]
    prompts = rows(paths.journal, "SELECT lane, state, paid, why FROM prompts ORDER BY received_ns")
    assert [row[:3] for row in prompts] == [
        ("question", "done", 0), ("super_chat", "done", 30_000), ("support", "done", 198_000),
        ("thanks", "done", 600), ("welcome", "done", 0),
    ]  # fmt: skip
    assert all(row[3].startswith('{"lane"') for row in prompts)
    assert rows(paths.journal, "SELECT DISTINCT lane FROM asrun WHERE outcome = 'heard'")


async def test_a_super_chat_that_is_taken_back_in_the_queue_and_on_air(paths: Paths) -> None:
    revoke = post(PostKind.REVOKE)
    async with station(paths, brains=[Brain("brain", ["第一句话在这里。第二句话在这里。第三句话在这里。"])]) as made:
        made.playout.pause_in("第二句话在这里。")
        await bring(made, chat("air"), chat("next", "第二个"), chat("queue", "第三个"), chat("last", "第四个"))
        await until(lambda: made.playout.heard() == ["第一句话在这里。"])
        await bring(
            made, Post("test", PostKind.REVOKE, revokes=("queue", "next", "air"), received_ns=revoke.received_ns)
        )
        made.playout.pause_in(None)
        await until(lambda: counters(made)["done"] == 1)
        assert counters(made)["skipped"] == 2
        assert counters(made)["cut"] == 1
        assert made.playout.heard()[1:] == ["第一句话在这里。", "第二句话在这里。", "第三句话在这里。"]
        await made.director.journal.flush()
    found = dict(rows(paths.journal, "SELECT key, state FROM posts"))
    assert found == {"test:air": "revoked", "test:next": "revoked", "test:queue": "revoked", "test:last": "done"}


@pytest.mark.parametrize("paid", [True, False])
async def test_a_super_chat_cuts_a_long_text_which_goes_on_and_a_comment_does_not(paths: Paths, paid: bool) -> None:
    async with station(paths, mind=mind()) as made:
        made.playout.pause_in("第一句话在这里。")
        text = await made.say(LONG, resumable=True)
        await until(lambda: made.playout.talking == text.id)
        await bring(made, chat("2") if paid else post(PostKind.COMMENT, "1", "今天几点下播？"))
        await until(lambda: "今天" in str(made.director.status()["next"]) or paid)
        made.playout.pause_in(None)
        await until(lambda: counters(made)["done"] == 2)
        heard = made.playout.heard()
    assert (heard.index("这是回答。") < heard.index("第四句话在这里。")) is paid


async def test_the_few_that_may_be_chosen_are_judged_at_once_and_ahead(paths: Paths) -> None:
    gate = WordGate()
    async with station(paths, brains=[Brain("brain", ["这是回答。"])], gate=gate) as made:
        made.playout.pause_in("别的事情。")
        for text in ("别的事情。", "别的事情。", "别的事情。"):
            await made.say(text)
        await until(lambda: bool(made.playout.talking))
        await bring(made, *(post(PostKind.COMMENT, f"{n}", f"今天第{n}个 drop 问题是什么？") for n in range(3)))
        await bring(made, chat("hold", "please hold"), chat("drop", "please drop"), chat("mask", "say mask"))
        await until(lambda: counters(made)["skipped"] == 1)
        await until(lambda: made.director.status()["moderators"]["held"] == 1)
        texts = [each.prompt.text for each in made.director._inbox.places() if each.prompt.lane.value == "super_chat"]
        assert texts == ["say *"]
        await made.director.journal.flush()
        assert max(len(batch) for batch in gate.judged) >= 2
        made.playout.pause_in(None)
        await until(lambda: counters(made)["done"] == 4)
    found = dict(rows(paths.journal, "SELECT key, state || ' ' || reason FROM posts"))
    assert found == {"test:hold": "queued ", "test:drop": "skipped dropped", "test:mask": "done "}


async def test_what_was_paid_for_and_not_said_is_in_the_log_without_a_word_of_it(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    async with station(paths, brains=[Brain("brain", [])], gate=WordGate()) as made:
        await bring(made, chat("1", "please drop this"))
        await until(lambda: counters(made)["skipped"] == 1)
    found = [record for record in caplog.records if "paid" in record.getMessage()]
    assert len(found) == 1
    assert (found[0].lane, found[0].reason) == ("super_chat", "dropped")  # type: ignore[attr-defined]
    assert "please" not in str(vars(found[0]))
    assert "小明" not in str(vars(found[0]))


async def test_restarted_what_waited_is_answered_and_what_was_answered_is_not(paths: Paths) -> None:
    waiting = "SELECT count(*) FROM posts WHERE state = 'queued'"
    async with station(paths, mind=mind(), settings=QUICK) as made:
        await bring(made, chat("1"))
        await until(lambda: counters(made)["done"] == 1)
    async with station(paths, mind=mind(), settings=QUICK, playout=False) as made:
        await bring(made, chat("2", "第二个"), chat("1"), post(PostKind.GIFT, "3", price=100, item="花"))
        await bring(made, post(PostKind.COMMENT, "4", "今天几点下播？"))
        await until(lambda: rows(paths.journal, waiting) == [(2,)])
    async with station(paths, mind=mind(), settings=QUICK) as made:
        await bring(made, chat("1"), chat("2"))
        await until(lambda: rows(paths.journal, waiting) == [(0,)])
        assert made.director.status()["room"]["twice"] == 2
        await made.director.journal.flush()
    assert dict(rows(paths.journal, "SELECT key, state FROM posts")) == {f"test:{n}": "done" for n in (1, 2, 3)}
    chats = "SELECT count(*) FROM asrun WHERE outcome = 'heard' AND lane = 'super_chat' AND text = '这是回答。'"
    assert rows(paths.journal, chats) == [(2,)]


async def test_what_a_viewer_paid_counts_from_the_beginning_of_the_broadcast(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on after a restart, and begins anew where the platform says so or after hours without anybody."""

    async def paid(*posts: Post) -> int:
        async with station(paths, mind=mind()) as made:
            await bring(made, *posts)
            await until(lambda: not posts or bool(made.director.room.till.received))
            guest = made.director.room.audience.get("test:id-小明")
            return guest.paid if guest is not None else 0

    assert await paid(chat("1")) == 30_000
    assert await paid(post(PostKind.GIFT, "2", price=100, item="花")) == 30_100
    assert await paid() == 30_100
    assert await paid(Post("test", PostKind.LIVE_START, received_ns=time.time_ns()), chat("3")) == 30_000
    monkeypatch.setattr("broadcaster.director.room.room.QUIET_NS", 0)
    assert await paid() == 0


async def test_in_a_flood_moderators_are_heard_and_every_comment_is_accounted_for(paths: Paths) -> None:
    async with station(paths, mind=mind()) as made:
        posts = [post(PostKind.COMMENT, str(n), f"第{n}个问题是什么？", who=str(n % 500)) for n in range(10_000)]
        for start in range(0, len(posts), 500):
            await bring(made, *posts[start : start + 500])
        await bring(made, chat("paid"))
        prompt = await made.say("这是主持人的话。")
        await made.ended(prompt.id)
        await until(lambda: made.director.status()["room"]["looking"] == 0)
        room, queue = made.director.status()["room"], made.director.status()["queue"]
        assert room["faults"] == 0
        assert room["received"]["comment"] + room["shed"].get("comment", 0) == len(posts)
        assert room["taken"] + sum(room["dropped"].values()) == room["received"]["comment"]
        assert queue["length"] + sum(queue["drops"].values()) + sum(queue["merged"].values()) <= room["taken"] + 1
        await until(lambda: ("done",) in rows(paths.journal, "SELECT state FROM posts"))


async def test_what_was_paid_for_and_is_cut_by_the_end_of_the_daemon_goes_on_after_it(paths: Paths) -> None:
    lines = ["第一句回答在这里。", "第二句回答在这里。", "第三句回答在这里。"]
    minds = [ChainMind.of([Brain("brain", said)], Responder("小播")) for said in (lines, ["别的。"])]
    async with station(paths, mind=minds[0], settings=QUICK) as made:
        made.playout.pause_in(lines[1])
        await bring(made, chat("1"), post(PostKind.GUARD, "2", price=198_000, item="舰长"))
        await until(lambda: any(event.get("text") == lines[1] for event in made.events))
        await made.director.finish(0.1)
        await made.director.journal.flush()
        first = made.playout.heard()
    assert lines[0] in first
    async with station(paths, mind=minds[1], settings=QUICK) as again:
        await until(lambda: counters(again)["done"] == 2)
        heard = [*first, *again.playout.heard()]
    assert [text for text in heard if text in lines] == lines
    states = rows(paths.journal, "SELECT state, reason FROM posts")
    assert states == [("done", ""), ("done", "")]
    log = rows(paths.journal, "SELECT text, outcome FROM asrun WHERE lane = 'super_chat' ORDER BY row")
    whole = [(text, "heard") for text in lines]
    assert [row for row in log if row[0] in lines] == [whole[0], (lines[1], "cut"), *whole[1:]]
