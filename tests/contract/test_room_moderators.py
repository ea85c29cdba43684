"""Moderators at work in a running channel: a real queue, journal and socket; a scripted voice, brain and gate."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import pytest

from broadcaster.errors import Refused
from broadcaster.paths import Paths
from broadcaster.types import (
    Happening,
    Origin,
    Post,
    PostKind,
    PromptKind,
    Role,
    RoomEvent,
    Verdict,
    VerdictKind,
    Viewer,
)
from sources.moderation import BanEntry, QueueItem
from tests.fakes.gate import PassGate
from tests.support.directing import MODERATOR, Brain, Station, station, until

pytestmark = pytest.mark.contract

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


async def test_the_queue_tells_what_comes_in_which_order_and_when(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        plain, paid = await bring(made, comment("今天天气不错"), super_chat("唱首歌吧", "乙"))
        mine = (await made.say("马上开始。")).id
        found = await items(made)
        assert [item["state"] for item in found] == ["on_air", "pending", "waiting", "waiting", "waiting"]
        assert [item["place"] for item in found] == [0, 1, 2, 3, 4]
        assert [item["id"] for item in found[2:]] == [mine, paid, plain]
        etas = [item["eta_s"] for item in found]
        assert etas == sorted(etas)
        assert etas[-1] > etas[2] > 0
        assert (found[3]["paid"], found[3]["viewer"], found[3]["name"]) == (30.0, "test:v-乙", "乙")
        assert found[4]["why"]
        assert await made.director.place(paid) == {**found[3], "eta_s": pytest.approx(found[3]["eta_s"], abs=2)}
        with pytest.raises(Refused, match="no prompt"):
            await made.director.place("nowhere")


async def test_what_waits_is_dropped_and_who_did_it_is_written_down(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        paid, other = await bring(made, super_chat("这个不要", "乙"), super_chat("这个要", "丙"))
        await command(made, "drop", ALICE, id=paid)
        made.playout.pause_in(None)
        await made.ended(paid, other)
        assert reason(made, paid) == "dropped"
        assert made.types(other)[-1] == "done"
        assert decisions(paths) == [("drop", "control operator alice", paid, "", "")]
        with pytest.raises(Refused) as gone:
            await command(made, "drop", id=paid)
        assert gone.value.code == "unknown"
        await made.director.journal.flush()
    with sqlite3.connect(paths.journal) as db:
        assert db.execute("SELECT state, reason FROM posts WHERE prompt = ?", (paid,)).fetchall() == [
            ("skipped", "dropped")
        ]


async def test_dropped_on_air_the_sentence_ends_and_the_next_prompt_comes(paths: Paths) -> None:
    async with station(paths) as made:
        made.playout.pause_in("第一句。")
        long = await made.say("第一句。第二句。第三句。")
        after = await made.say("后面的。")
        await until(lambda: made.playout.talking == long.id and len(made.director.rundown.active) == 2)
        await until(lambda: "on_air" in made.types(long.id))
        await command(made, "drop", id=long.id)
        made.playout.pause_in(None)
        await made.ended(long.id, after.id)
        assert made.playout.heard(long.id) == ["第一句。"]
        assert made.types(long.id)[-1] == "cut"
        assert made.playout.heard(after.id) == ["后面的。"]


async def test_dropped_at_once_or_before_it_began(paths: Paths) -> None:
    async with station(paths) as made:
        await blocked(made)
        on_air, pending = (item["id"] for item in await items(made))
        await command(made, "drop", id=pending)
        await command(made, "drop", id=on_air, now=True)
        await made.ended(on_air, pending)
        assert made.types(on_air)[-1] == "cut"
        assert reason(made, pending) == "dropped"
        assert made.playout.heard() == []


async def test_what_waits_is_edited_judged_and_answered_as_edited(paths: Paths) -> None:
    brain = Brain("brain", ["回答在这里。"])
    async with station(paths, brains=[brain], gate=Gate()) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("你几岁了？"))
        assert (await made.director.place(asked))["why"]["score"] > 0
        with pytest.raises(Refused, match="moderation drops"):
            await command(made, "edit", id=asked, text="有毒的问题？")
        with pytest.raises(Refused) as empty:
            await command(made, "edit", id=asked, text=" \n ")
        assert empty.value.code == "empty"
        assert (await made.director.place(asked))["text"] == "你几岁了？"
        await command(made, "edit", id=asked, text="你喜欢什么颜色？")
        made.playout.pause_in("回答在这里。")
        await until(lambda: made.playout.talking == asked)
        assert (await made.director.place(asked))["why"]["score"] > 0
        made.playout.pause_in(None)
        await made.ended(asked)
        assert "你喜欢什么颜色？" in brain.turns[-1].messages[-1].text
        assert decisions(paths) == [("edit", "test moderator somebody", asked, "", "pass")]
    with sqlite3.connect(paths.journal) as db:
        row = db.execute("SELECT text, approved FROM prompts WHERE id = ?", (asked,)).fetchone()
        assert row == ("你喜欢什么颜色？", 1)


async def test_what_moderation_holds_is_listed_and_waits_for_a_moderator(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        held, other = await bring(made, comment("加扣扣一二三？", "乙"), comment("加扣扣四五六？", "丙"))
        found = {item["id"]: item for item in await items(made)}
        assert [found[each]["state"] for each in (held, other)] == ["held", "held"]
        assert (found[held]["reason"], found[held]["place"], found[held]["eta_s"]) == ("contact", None, None)
        with pytest.raises(Refused, match="approve it first"):
            await command(made, "move", id=held, place=1)
        await command(made, "approve", id=held)
        await made.ended(held)
        assert made.types(held)[-1] == "done"
        await command(made, "edit", id=other, text="几点下播？")
        await made.ended(other)
        assert made.types(other)[-1] == "done"
        assert (await made.director.queue())["held"] == 0


async def test_an_edit_that_moderation_would_hold_is_held_until_it_is_approved(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("你几岁了？"))
        await command(made, "edit", id=asked, text="扣几？")
        assert ((await made.director.place(asked))["state"], decisions(paths)[-1][-1]) == ("held", "hold")
        await command(made, "approve", id=asked)
        made.playout.pause_in(None)
        await made.ended(asked)
        assert made.types(asked)[-1] == "done"


async def test_what_was_paid_for_is_held_through_a_restart_and_what_is_approved_stays_so(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        await command(made, "pause_auto", on=True)
        held, approved = await bring(made, super_chat("扣一？", "乙"), super_chat("扣二？", "丙"))
        await until(lambda: made.director.status()["moderators"]["held"] == 2)
        await blocked(made)
        await command(made, "approve", id=approved)
        await made.director.journal.flush()
    async with station(paths, brains=brains(), gate=Gate()) as again:
        await again.ended(approved)
        assert again.types(approved)[-1] == "done"
        await command(again, "pause_auto", on=False)
        await until(lambda: again.director.status()["moderators"]["held"] == 1)
        assert (await again.director.place(held))["state"] == "held"
        await command(again, "drop", id=held)
        await again.ended(held)
        assert reason(again, held) == "dropped"


async def test_a_ban_empties_the_queue_of_a_viewer_and_holds_through_a_restart(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        paid, theirs, other = await bring(
            made, super_chat("付了钱的", "乙"), comment("乙的问题？", "乙"), comment("丙的问题？", "丙")
        )
        await command(made, "ban", ALICE, viewer="test:v-乙", seconds=3600)
        assert [item["id"] for item in await items(made) if item["state"] == "waiting"] == [other]
        await until(lambda: "skipped" in made.types(paid))
        assert reason(made, paid) == "banned"
        (ban,) = (BanEntry.model_validate(each) for each in made.director.bans())
        assert (ban.viewer, ban.name, ban.by) == ("test:v-乙", "乙", "control operator alice")
        assert ban.left_s is not None
        assert 3500 < ban.left_s <= 3600
        assert theirs not in [item["id"] for item in await items(made)]
    async with station(paths, brains=brains()) as again:
        await until(lambda: len(again.director.bans()) == 1)
        await asyncio.wrap_future(again.director.room.intake.bring([comment("乙又来了？", "乙")]))
        await until(lambda: again.director.status()["room"]["dropped"].get("banned") == 1)
        await command(again, "unban", viewer="test:v-乙")
        assert again.director.bans() == []
        with pytest.raises(Refused) as nobody:
            await command(again, "unban", viewer="test:v-乙")
        assert nobody.value.code == "unknown"


async def test_slow_mode_counts_one_comment_of_each_and_holds_through_a_restart(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await command(made, "slow", seconds=60)
    async with station(paths, brains=brains()) as again:
        await until(lambda: again.director.status()["moderators"]["slow_s"] == 60.0)
        posts = [comment(f"第{number}个问题？", who) for number in range(3) for who in ("乙", "丙")]
        await asyncio.wrap_future(again.director.room.intake.bring(posts))
        await until(lambda: again.director.status()["room"]["dropped"].get("slow") == 4)


async def test_while_it_is_paused_only_moderators_decide(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await command(made, "pause_auto", on=True)
        first, second, third = await bring(
            made, comment("第一问？", "乙"), comment("第二个问题呢？", "丙"), comment("还有别的吗？", "丁")
        )
        said = await made.say("我来说两句。")
        await made.ended(said.id)
        waiting = {item["id"]: item for item in await items(made)}
        assert {waiting[each]["eta_s"] for each in (first, second, third)} == {None}
        await command(made, "approve", id=second)
        await made.ended(second)
        await command(made, "move", id=third, place=1)
        await made.ended(third)
        assert made.types(first) == []
        assert (await made.director.queue())["paused"]
        await command(made, "pause_auto", on=False)
        await made.ended(first)


async def test_what_is_moved_comes_next(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        first, second = await bring(made, super_chat("先来的", "乙"), comment("后来的？", "丙"))
        assert [(await made.director.place(each))["place"] for each in (first, second)] == [2, 3]
        await command(made, "move", id=second, place=2)
        assert [(await made.director.place(each))["place"] for each in (first, second)] == [3, 2]
        pending = (await items(made))[1]["id"]
        with pytest.raises(Refused, match="on its way"):
            await command(made, "move", id=pending, place=3)


@pytest.mark.parametrize("kind", ["approve", "drop", "edit", "move", "ban", "unban", "slow", "pause_auto"])
async def test_a_viewer_does_none_of_it(paths: Paths, kind: str) -> None:
    async with station(paths, playout=False) as made:
        with pytest.raises(Refused) as refused:
            await command(made, kind, Origin("websocket", role=Role.VIEWER), id="x", viewer="x", seconds=1, on=True)
        assert refused.value.code == "forbidden"


async def test_with_a_delay_a_sentence_is_announced_and_what_is_dropped_is_never_heard(paths: Paths) -> None:
    async with station(paths, settings={"moderation": {"delay_s": 0.4}}) as made:
        loop = asyncio.get_running_loop()
        made.playout.pause_in("这一句要播。")
        began = loop.time()
        first = await made.say("这一句要播。还有一句。")
        second = await made.say("这一句不播。")
        await until(lambda: "pending" in made.types(second.id))
        assert (await items(made))[1]["state"] == "pending"
        await command(made, "drop", id=second.id)
        await until(lambda: "on_air" in made.types(first.id))
        assert loop.time() - began >= 0.4
        made.playout.pause_in(None)
        await made.ended(first.id, second.id)
        assert made.types(first.id) == ["pending", "pending", "on_air", "on_air", "done"]
        assert made.types(second.id) == ["pending", "skipped"]
        assert made.playout.heard() == ["这一句要播。", "还有一句。"]
        told = [event for event in made.events if event["type"] == "pending"]
        assert [event["text"] for event in told] == ["这一句要播。", "还有一句。", "这一句不播。"]
        assert all(event["airs_in_s"] >= 0.4 for event in told)


async def test_a_panic_and_a_restart_of_playout_change_nothing_about_the_delay(paths: Paths) -> None:
    async with station(paths, settings={"moderation": {"delay_s": 0.6}}) as made:
        loop = asyncio.get_running_loop()
        prompt = await made.say("一句话。")
        await until(lambda: "pending" in made.types(prompt.id))
        await made.director.panic(MODERATOR)
        await asyncio.sleep(0.65)
        assert "on_air" not in made.types(prompt.id)
        await made.director.resume(ALICE)
        resumed = loop.time()
        await made.playout.kill()
        await made.playout.start()
        await made.ended(prompt.id)
        assert loop.time() - resumed >= 0.6  # it was admitted once more
        assert made.playout.heard(prompt.id) == ["一句话。"]


async def test_a_question_that_is_being_answered_can_only_be_dropped(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        on_air = (await items(made))[0]["id"]
        for kind, fields in (("approve", {}), ("edit", {"text": "别的"}), ("move", {"place": 1})):
            with pytest.raises(Refused, match="on its way to air"):
                await command(made, kind, id=on_air, **fields)
        event = await made.director.accept(
            PromptKind.EVENT, "", MODERATOR, viewer=Viewer("v", "乙"),
            happening=Happening(RoomEvent.GIFT, "辣条"),
        )  # fmt: skip
        with pytest.raises(Refused, match="no text of their own"):
            await command(made, "edit", id=event.id, text="别的")


class SlowGate(Gate):
    """Judges only when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    def glance(self, text: str) -> Verdict:
        return Verdict(VerdictKind.PASS, text)

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        self.asked.set()
        await self.go.wait()
        return await super().hear(texts, origin)


async def test_what_is_approved_while_it_is_being_judged_stays_approved(paths: Paths) -> None:
    gate = SlowGate()
    async with station(paths, brains=brains(), gate=gate) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("扣几？"))
        async with asyncio.timeout(10):
            await gate.asked.wait()
        await command(made, "approve", id=asked)
        gate.go.set()
        made.playout.pause_in(None)
        await made.ended(asked)
        assert made.types(asked)[-1] == "done"


async def test_a_comment_that_was_merged_has_the_place_of_the_one_that_stands_for_it(paths: Paths) -> None:
    async with station(paths, brains=brains()) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("你叫什么名字？", "乙"))
        await asyncio.wrap_future(made.director.room.intake.bring([comment("你叫什么名字？？", "丙")]))

        async def merged() -> bool:
            return bool((await made.director.place(asked))["alike"] == 2)

        async with asyncio.timeout(10):
            while not await merged():  # noqa: ASYNC110  # the state of the channel is looked at
                await asyncio.sleep(0.005)
        (place,) = (each for each in made.director._inbox.places() if each.merged)
        assert (await made.director.place(place.merged[0]))["id"] == asked


async def test_what_waits_on_disk_is_listed_has_a_place_and_can_be_dropped(paths: Paths) -> None:
    async with station(paths, brains=brains(), settings={"inbox": {"waiting": 1}}) as made:
        await blocked(made)
        posts = [super_chat(f"第{number}条留言", "乙") for number in range(4)]
        await asyncio.wrap_future(made.director.room.intake.bring(posts))

        async def listed() -> list[dict[str, Any]]:
            return [item for item in await items(made) if item["state"] in ("waiting", "on_disk")]

        async with asyncio.timeout(10):
            while [item["state"] for item in await listed()] != ["waiting", *["on_disk"] * 3]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        found = await listed()
        assert [item["place"] for item in found] == [2, 3, 4, 5]
        assert [item["text"] for item in found] == [post.text for post in posts]
        assert found[1]["eta_s"] > found[0]["eta_s"]
        assert (await made.director.place(posts[2].key))["state"] == "on_disk"
        await command(made, "drop", id=posts[2].key)
        made.playout.pause_in(None)
        heard = made.speaker.texts
        await until(lambda: made.director.status()["counters"]["done"] == 5)
        assert not any(posts[2].text in text for text in heard)
        await made.director.journal.flush()
    with sqlite3.connect(paths.journal) as db:
        rows = db.execute("SELECT key, state, reason FROM posts ORDER BY received_ns").fetchall()
    assert rows == [(post.key, *(("skipped", "dropped") if post is posts[2] else ("done", ""))) for post in posts]


async def test_while_one_prompt_waits_for_the_delay_those_behind_it_are_made(paths: Paths) -> None:
    async with station(paths, settings={"moderation": {"delay_s": 0.4}}) as made:
        texts = [f"这是第{number}句。" for number in range(6)]
        made.playout.pause_in(texts[0])
        said = [await made.say(text) for text in texts]
        await until(lambda: len(made.director.rundown.active) == 6)
        found = await items(made)
        assert {item["state"] for item in found[1:]} == {"pending"}
        assert [item["id"] for item in found] == [prompt.id for prompt in said]
        made.playout.pause_in(None)
        await made.ended(*(prompt.id for prompt in said))
        assert made.playout.heard() == texts


async def test_what_goes_on_after_a_cut_does_so_with_a_delay_and_after_a_restart(paths: Paths) -> None:
    settings = {"moderation": {"delay_s": 0.2}}
    texts = [f"长文的第{number}句。" for number in range(4)]
    async with station(paths, settings=settings, turns={"bridge": ["我们接着说。"]}) as made:
        made.playout.pause_in(texts[1])
        long = await made.say("".join(texts), resumable=True)
        await until(lambda: made.types(long.id).count("on_air") == 2)
        made.playout.pause_in(None)
        await made.director.finish()
        await made.director.journal.flush()
    async with station(paths, settings=settings, turns={"bridge": ["我们接着说。"]}) as again:
        await again.ended(long.id)
        heard = [*made.playout.heard(long.id), *again.playout.heard(long.id)]
        assert [text for text in heard if text in texts] == texts
        assert again.playout.heard(long.id)[0] == "我们接着说。"
        assert "pending" in again.types(long.id)
