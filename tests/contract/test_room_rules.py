"""Bans, slow mode and the pause, in a running channel and its journal, with a scripted voice and brain."""

from __future__ import annotations

import asyncio

import pytest

from broadcaster.errors import Refused
from broadcaster.paths import Paths
from sources.moderation import BanEntry
from tests.support.directing import station
from tests.support.moderating import ALICE, blocked, brains, bring, command, comment, items, reason, super_chat
from tests.support.waiting import until

pytestmark = pytest.mark.contract


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
