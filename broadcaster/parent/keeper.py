"""The life of one child as the parent judges it: alive, hung, due for a restart. Pure; the clock is handed in.

A child proves that it is well by a `Beat` whose progress is higher than the last one. Until it says that it is ready,
or advances, it is starting (models load, an avatar is expanded) and has `Limits.start_s`; then `Limits.silence_s`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from broadcaster.supervisor.backoff import RestartBudget


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a child may take to its first sign of progress, and from each to the next."""

    start_s: float
    silence_s: float


ORDER: Final = ("playout", "head", "voice", "director")
"""The order of starting. Playout is first because the picture must not wait for anything else."""

LIMITS: Final = {
    "playout": Limits(start_s=90.0, silence_s=3.0),
    "head": Limits(start_s=90.0, silence_s=10.0),
    "voice": Limits(start_s=90.0, silence_s=10.0),
    "director": Limits(start_s=60.0, silence_s=10.0),
}
"""A voice hashes and loads 100 MB of weights on a busy small machine; the first start expands the avatar."""

PLAYOUT_CAP_S: Final = 1.0
"""Playout is restarted for ever, and never later than this: it must be on air again within 5 s."""

HOPELESS_S: Final = 30.0
"""Between starts of a child that refuses its configuration: only a reload helps, and that restarts it at once."""

GAVE_UP_AFTER: Final = 8
"""Ends in a row without a healthy run: restarts do not help, and the director should say so. They go on anyway."""


class Keeper:
    """State of one child. All methods take `now`, seconds of a monotonic clock."""

    def __init__(self, role: str, limits: Limits, budget: RestartBudget) -> None:
        self.role = role
        self.limits = limits
        self.running = False
        self.ready = False
        self.progress = -1
        self.note = ""
        self.starts = 0
        self.restart_at: float | None = 0.0
        """When to start it (again); None while it runs."""
        self.gave_up = False
        """It ended GAVE_UP_AFTER times in a row, or refused its configuration."""
        self._budget = budget
        self._started_at = 0.0
        self._advanced_at = 0.0
        self._proven = False

    def started(self, now: float) -> None:
        self.running, self.ready, self.note = True, False, ""
        self.progress, self._proven, self._advanced_at = -1, False, now
        self.restart_at = None
        self.starts += 1
        self._started_at = now

    def beat(self, progress: int, ready: bool, note: str, now: float) -> bool:
        """True when the child has advanced since its last beat."""
        advanced = progress > self.progress
        if advanced:
            self._proven = self._proven or ready or self.progress >= 0
            self.progress, self._advanced_at = progress, now
        self.ready, self.note = ready, note
        return advanced

    def forgive(self, now: float) -> None:
        """The judge was away itself: silence up to now counts for nothing."""
        self._advanced_at = now

    @property
    def proven(self) -> bool:
        """It has been ready, or has advanced, since it was started."""
        return self._proven

    def deadline(self) -> float | None:
        """When it counts as hung unless it advances before; None while it is down."""
        if not self.running:
            return None
        return self._advanced_at + (self.limits.silence_s if self._proven else self.limits.start_s)

    def hung(self, now: float) -> str | None:
        """Why it counts as hung, for people, or None."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return None
        silent = now - self._advanced_at
        return f"no progress for {silent:.1f} s" if self._proven else f"not started after {silent:.0f} s"

    def exited(self, now: float, *, hopeless: bool = False, wanted: bool = False) -> float:
        """Notes the exit and returns the seconds until the restart.

        `wanted` exits (a reload, a request) cost nothing of the budget; `hopeless` ones (the configuration was
        refused) wait the longest delay at once.
        """
        self.running = self.ready = False
        delay = 0.0
        if not wanted:
            granted = self._budget.exited(now, now - self._started_at)
            delay = HOPELESS_S if granted is None or hopeless else granted
            self.gave_up = hopeless or self._budget.failures >= GAVE_UP_AFTER
        self.restart_at = now + delay
        return delay

    def due(self, now: float) -> bool:
        return self.restart_at is not None and now >= self.restart_at


def keepers(rng: random.Random) -> list[Keeper]:
    """One for each child, in the order of starting."""

    def budget(role: str) -> RestartBudget:
        return RestartBudget(rng, cap_s=PLAYOUT_CAP_S) if role == "playout" else RestartBudget(rng)

    return [Keeper(role, LIMITS[role], budget(role)) for role in ORDER]
