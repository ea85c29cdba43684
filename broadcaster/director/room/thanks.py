"""What is gathered for a while and thanked for, or welcomed, in one sentence. Pure; `now` is monotonic seconds.

Gifts of one run (combo) are one entry that grows, and one that still runs when the window closes waits for its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from broadcaster.types import Given, Happening, Post, RoomEvent, Viewer

PARTS: Final = 60
"""Entries of one sentence. It names four and counts the rest; what was paid for beyond this waits on disk."""

KEYS: Final = 500
"""Paid posts of one sentence: they are marked in one statement of the database."""

COMBO_QUIET_S: Final = 3.0
"""Without another gift for so long a run is over; the platforms' own counters wait 3 to 5 s."""

COMBO_WINDOWS: Final = 3
"""A run that never ends is thanked for after so many windows, and goes on as a new one."""


@dataclass(slots=True)
class Part:
    """One viewer's gifts of one sort (or follow, or likes)."""

    viewer: Viewer
    event: RoomEvent
    item: str
    source: str
    count: int = 0
    paid: int = 0
    combo: str = ""
    last: float = 0.0
    windows: int = 0
    keys: list[str] = field(default_factory=list)

    @property
    def given(self) -> Given:
        return Given(self.viewer, Happening(self.event, self.item, self.count))


class Window:
    """Opens with the first entry and closes `seconds` after it."""

    def __init__(self, seconds: float, parts: int = PARTS) -> None:
        self._seconds = seconds
        self._most = parts
        self._parts: dict[tuple[str, RoomEvent, str, str], Part] = {}
        self._keys = 0
        self._closes: float | None = None

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, post: Post, event: RoomEvent, viewer: Viewer, item: str, now: float) -> bool:
        """False when it is full. `viewer` and `item` as they may be said. Once it holds paid ones, what was free
        makes room for them."""
        key = (viewer.id, event, item, post.combo)
        part = self._parts.get(key)
        if post.paid and self._keys >= KEYS:
            return False
        if part is None:
            if len(self._parts) >= self._most and not (post.paid and self._drop_free()):
                return False
            part = self._parts[key] = Part(viewer, event, item, post.source, combo=post.combo)
        part.count += max(1, post.count)
        part.paid += post.price
        part.last = now
        if post.paid:
            part.keys.append(post.key)
            self._keys += 1
        if self._closes is None:
            self._closes = now + self._seconds
        return True

    def close(self, now: float, *, room: bool = True) -> list[Part]:
        """All entries, the dearest first, when it is time; else nothing. `room`: a paid prompt has a place in the
        queue; without one what was paid for stays."""
        if self._closes is None or now < self._closes:
            return []
        staying = {key: part for key, part in self._parts.items() if (part.keys and not room) or _runs(part, now)}
        parts = [part for key, part in self._parts.items() if key not in staying]
        for part in staying.values():
            part.windows += 1
        self._parts = staying
        self._keys = sum(len(part.keys) for part in staying.values())
        self._closes = now + min(self._seconds, COMBO_QUIET_S) if staying else None
        return sorted(parts, key=lambda part: -part.paid)

    def remove(self, viewer: str) -> int:
        """What a viewer gave without paying; how many entries it was."""
        gone = [key for key, part in self._parts.items() if part.viewer.id == viewer and not part.keys]
        for key in gone:
            del self._parts[key]
        return len(gone)

    def _drop_free(self) -> bool:
        free = next((key for key, part in self._parts.items() if not part.keys), None)
        if free is None:
            return False
        del self._parts[free]
        return True


def _runs(part: Part, now: float) -> bool:
    return bool(part.combo) and part.windows < COMBO_WINDOWS and now - part.last < COMBO_QUIET_S
