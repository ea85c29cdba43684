"""A running director with a playout over the real socket, a scripted voice and scripted brains around it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.brain.mind import ChainMind
from broadcaster.brain.plain import NoMemory
from broadcaster.config import Config
from broadcaster.director import Director
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.errors import BrainError
from broadcaster.paths import Paths
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import Inbound, Message, Origin, PromptKind, Role, Turn, Usage
from sources.schema import OUTBOUND
from tests.fakes.gate import PassGate
from tests.fakes.playout_peer import PlayoutPeer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.waiting import until

MODERATOR = Origin("test", "somebody", Role.MODERATOR)
OPERATOR = Origin("test", "boss", Role.OPERATOR)
LONG = "第一句话在这里。第二句话在这里。第三句话在这里。第四句话在这里。"


class Brain:
    """Says its lines, or fails after some of them."""

    def __init__(self, name: str, lines: list[str], error: BrainError | None = None, hang: bool = False) -> None:
        self.name = name
        self.lines = lines
        self.error = error
        self.hang = hang
        self.turns: list[Turn] = []
        self.closed = 0

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        self.turns.append(turn)
        try:
            for line in self.lines:
                yield line
            if self.hang:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


class Heard(NoMemory):
    """The sentences that were heard, each a message."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        self.sentences.append(text)

    def messages(self) -> tuple[Message, ...]:
        return tuple(Message("assistant", text) for text in self.sentences)


def mind_over(brains: list[Brain]) -> ChainMind:
    """The brains without retries, each behind a breaker."""
    breakers = (CircuitBreaker(time.monotonic, random.Random(1)) for _ in brains)
    links = [Link(brain.name, brain, breaker, retries=0) for brain, breaker in zip(brains, breakers, strict=False)]
    return ChainMind(Chain(links, None, Budget()), memory=Heard())


class Station:
    """A running director with everything around it."""

    def __init__(
        self,
        paths: Paths,
        speaker: ScriptedSpeaker,
        brains: list[Brain],
        gate: Any,
        capacity: int,
        end_to_end: EndToEndDesk | None = None,
        mind: ChainMind | None = None,
        turns: dict[str, Any] | None = None,
        journal_url: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        more = dict(settings or {})
        config = Config.model_validate(
            {
                "channel": "test",
                "inbox": {"capacity": capacity, "max_text": 500, **more.pop("inbox", {})},
                "turns": turns or {},
                "journal": {"url": journal_url},
                **more,
            }
        )
        self.paths = paths
        self.speaker = speaker
        self.mind = mind or mind_over(brains)
        self.director = Director(config, paths, speaker=speaker, mind=self.mind, gate=gate, end_to_end=end_to_end)
        self.events: list[dict[str, Any]] = []
        self.playout = PlayoutPeer(paths.playout_socket)
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self, *, playout: bool = True) -> None:
        await self.director.open()
        if playout:
            await self.playout.start()
        subscription = self.director.subscribe()

        async def listen() -> None:
            async for event in subscription:
                OUTBOUND.validate_python(event)
                self.events.append(event)

        self._tasks = [asyncio.create_task(self.director.run()), asyncio.create_task(listen())]
        if playout:
            await until(lambda: self.director.link.connected)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.director.close()
        await self.playout.kill()

    async def say(
        self, text: str, kind: PromptKind = PromptKind.SAY, origin: Origin = MODERATOR, *, resumable: bool = False
    ) -> Inbound:
        return await self.director.accept(kind, text, origin, resumable=resumable)

    def types(self, prompt: str) -> list[str]:
        return [event["type"] for event in self.events if event.get("id") == prompt]

    async def ended(self, *prompts: str) -> None:
        final = {"done", "cut", "skipped"}
        await until(lambda: all(final & set(self.types(prompt)) for prompt in prompts))


@asynccontextmanager
async def station(
    paths: Paths,
    *,
    speaker: ScriptedSpeaker | None = None,
    brains: list[Brain] | None = None,
    gate: Any = None,
    capacity: int = 50,
    playout: bool = True,
    end_to_end: EndToEndDesk | None = None,
    mind: ChainMind | None = None,
    turns: dict[str, Any] | None = None,
    journal_url: str | None = None,
    settings: dict[str, Any] | None = None,
) -> AsyncIterator[Station]:
    """`settings`: sections of the configuration."""
    made = Station(
        paths,
        speaker or ScriptedSpeaker(),
        brains or [],
        gate or PassGate(),
        capacity,
        end_to_end,
        mind,
        turns,
        journal_url,
        settings,
    )
    await made.start(playout=playout)
    try:
        yield made
    finally:
        await made.stop()
