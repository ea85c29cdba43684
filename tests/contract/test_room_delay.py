"""The broadcast delay in a running channel: sentences announced, dropped unheard, and cut; with a scripted voice."""

from __future__ import annotations

import asyncio

import pytest

from broadcaster.paths import Paths
from tests.support.directing import MODERATOR, station
from tests.support.moderating import ALICE, command, items
from tests.support.waiting import until

pytestmark = pytest.mark.contract


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
