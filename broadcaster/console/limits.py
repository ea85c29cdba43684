"""Token buckets for messages and login attempts. Director process, event loop only; the clock is injected."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_KEYS: Final = 4096
"""Peers remembered at once: an attacker with many addresses must not grow the table; the longest silent goes."""


class RateLimiter:
    """`per_minute` events a minute for each key, all of them at once if the key was silent before."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60.0
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0

    def wait(self, key: str) -> int:
        """Whole seconds until `key` may go on; 0 means now. Takes nothing."""
        level = self._level(key)
        return 0 if level >= 1.0 else max(1, math.ceil((1.0 - level) / self._per_second))

    def take(self, key: str) -> int:
        """Takes one event; 0 when it was allowed, else the whole seconds to wait."""
        level = self._level(key)
        allowed = level >= 1.0
        self._levels[key] = (level - 1.0 if allowed else level, self._clock())
        self._levels.move_to_end(key)
        if len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)
        if allowed:
            return 0
        self.refused += 1
        return max(1, math.ceil((1.0 - level) / self._per_second))

    def _level(self, key: str) -> float:
        level, seen = self._levels.get(key, (self._capacity, self._clock()))
        return min(self._capacity, level + (self._clock() - seen) * self._per_second)
