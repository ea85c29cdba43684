"""Accepted prompts of moderators and operators, and everything that was cut and goes on. Event loop only.

What cuts in goes first, then what was cut, then the others: moderators before viewers, older before newer.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from enum import IntEnum

from broadcaster.types import Inbound, Role


class Stand(IntEnum):
    """Where a promised prompt stands."""

    FIRST = 0  # it has cut what is on air
    HELD = 1  # it was cut and goes on
    WAITING = 2


Entry = tuple[Stand, int, int, str, Inbound]
"""In the order of the queue: stand, rank of the role, time of arrival, id."""


class Promised:
    """A sorted list of entries: there are at most some hundred."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def add(self, stand: Stand, prompt: Inbound) -> None:
        insort(self._entries, (stand, _rank(prompt), prompt.received_ns, prompt.id, prompt), key=lambda e: e[:4])

    def find(self, identity: str) -> Entry | None:
        return next((entry for entry in self._entries if entry[3] == identity), None)

    def discard(self, entry: Entry) -> None:
        self._entries.remove(entry)

    def replace(self, prompt: Inbound) -> bool:
        """The same prompt with another text; it keeps its stand."""
        entry = self.find(prompt.id)
        if entry is None:
            return False
        self.discard(entry)
        self.add(entry[0], prompt)
        return True


def _rank(prompt: Inbound) -> int:
    return 0 if prompt.origin.role.covers(Role.MODERATOR) else 1
