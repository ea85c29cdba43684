"""Whoever asks a breaker tells it what became of the question, also when nobody waits for the answer any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.errors import BrainError
from broadcaster.types import Inbound, Message, Origin, PromptKind, Turn, Usage
from tests.fakes.voice import run_virtually

pytestmark = pytest.mark.unit

TURN = Turn(Inbound("p1", PromptKind.ASK, "在吗？", Origin("test")), "", (Message("user", "在吗？"),))


class Probe:
    """Counts what was allowed and not answered yet."""

    state = "closed"

    def __init__(self) -> None:
        self.out = 0

    def allows(self) -> bool:
        self.out += 1
        return True

    def succeeded(self) -> None:
        self.out -= 1

    def failed(self, *, for_good: bool = False) -> None:
        self.out -= 1

    def released(self) -> None:
        self.out -= 1


class Brain:
    name = "a"

    def __init__(self, fault: Exception | None) -> None:
        self._fault = fault

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        await asyncio.sleep(0.3)
        yield "在的。"
        await asyncio.sleep(0.3)
        if self._fault is not None:
            raise self._fault
        yield "请说。"

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("fault", [None, BrainError("500"), BrainError("400", retryable=False), KeyError("x")])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.4, 9.0])
def test_every_question_is_answered_once_to_its_breaker(fault: Exception | None, after_s: float) -> None:
    async def work() -> None:
        probe = Probe()
        chain = Chain([Link("a", Brain(fault), probe)], None, Budget())

        async def listen() -> None:
            async for _ in chain.reply(TURN):
                pass

        listening = asyncio.create_task(listen())
        await asyncio.sleep(after_s)
        listening.cancel()
        await asyncio.wait({listening})
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert probe.out == 0

    run_virtually(work())
