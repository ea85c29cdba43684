"""Circuit breaker: an engine that keeps failing is left alone for a while, then tried once. Pure; injected clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from broadcaster.supervisor.backoff import Backoff

FAILURES: Final = 3
"""In a row: one is a hiccup, and every failure costs a first-sound time-out at worst."""

FIRST_S: Final = 5.0
CAP_S: Final = 120.0
"""The rest after the first opening, doubled at every failed probe up to the most."""

HEALTHY_S: Final = 60.0
"""An engine that worked for so long has its failures forgotten: the next rest is the first again."""


class CircuitBreaker:
    """Port `Breaker`. `clock` is monotonic seconds; `rng` spreads the probes of several channels."""

    def __init__(
        self,
        clock: Callable[[], float],
        rng: random.Random,
        *,
        failures: int = FAILURES,
        first_s: float = FIRST_S,
        cap_s: float = CAP_S,
        healthy_s: float = HEALTHY_S,
    ) -> None:
        self.opened = 0
        """How often it opened."""
        self._clock = clock
        self._limit = failures
        self._backoff = Backoff(rng, first_s=first_s, cap_s=cap_s, healthy_s=healthy_s)
        self._in_a_row = 0
        self._closed_at = clock()
        self._until: float | None = None
        """The end of the rest; None while closed."""
        self._probing = False

    @property
    def state(self) -> str:
        if self._until is None:
            return "closed"
        return "open" if self._clock() < self._until else "half_open"

    def allows(self) -> bool:
        if self._until is None:
            return True
        if self._probing or self._clock() < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """What was asked before it opened and comes during the rest does not end the rest."""
        self._in_a_row = 0
        if self.state == "half_open":
            self._until = None
            self._closed_at = self._clock()
        self._probing = False

    def failed(self, *, for_good: bool = False) -> None:
        """What was asked before it opened and fails during the rest does not prolong it."""
        now = self._clock()
        state = self.state
        self._probing = False
        if state == "closed":
            self._in_a_row += 1
            if for_good or self._in_a_row >= self._limit:
                self._open(now, now - self._closed_at)
        elif state == "half_open":
            self._open(now, 0.0)

    def released(self) -> None:
        self._probing = False

    def _open(self, now: float, worked_s: float) -> None:
        self.opened += 1
        self._in_a_row = 0
        self._until = now + self._backoff.failed(worked_s)
