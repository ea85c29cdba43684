"""A model that writes slowly: the first clause goes on air before its sentence, and the gate still judges it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from broadcaster.director import performer
from broadcaster.errors import BrainError
from broadcaster.paths import Paths
from broadcaster.ports import Gate
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.types import Origin, PromptKind, Turn, Usage, Verdict, VerdictKind
from tests.fakes.gate import PassGate
from tests.fakes.voice_links import SureLink
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import Brain, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration

CLAUSE = "今天的天气非常不错，"
REST = "我们去公园走走吧。"


class Writes(Brain):
    """Goes on writing when it is told to."""

    def __init__(self) -> None:
        super().__init__("model", [])
        self.go_on = asyncio.Event()

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        yield "今天的"
        await asyncio.sleep(2 * performer.CLAUSE_AFTER_S)
        yield CLAUSE.removeprefix("今天的")
        yield "我们"
        await self.go_on.wait()
        yield REST.removeprefix("我们") + "好吗？"


class Refuses(PassGate):
    """Port `Gate` that knows one text which may not be said."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def admit(self, text: str, origin: Origin) -> Verdict:
        return Verdict(VerdictKind.DROP if self._text in text else VerdictKind.PASS, text)


def speaker() -> ScriptedSpeaker:
    """The real one, over a voice that is known to be quick."""
    link = Link("last", SureLink(fixed_s=0.01, per_unit_s=0.0))
    for _ in range(50):
        link.speed.observe(8.0, 0.01)
    return cast("ScriptedSpeaker", PacedSpeaker(ChainVoice([link])))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "CLAUSE_AFTER_S", 0.02)


@pytest.mark.parametrize(
    ("gate", "heard"),
    [
        (PassGate(), CLAUSE + REST + "好吗？"),
        (Refuses(REST), CLAUSE + "好吗？"),
        (Refuses("不错，我们"), CLAUSE + "好吗？"),
        (Refuses("天气"), "好吗？"),
    ],
    ids=["all of it", "not the rest", "not the whole", "nothing of it"],
)
async def test_a_clause_goes_on_air_before_its_sentence(paths: Paths, gate: Gate, heard: str) -> None:
    brain = Writes()
    async with station(paths, brains=[brain], speaker=speaker(), gate=gate) as on:
        on.playout.speed = 20.0
        asked = await on.say("出去吗？", PromptKind.ASK)
        if heard.startswith(CLAUSE):
            await until(lambda: on.playout.talking == asked.id)
        brain.go_on.set()
        await on.ended(asked.id)
        assert "".join(on.playout.heard(asked.id)) == heard


class Breaks(Brain):
    """Leaves its first sentence unfinished; `pause`: behind what is enough for a clause."""

    def __init__(self, pause: float) -> None:
        super().__init__("breaks", [])
        self.pause = pause

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        yield "今天的"
        await asyncio.sleep(self.pause)
        yield CLAUSE.removeprefix("今天的")
        yield "我们"
        await asyncio.sleep(self.pause)
        raise BrainError("dropped")


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["nothing of it is heard", "a clause of it is heard"])
async def test_an_answer_that_breaks_off_within_its_first_sentence_is_given_anew(paths: Paths, pause: float) -> None:
    brains = [Breaks(pause), Brain("other", ["我来回答", "这个问题。"])]
    async with station(paths, brains=brains, speaker=speaker()) as on:
        on.playout.speed = 20.0
        asked = await on.say("出去吗？", PromptKind.ASK)
        await on.ended(asked.id)
        assert "".join(on.playout.heard(asked.id)) == (CLAUSE if pause else "我来回答这个问题。")
