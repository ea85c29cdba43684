"""How much of a stream is considered: token buckets. Pure; `now` is monotonic seconds."""

from __future__ import annotations


class Bucket:
    """Lets `most` through at once, and then `per_second`."""

    __slots__ = ("_at", "_left", "_most", "_per_second")

    def __init__(self, most: float, per_second: float, now: float) -> None:
        self._most = most
        self._per_second = per_second
        self._left = most
        self._at = now

    def take(self, now: float) -> bool:
        """One more, if there is room for it."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
