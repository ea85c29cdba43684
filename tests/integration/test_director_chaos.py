"""Random prompts, brakes and faults: every accepted prompt comes to one end, in order, and says nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from broadcaster.errors import VoiceError
from broadcaster.journal.database import open_for_reading
from broadcaster.paths import Paths
from broadcaster.types import Origin, PromptKind
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import MODERATOR, OPERATOR, Brain, Station, station

pytestmark = pytest.mark.integration

STEPS = 40
BRIDGE = "接着说。"
TURNS = (
    {},
    {"say": {"cuts": "at_once", "over": "any"}, "ask": {"cuts": "at_once"}},
    {"say": {"cuts": "after_sentence", "over": "any"}, "ask": {"cuts": "at_once", "over": "lower"}},
)


class Chaos:
    """One seed's worth of trouble."""

    def __init__(self, on: Station, seed: int) -> None:
        self.on = on
        self.random = random.Random(seed)
        self.accepted: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.killed = 0

    async def step(self) -> None:
        await self.random.choice(
            [self.say] * 6 + [self.ask] * 2 + [self.interrupt, self.panic, self.kill, self.fail]
        )()
        await asyncio.sleep(self.random.choice([0, 0.005, 0.02, 0.05]))

    async def say(self) -> None:
        number = len(self.accepted)
        sentences = [f"第{number}条第{n}句。" for n in range(self.random.randint(1, 4))]
        origin = self.random.choice([MODERATOR, Origin("chat")])
        resumable = self.random.random() < 0.5
        prompt = await self.on.say("".join(sentences), origin=origin, resumable=resumable)
        self.accepted.append(prompt.id)
        self.texts[prompt.id] = sentences

    async def ask(self) -> None:
        self.accepted.append((await self.on.say("问题？", PromptKind.ASK)).id)

    async def interrupt(self) -> None:
        await self.on.director.interrupt(MODERATOR)

    async def panic(self) -> None:
        await self.on.director.panic(MODERATOR)
        await asyncio.sleep(0.01)
        await self.on.director.resume(OPERATOR)

    async def kill(self) -> None:
        self.killed += 1
        await self.on.playout.kill()
        await asyncio.sleep(self.random.choice([0, 0.03]))
        await self.on.playout.start()

    async def fail(self) -> None:
        speaker = self.on.speaker
        speaker.failures[speaker.made + self.random.randint(0, 3)] = VoiceError("scripted")


@pytest.mark.parametrize("seed", range(6))
async def test_every_prompt_comes_to_one_end(paths: Paths, seed: int) -> None:
    speaker = ScriptedSpeaker(seconds=0.2, latency=0.001)
    brain = Brain("model", ["答案的第一句。", "答案的第二句。"])
    turns = {**TURNS[seed % 3], "bridge": [BRIDGE]}
    async with station(paths, speaker=speaker, brains=[brain], capacity=200, turns=turns) as on:
        chaos = Chaos(on, seed)
        for _ in range(STEPS):
            await chaos.step()
        on.playout.speed = 400.0
        await on.ended(*chaos.accepted)
        ends = Counter(event["id"] for event in on.events if event["type"] in ("done", "cut", "skipped"))
        assert ends == Counter(chaos.accepted)
        await on.director.journal.flush()
        counters = on.director.status()["counters"]
        assert counters["accepted"] == len(chaos.accepted)
        assert counters["done"] + counters["cut"] + counters["skipped"] == len(chaos.accepted)
        states = dict(open_states(paths))
        assert set(states) == set(chaos.accepted)
        assert "queued" not in states.values()
        assert "started" not in states.values()
        said = [text for prompt in chaos.texts for text in on.playout.heard(prompt) if text != BRIDGE]
        assert len(said) - len(set(said)) <= chaos.killed + counters["voice_failures"] + counters["unstuck"]
        for prompt, sentences in chaos.texts.items():
            heard = [text for text in dict.fromkeys(on.playout.heard(prompt)) if text != BRIDGE]
            assert heard == [sentence for sentence in sentences if sentence in heard]
            if states[prompt] == "done" and not counters["sentences_skipped"]:
                assert heard == sentences


def open_states(paths: Paths) -> list[tuple[str, str]]:
    db = open_for_reading(paths.journal)
    try:
        return db.execute("SELECT id, state FROM prompts").fetchall()
    finally:
        db.close()
