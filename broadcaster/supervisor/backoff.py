"""Back-off, restart budget and health edge: pure, every time is a float of monotonic seconds handed in."""

from __future__ import annotations

import random
from collections import deque
from enum import StrEnum
from typing import Final


class Backoff:
    """Jittered exponential back-off that never gives up and forgets its failures after a healthy run."""

    def __init__(
        self,
        rng: random.Random,
        *,
        first_s: float = 1.0,
        cap_s: float = 60.0,
        factor: float = 2.0,
        jitter: float = 0.25,
        healthy_s: float = 30.0,
    ) -> None:
        self._rng = rng
        self._first = first_s
        self._cap = cap_s
        self._factor = factor
        self._jitter = jitter
        self._healthy = healthy_s
        self._exponent = 0

    def failed(self, ran_s: float, *, at_once: bool = False) -> float:
        """Seconds to wait before the next try, after a run that was healthy for `ran_s` seconds.

        `at_once`: none at all, if that run lasted longer than the first wait would; what fails in a loop must wait.
        """
        if at_once and ran_s > self._first:
            return 0.0
        if ran_s >= self._healthy:
            self._exponent = 0
        # The exponent stops growing where the cap is reached: an endless retry must not overflow.
        delay = min(self._cap, self._first * self._factor**self._exponent)
        if delay < self._cap:
            self._exponent += 1
        return min(self._cap, delay * self._rng.uniform(1.0 - self._jitter, 1.0 + self._jitter))

    def reset(self) -> None:
        self._exponent = 0


class RestartBudget:
    """How soon a process that ended is started again.

    `quick` restarts within `window_s` cost only `quick_delay_s` each; after that the delay doubles up to `cap_s`.
    With `give_up_after` (failures in a row without a healthy run) `exited` answers None in the end; playout has none.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        quick: int = 5,
        window_s: float = 60.0,
        quick_delay_s: float = 0.05,
        cap_s: float = 30.0,
        healthy_s: float = 60.0,
        give_up_after: int | None = None,
    ) -> None:
        self._quick = quick
        self._window = window_s
        self._quick_delay = quick_delay_s
        self._give_up = give_up_after
        self._healthy = healthy_s
        self._exits: deque[float] = deque(maxlen=quick)
        self._backoff = Backoff(rng, first_s=1.0, cap_s=cap_s, healthy_s=healthy_s)
        self.failures = 0
        """Failures in a row: a healthy run sets it back."""
        self.restarts = 0

    def exited(self, now: float, ran_s: float) -> float | None:
        """Seconds until the restart, or None when the budget is spent. `ran_s`: how long the process had run."""
        if ran_s >= self._healthy:
            self.failures = 0
            self._exits.clear()
            self._backoff.reset()
        self.failures += 1
        if self._give_up is not None and self.failures > self._give_up:
            return None
        self.restarts += 1
        spent = len(self._exits) == self._quick and now - self._exits[0] < self._window
        self._exits.append(now)
        return self._backoff.failed(ran_s) if spent else self._quick_delay


class Turn(StrEnum):
    """What an `Edge` saw happen."""

    RAISED = "raised"
    CLEARED = "cleared"


class Edge:
    """A condition that must hold for a while before it counts, and be gone for a while before it is over.

    `update` is called as often as one likes and answers once for each edge: report edges, never levels.
    """

    def __init__(self, *, raise_after_s: float = 0.0, clear_after_s: float = 0.0) -> None:
        self._after: Final = {True: raise_after_s, False: clear_after_s}
        self._since: float | None = None
        self.raised = False

    def update(self, bad: bool, now: float) -> Turn | None:
        if bad == self.raised:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        if now - self._since < self._after[bad]:
            return None
        self._since = None
        self.raised = bad
        return Turn.RAISED if bad else Turn.CLEARED
