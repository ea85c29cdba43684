"""The queue of accepted prompts: bounded, moderators and operators before viewers, older before newer.

Lives in the director's event loop; nothing here blocks and nothing is shared with other threads.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable

from broadcaster.errors import Refused
from broadcaster.types import Inbound, Role


class Inbox:
    """Full means refused aloud (`Refused`, code "full") and counted: an accepted prompt is never pushed out.

    `capacity` bounds what is accepted; prompts that come back (`restore`: after a restart, a panic) are never
    refused, since they were promised before. `ttl_s` drops what waited too long, through `expired`.
    """

    def __init__(
        self,
        capacity: int,
        *,
        ttl_s: float | None = None,
        expired: Callable[[Inbound], None] = lambda prompt: None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.capacity = capacity
        self.refused_full = 0
        self.expired = 0
        self._ttl_ns = None if ttl_s is None else int(ttl_s * 1e9)
        self._on_expired = expired
        self._wall_ns = wall_ns
        self._heap: list[tuple[int, int, str, Inbound]] = []
        self._reserved = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def reserve(self) -> None:
        """Takes one place for a prompt that is about to be journalled. Raises Refused when there is none."""
        if len(self._heap) + self._reserved >= self.capacity:
            self.refused_full += 1
            raise Refused(f"the queue is full ({self.capacity} prompts); try again later", "full")
        self._reserved += 1

    def release(self) -> None:
        """Gives a reserved place back unused."""
        self._reserved -= 1

    def put(self, prompt: Inbound) -> None:
        """Fills a reserved place."""
        self._reserved -= 1
        self.restore(prompt)

    def restore(self, prompt: Inbound) -> None:
        """Puts back what was accepted earlier; it keeps its place in the order."""
        heapq.heappush(self._heap, (_rank(prompt), prompt.received_ns, prompt.id, prompt))
        self._filled.set()

    async def take(self) -> Inbound:
        """Waits for the next prompt."""
        while True:
            while self._heap:
                prompt = heapq.heappop(self._heap)[-1]
                if not self._is_stale(prompt):
                    return prompt
                self.expired += 1
                self._on_expired(prompt)
            self._filled.clear()
            await self._filled.wait()

    def peek(self, count: int) -> list[Inbound]:
        """The next `count` prompts, in order, left in place."""
        return [entry[-1] for entry in heapq.nsmallest(count, self._heap)]

    def _is_stale(self, prompt: Inbound) -> bool:
        return self._ttl_ns is not None and self._wall_ns() - prompt.received_ns > self._ttl_ns


def _rank(prompt: Inbound) -> int:
    return 0 if prompt.origin.role.covers(Role.MODERATOR) else 1
