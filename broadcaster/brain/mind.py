"""The mind of a channel: port `Mind` over a chain of brains. Director's event loop."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link, closing
from broadcaster.brain.opening import Openings, begin_with
from broadcaster.brain.plain import AsAsked, NoMemory
from broadcaster.errors import Stale
from broadcaster.ports import Brain, Ledger, MemoryStore
from broadcaster.types import Inbound, Message, PromptKind, Turn, Viewer, Written

log = logging.getLogger(__name__)


class Conversation(Protocol):
    """What was heard on air and what is known of the viewers. Everything but the awaited ones returns at once."""

    async def open(self, store: MemoryStore) -> None:
        """Reads what is remembered. Never fails: what cannot be read is forgotten, and told in the log."""

    def messages(self) -> tuple[Message, ...]:
        """The conversation as it was heard, oldest first, bounded in tokens; without the question asked now."""

    def summary(self) -> str:
        """Of what is older than `messages`; may be ""."""

    async def viewer_note(self, viewer: Viewer | None) -> str:
        """What is remembered about them; "" where nothing is. Never fails."""

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None: ...

    def ended(self, prompt: Inbound, *, cut: bool = False) -> None: ...

    def forget(self, viewer: str | None) -> None: ...

    def status(self) -> dict[str, Any]:
        """`{messages, tokens, viewers}`."""

    async def close(self) -> None: ...


class Prompting(Protocol):
    """From a question to what a model is sent. Never fails for what a viewer wrote."""

    async def turn(self, prompt: Inbound, conversation: Conversation) -> Turn: ...


class ChainMind:
    """Port `Mind`. `wall` is wall-clock time in nanoseconds; `stale_after_s` 0: no question is ever too old.

    `host` is the persona's name.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        prompting: Prompting | None = None,
        memory: Conversation | None = None,
        budget: Budget | None = None,
        opening: Callable[[Inbound], str] = lambda prompt: "",
        stale_after_s: float = 0.0,
        host: str = "",
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._chain = chain
        self._opening = opening
        self._openings = Openings()
        self._prompting = prompting or AsAsked()
        self._memory = memory or NoMemory()
        self.budget = budget or Budget()
        self.host = host
        self._stale_after_ns = int(stale_after_s * 1e9)
        self._wall = wall
        first = chain.links[0] if chain.links else chain.rules
        self._engine = first.name if first is not None else ""

    @classmethod
    def of(cls, brains: Sequence[Brain], rules: Brain | None = None) -> Self:
        """A chain of those brains without limits of their own, and nothing remembered."""
        budget = Budget()
        last = Link(rules.name, rules) if rules is not None else None
        return cls(Chain([Link(brain.name, brain, retries=0) for brain in brains], last, budget), budget=budget)

    async def open(self, memory: MemoryStore, ledger: Ledger) -> None:
        if not self._chain.links:
            log.info("the brain is rule-based; no language model is asked")
        await self.budget.open(ledger)
        await self._memory.open(memory)

    async def reply(self, prompt: Inbound) -> AsyncIterator[Written]:
        self._refuse_stale(prompt)
        turn = await self._prompting.turn(prompt, self._memory)
        event = prompt.kind is PromptKind.EVENT
        begun = False
        async with closing(self._chain.by_rules(turn) if event else self._chain.reply(turn)) as written:
            async for part in written:
                if not begun:
                    self._refuse_stale(prompt)
                    begun = True
                if not event:
                    self._engine = part.brain
                yield part

    def opening(self, prompt: Inbound) -> str:
        self._refuse_stale(prompt)
        said = self._opening(prompt)
        if said:
            self._openings.begun(prompt.id, said)
        return said

    async def turn(self, prompt: Inbound) -> Turn:
        turn = await self._prompting.turn(prompt, self._memory)
        opening = self._opening(prompt)
        return replace(turn, system=f"{turn.system}\n\n{begin_with(opening)}") if opening else turn

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        answered = self._openings.without(prompt.id, text)
        if answered.strip():
            self._memory.heard(prompt, sentence, answered)

    def ended(self, prompt: Inbound, *, cut: bool = False) -> None:
        self._openings.ended(prompt.id)
        self._memory.ended(prompt, cut=cut)

    def forget(self, viewer: str | None) -> None:
        self._memory.forget(viewer)

    def status(self) -> dict[str, Any]:
        links = self._chain.status()
        amiss = next((link for link in links if link["error"] or link["state"] != "closed"), None)
        rules = self._chain.rules
        return {
            "engine": self._engine,
            "degraded": amiss is not None,
            "error": f"{amiss['name']}: {amiss['error']}" if amiss is not None else "",
            "rule_based": rules is not None and self._engine == rules.name,
            "links": links,
            "budget": self.budget.status(),
            "memory": self._memory.status(),
        }

    async def close(self) -> None:
        await self._memory.close()
        await self._chain.close()

    def _refuse_stale(self, prompt: Inbound) -> None:
        if self._stale_after_ns and prompt.received_ns and self._wall() - prompt.received_ns > self._stale_after_ns:
            raise Stale("the question is too old to be answered")
