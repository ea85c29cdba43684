"""The mind of a channel: port `Mind` over a chain of brains. Director's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol

from broadcaster.errors import BrainError
from broadcaster.ports import Brain, Ledger, MemoryStore
from broadcaster.types import Inbound, Message, Turn, Usage, Viewer, Written

log = logging.getLogger(__name__)

HEARD_SENTENCES: Final = 40
FAILURES: Final = 2
REST_S: Final = 30.0
"""A brain that failed so often in a row, or in a way that will not pass by itself, is not asked for so long."""


class Conversation(Protocol):
    """What was heard on air and what is known of the viewers. Everything but the awaited ones returns at once."""

    async def open(self, store: MemoryStore) -> None:
        """Reads what is remembered. Never fails: what cannot be read is forgotten, and told in the log."""

    def messages(self) -> tuple[Message, ...]:
        """The conversation as it was heard, oldest first, bounded in tokens; without the question that is asked now."""

    def summary(self) -> str:
        """Of what is older than `messages`; may be ""."""

    async def viewer_note(self, viewer: Viewer | None) -> str:
        """What is remembered about them; "" where nothing is. Never fails."""

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None: ...

    def ended(self, prompt: Inbound) -> None: ...

    def status(self) -> dict[str, Any]:
        """`{messages, tokens, viewers}`."""

    async def close(self) -> None: ...


class Prompting(Protocol):
    """From a question to what a model is sent. Never fails for what a viewer wrote."""

    async def turn(self, prompt: Inbound, conversation: Conversation) -> Turn: ...


class ChainMind:
    """Port `Mind`. `brains` are asked in order; the last one should never fail."""

    def __init__(self, brains: Sequence[Brain]) -> None:
        self._brains = brains
        self._heard: deque[str] = deque(maxlen=HEARD_SENTENCES)
        self._failures: Counter[str] = Counter()
        self._resting: dict[str, float] = {}
        self._error = ""
        self.failures = 0

    async def open(self, memory: MemoryStore, ledger: Ledger) -> None:
        pass

    async def reply(self, prompt: Inbound) -> AsyncIterator[Written]:
        turn = await self.turn(prompt)
        last: BrainError | None = None
        for brain in self._awake():
            said = False
            try:
                async with aclosing(brain.reply(turn)) as deltas:  # type: ignore[type-var]
                    async for delta in deltas:
                        if not isinstance(delta, Usage):
                            said = True
                            yield Written(delta, brain.name)
            except BrainError as err:
                self._failed(brain, err)
                last = err
                if said:
                    raise
                continue
            self._well(brain)
            return
        raise last or BrainError("there is no brain", retryable=False)

    async def turn(self, prompt: Inbound) -> Turn:
        said = f"你刚才在直播里说过：{''.join(self._heard)[-1500:]}" if self._heard else ""
        return Turn(prompt, said, (Message("user", prompt.text),))

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        self._heard.append(text)

    def ended(self, prompt: Inbound) -> None:
        pass

    def status(self) -> dict[str, Any]:
        engine = self._brains[0].name if self._brains else ""
        return {"engine": engine, "degraded": bool(self._error), "error": self._error, "links": []}

    async def close(self) -> None:
        for brain in self._brains:
            await brain.close()

    def _awake(self) -> list[Brain]:
        """The brains to ask now, in order; when all rest, the last one all the same."""
        now = asyncio.get_running_loop().time()
        return [b for b in self._brains if self._resting.get(b.name, 0.0) <= now] or list(self._brains[-1:])

    def _failed(self, brain: Brain, err: BrainError) -> None:
        self.failures += 1
        self._failures[brain.name] += 1
        if not err.retryable or self._failures[brain.name] >= FAILURES:
            self._resting[brain.name] = asyncio.get_running_loop().time() + REST_S
        if brain is self._brains[0]:
            if not self._error:
                log.warning("the brain failed", extra={"brain": brain.name, "reason": str(err)})
            self._error = str(err)

    def _well(self, brain: Brain) -> None:
        self._failures.pop(brain.name, None)
        if brain is self._brains[0] and self._error:
            log.info("the brain answers again")
            self._error = ""
