"""What moderation holds for a person to decide: it waits here, outside the queue. Director's event loop only.

What was paid for stays until somebody decides (it also stays queued in the journal: after a restart it is judged, and
held, once more); the rest is dropped when its time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcaster.types import Inbound

UNPAID: Final = 200
"""Held at once of what was not paid for; more than a page of it nobody reads, and the oldest goes."""


@dataclass(frozen=True, slots=True)
class HeldPrompt:
    """`reason` is moderation's: which check, never which words."""

    prompt: Inbound
    reason: str


class HeldBack:
    """`over` is told of those that nobody has decided about in time."""

    def __init__(self, hold_s: float, over: Callable[[Inbound], None]) -> None:
        self._hold_s = hold_s
        self._over = over
        self._held: dict[str, HeldPrompt] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, prompt: Inbound, reason: str) -> None:
        self.take(prompt.id)
        if not prompt.paid:
            self._make_room()
            self._ends[prompt.id] = asyncio.get_running_loop().call_later(self._hold_s, self._end, prompt.id)
        self._held[prompt.id] = HeldPrompt(prompt, reason)

    def get(self, id: str) -> HeldPrompt | None:
        return self._held.get(id)

    def take(self, id: str) -> Inbound | None:
        """Out of the list: somebody has decided."""
        timer = self._ends.pop(id, None)
        if timer is not None:
            timer.cancel()
        found = self._held.pop(id, None)
        return found.prompt if found is not None else None

    def items(self) -> list[HeldPrompt]:
        """Oldest first."""
        return list(self._held.values())

    def _make_room(self) -> None:
        if len(self._ends) >= UNPAID:
            self._end(next(iter(self._ends)))

    def _end(self, id: str) -> None:
        prompt = self.take(id)
        if prompt is not None:
            self._over(prompt)
