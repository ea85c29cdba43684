"""Moderators at work in a running channel: a real queue, journal and socket; a scripted voice, brain and gate."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from broadcaster.errors import Refused
from broadcaster.paths import Paths
from broadcaster.types import Happening, Origin, PromptKind, Role, RoomEvent, Viewer
from tests.support.directing import MODERATOR, Brain, station
from tests.support.moderating import (
    ALICE,
    Gate,
    blocked,
    brains,
    bring,
    command,
    comment,
    decisions,
    items,
    reason,
    super_chat,
)
from tests.support.waiting import until

pytestmark = pytest.mark.contract


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
