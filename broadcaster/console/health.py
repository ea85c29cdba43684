"""Is the channel fit to be on air? The judgement behind `/health/ready`. Director process, event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

STALLED_AFTER_S: Final = 5.0
"""Playout reports once a second; five missed reports are not jitter."""


class Readiness:
    """Watches the tick counter. `observe` is called once a second and by every probe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tick = -1
        self._moved = clock()

    def observe(self, status: dict[str, Any]) -> list[str]:
        """Reasons why the channel is not ready; empty when it is."""
        playout = status.get("clock") or {}
        tick = int(playout.get("tick", 0))
        now = self._clock()
        reasons = []
        if not playout.get("connected"):
            reasons.append("the director is not connected to playout")
            self._tick = -1
        elif self._tick < 0 or tick != self._tick:
            self._tick, self._moved = tick, now
        elif now - self._moved > STALLED_AFTER_S:
            reasons.append(f"playout's tick has stood still for {int(now - self._moved)} s")
        if status.get("stopping"):
            reasons.append("the daemon is stopping")
        return reasons
