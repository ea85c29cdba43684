"""What has come before: keys of posts, bounded. Pure; director's event loop."""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 50_000
"""Keys: at least half of them are the last ones. Platforms send again within seconds; in a room of 500 comments a
second this is the last minute."""


class Recent:
    """Two generations: when the younger one is full, the older one is forgotten. Paid posts are not kept here: of
    them the journal knows every one."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._half = max(1, most // 2)
        self._young: set[str] = set()
        self._old: set[str] = set()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def seen(self, key: str) -> bool:
        """Whether it was there already; it is from now on. "" never is."""
        if not key:
            return False
        if key in self._young or key in self._old:
            return True
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.add(key)
        return False
