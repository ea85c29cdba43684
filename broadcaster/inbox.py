"""The queue of accepted prompts: bounded, moderators and operators before viewers, older before newer.

What cuts in goes first, then what was cut and goes on afterwards, unless something waits that may cut it.
Lives in the director's event loop; nothing here blocks and nothing is shared with other threads.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Sequence
from enum import IntEnum

from broadcaster.errors import Refused
from broadcaster.types import Inbound, Role


class _Place(IntEnum):
    FIRST = 0
    HELD = 1
    WAITING = 2


_Entry = tuple[_Place, int, int, str, Inbound]
"""In the order of the queue: place, rank of the role, time of arrival, id."""


class Inbox:
    """Full means refused aloud (`Refused`, code "full") and counted: an accepted prompt is never pushed out.

    `capacity` bounds what is accepted; prompts that come back (`restore`: after a restart, a panic) are never
    refused, since they were promised before. `ttl_s` drops what waited too long, through `expired`. `cuts` says
    whether the first prompt may cut the second one.
    """

    def __init__(
        self,
        capacity: int,
        *,
        ttl_s: float | None = None,
        expired: Callable[[Inbound], None] = lambda prompt: None,
        cuts: Callable[[Inbound, Inbound], bool] = lambda arriving, other: False,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.capacity = capacity
        self.refused_full = 0
        self.expired = 0
        self._ttl_ns = None if ttl_s is None else int(ttl_s * 1e9)
        self._on_expired = expired
        self._wall_ns = wall_ns
        self._cuts = cuts
        self._waiting: list[_Entry] = []
        self._taken: _Entry | None = None
        self._reserved = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def reserve(self) -> None:
        """Takes one place for a prompt that is about to be journalled. Raises Refused when there is none."""
        if len(self._waiting) + self._reserved >= self.capacity:
            self.refused_full += 1
            raise Refused(f"the queue is full ({self.capacity} prompts); try again later", "full")
        self._reserved += 1

    def release(self) -> None:
        """Gives a reserved place back unused."""
        self._reserved -= 1

    def put(self, prompt: Inbound, *, first: bool = False) -> None:
        """Fills a reserved place. `first`: before all that waits, because it has cut what is on air."""
        self._reserved -= 1
        self._add(_Place.FIRST if first else _Place.WAITING, prompt)

    def restore(self, prompt: Inbound) -> None:
        """Puts back what was accepted earlier; it keeps its place in the order."""
        self._add(_Place.WAITING, prompt)

    def hold(self, prompt: Inbound) -> None:
        """Puts back what was cut and goes on once nothing waits that may cut it."""
        self._add(_Place.HELD, prompt)

    @property
    def held(self) -> list[Inbound]:
        """Those that were cut and go on, in order."""
        return [entry[-1] for entry in self._waiting if entry[0] is _Place.HELD]

    async def take(self) -> Inbound:
        """Waits for the next prompt."""
        while True:
            while self._waiting:
                entry = self._next_of(self._waiting)
                self._waiting.remove(entry)
                if not self._is_stale(entry):
                    self._taken = entry
                    return entry[-1]
                self.expired += 1
                self._on_expired(entry[-1])
            self._filled.clear()
            await self._filled.wait()

    def untake(self) -> None:
        """Gives back what was taken last, to its place."""
        if self._taken is not None:
            self._add(self._taken[0], self._taken[-1])
            self._taken = None

    def peek(self, count: int) -> list[Inbound]:
        """The next `count` prompts, in order, left in place."""
        left = list(self._waiting)
        found: list[Inbound] = []
        while left and len(found) < count:
            entry = self._next_of(left)
            left.remove(entry)
            found.append(entry[-1])
        return found

    def _add(self, place: _Place, prompt: Inbound) -> None:
        insort(self._waiting, (place, _rank(prompt), prompt.received_ns, prompt.id, prompt), key=lambda e: e[:4])
        self._filled.set()

    def _next_of(self, entries: Sequence[_Entry]) -> _Entry:
        """A resumable prompt is not begun while another one waits that would cut it at once."""
        first = entries[0]
        if first[0] is not _Place.FIRST and first[-1].resumable:
            return next((entry for entry in entries if self._cuts(entry[-1], first[-1])), first)
        return first

    def _is_stale(self, entry: _Entry) -> bool:
        """What has been heard in part has been waiting for nobody."""
        waited = self._wall_ns() - entry[-1].received_ns
        return self._ttl_ns is not None and entry[0] is not _Place.HELD and waited > self._ttl_ns


def _rank(prompt: Inbound) -> int:
    return 0 if prompt.origin.role.covers(Role.MODERATOR) else 1
