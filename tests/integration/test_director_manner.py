"""How a prompt asks to be said reaches the voice: at once, after a panic, and after a restart of the director."""

from __future__ import annotations

import pytest

from broadcaster.paths import Paths
from broadcaster.types import PLAIN, Inbound, Manner, PromptKind
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import LONG, MODERATOR, OPERATOR, Brain, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SLOW = Manner(0.75, -2.0, "zm_yunjian")


async def say(on: Station, text: str, kind: PromptKind = PromptKind.SAY, manner: Manner = SLOW) -> Inbound:
    return await on.director.accept(kind, text, MODERATOR, manner)


async def test_every_prompt_is_spoken_in_its_own_manner(paths: Paths) -> None:
    async with station(paths, brains=[Brain("rules", ["很好。"])]) as on:
        prompts = [
            await say(on, "第一条。"),
            await on.say("第二条。"),
            await say(on, "怎么样？", PromptKind.ASK, Manner(speed=1.5)),
        ]
        await on.ended(*(prompt.id for prompt in prompts))
        assert on.speaker.manners == [SLOW, PLAIN, Manner(speed=1.5)]


async def test_a_prompt_that_a_panic_sent_back_keeps_its_manner(paths: Paths) -> None:
    async with station(paths, speaker=ScriptedSpeaker(seconds=0.5)) as on:
        on.playout.speed = 1.0
        first, waiting = await on.say(LONG), await say(on, "等着的一条。")
        await until(lambda: on.types(first.id) != [])
        await on.director.panic(MODERATOR)
        await on.director.resume(OPERATOR)
        on.playout.speed = 40.0
        await on.ended(waiting.id)
        assert on.speaker.manners[-1] == SLOW


async def test_what_an_earlier_director_accepted_keeps_its_manner(paths: Paths) -> None:
    async with station(paths, speaker=ScriptedSpeaker(seconds=1.0)) as on:
        on.playout.speed = 8.0
        begun = await say(on, LONG)
        waiting = await say(on, "等着的一条。", manner=Manner(pitch=3.0))
        await until(lambda: "第一句话在这里。" in on.playout.heard())
        assert on.speaker.manners == [SLOW]
    async with station(paths) as on:
        on.playout.speed = 40.0
        await on.ended(begun.id, waiting.id)
        assert on.speaker.manners == [SLOW, Manner(pitch=3.0)]
