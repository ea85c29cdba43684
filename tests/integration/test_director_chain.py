"""The director over the real pipeline: nothing is asked of a voice twice, after a killed playout and an interrupt."""

from __future__ import annotations

from typing import cast

import pytest

from broadcaster.paths import Paths
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pipeline import PacedSpeaker
from tests.fakes.voice_links import FaultyLink, SureLink
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import LONG, MODERATOR, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration


def speaker_over(*voices: FaultyLink | SureLink) -> ScriptedSpeaker:
    """The real one, for a bench that was made for the scripted one."""
    return cast("ScriptedSpeaker", PacedSpeaker(ChainVoice([Link(voice.name, voice) for voice in voices])))


async def test_playout_restarted_nothing_is_asked_twice(paths: Paths) -> None:
    one = FaultyLink("one", first_s=0.02, rtf=0.02)
    async with station(paths, speaker=speaker_over(one, SureLink())) as on:
        on.playout.speed = 4.0
        prompt = await on.say(LONG)
        await until(lambda: len(on.playout.heard()) >= 1 and on.playout.talking != "")
        await on.playout.kill()
        on.playout.speed = 40.0
        await on.playout.start()
        await on.ended(prompt.id)
        assert "".join(on.playout.heard()) == LONG
    assert "".join(piece.text for piece in one.asked) == LONG


async def test_interrupted_the_next_prompt_is_not_asked_twice(paths: Paths) -> None:
    one = FaultyLink("one", first_s=0.02, rtf=0.02)
    following = "最后一条消息在这里。"
    async with station(paths, speaker=speaker_over(one, SureLink())) as on:
        on.playout.speed = 2.0
        await on.say(LONG)
        prompt = await on.say(following)
        await until(lambda: "".join(piece.text for piece in one.asked).endswith(following))
        await on.director.interrupt(MODERATOR)
        on.playout.speed = 40.0
        await on.ended(prompt.id)
        assert on.playout.heard()[-1] == following
    assert sum("最后" in piece.text for piece in one.asked) == 1
