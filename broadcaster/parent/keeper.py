"""The life of one child as the parent judges it: alive, hung, due for a restart. Pure; the clock is handed in.

A child proves that it is well by a `Beat` whose progress is higher than the last one. Until it says that it is ready,
or advances, it is starting (models load) and has `Limits.start_s`; then `Limits.silence_s`. Progress below 0 is work
before the start that may take longer (an avatar is expanded): it has `start_s` again from each such beat.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from broadcaster.config import Config
from broadcaster.config.voices import local_voice
from broadcaster.supervisor.backoff import RestartBudget


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a child may take to its first sign of progress, and from each to the next."""

    start_s: float
    silence_s: float
    hopeless_s: float = 30.0
    """Between starts of a child that refuses its configuration: only a reload helps, and that restarts it at once."""


ORDER: Final = ("playout", "head", "voice", "voice-local", "director")
"""The order of starting. Playout is first because the picture must not wait for anything else."""

OPTIONAL: Final = "voice-local"
"""Runs only for a link of the voice chain that has its model inside the daemon. Nothing waits for it."""

LIMITS: Final = {
    "playout": Limits(start_s=90.0, silence_s=3.0),
    "head": Limits(start_s=90.0, silence_s=20.0),
    "voice": Limits(start_s=90.0, silence_s=10.0),
    "voice-local": Limits(start_s=180.0, silence_s=30.0, hopeless_s=600.0),
    "director": Limits(start_s=60.0, silence_s=10.0),
}
"""A voice hashes and loads 100 MB of weights on a busy small machine; the first start expands the avatar. The local
voice imports torch and reads gigabytes, and holds the interpreter's lock for seconds at a time meanwhile; what that
costs the picture's cores is also why it is not tried again every half minute. A neural head does the same beside a
stand-in that speaks."""

NOTHING: Final = -(1 << 31)
"""Progress of a child that has not beaten yet: less than any."""

PLAYOUT_CAP_S: Final = 1.0
"""Playout is restarted for ever, and never later than this: it must be on air again within 5 s."""

_LOCAL_HEALTHY_S: Final = 1200.0
"""Loading a model may take minutes by itself: only a longer run than that proves anything."""

GAVE_UP_AFTER: Final = 8
"""Ends in a row without a healthy run: restarts do not help, and the director should say so. They go on anyway."""


class Keeper:
    """State of one child. All methods take `now`, seconds of a monotonic clock."""

    def __init__(self, role: str, limits: Limits, budget: RestartBudget) -> None:
        self.role = role
        self.limits = limits
        self.running = False
        self.ready = False
        self.progress = NOTHING
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
        self.progress, self._proven, self._advanced_at = NOTHING, False, now
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
            delay = self.limits.hopeless_s if granted is None or hopeless else granted
            self.gave_up = hopeless or self._budget.failures >= GAVE_UP_AFTER
        self.restart_at = now + delay
        return delay

    def due(self, now: float) -> bool:
        return self.restart_at is not None and now >= self.restart_at


def roles_of(config: Config) -> frozenset[str]:
    """The roles that this configuration asks for."""
    return frozenset(role for role in ORDER if role != OPTIONAL or local_voice(config.voice.chain) is not None)


def keepers(rng: random.Random) -> list[Keeper]:
    """One for each child, in the order of starting."""

    budgets = {
        "playout": RestartBudget(rng, cap_s=PLAYOUT_CAP_S),
        "voice-local": RestartBudget(rng, quick=2, window_s=3600.0, cap_s=300.0, healthy_s=_LOCAL_HEALTHY_S),
    }
    return [Keeper(role, LIMITS[role], budgets.get(role) or RestartBudget(rng)) for role in ORDER]
