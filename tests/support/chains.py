"""Chains of scripted models in virtual time, and what a listener gets of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.errors import BrainError
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import Inbound, Message, Origin, PromptKind, Spent, Turn, Usage, Written
from tests.fakes.voice import run_virtually

ASK = Inbound("p1", PromptKind.ASK, "今天天气怎么样？", Origin("test"), received_ns=10**18)
TURN = Turn(ASK, "你是小播。", (Message("user", "今天天气怎么样？"),))

Step = float | str | Usage | BrainError
"""Seconds of waiting, text, usage, or how it ends."""


@dataclass
class Model:
    """Every call plays the next script; the last one again and again."""

    name: str
    scripts: list[list[Step]]
    asked: list[float] = field(default_factory=list)
    closed: int = 0

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        self.asked.append(now())
        try:
            for step in script:
                if isinstance(step, BrainError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


def now() -> float:
    return asyncio.get_running_loop().time()


def model(name: str, *steps: Step) -> Model:
    return Model(name, [list(steps)])


def link(brain: Model, **limits: Any) -> Link:
    return Link(brain.name, brain, CircuitBreaker(now, random.Random(1)), **{"retries": 0, **limits})


RULES = "规则来回答。"


def chain(*links: Link, budget: Budget | None = None) -> Chain:
    return Chain(links, Link("rules", model("rules", RULES)), budget or Budget(), name="小播")


@dataclass
class Take:
    text: str = ""
    brains: list[str] = field(default_factory=list)
    first: float = -1.0
    ended: float = -1.0
    error: BrainError | None = None


async def take(replies: AsyncIterator[Written]) -> Take:
    began, got = now(), Take()
    try:
        async for part in replies:
            got.first = now() - began if got.first < 0 else got.first
            got.text += part.text
            if part.brain not in got.brains:
                got.brains.append(part.brain)
    except BrainError as err:
        got.error = err
    got.ended = now() - began
    return got


def virtual(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        run_virtually(work())

    run.__name__ = work.__name__
    return run


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Spent]] = []

    async def spent(self, day: str) -> list[Spent]:
        return [entry for when, entry in self.rows if when == day]

    def add(self, day: str, entry: Spent) -> None:
        self.rows.append((day, entry))
