"""How far a head that falls behind steps down, and when it dares to step up again. Pure policy, counted in pictures.

Sound is never touched: playout drops a late picture by itself. What is counted here are pictures whose tick had
passed before the head came to them.
"""

from __future__ import annotations

from typing import Final

TOO_LATE: Final = 3
"""Pictures skipped within WINDOW that make the head step down: one alone is a hiccup of the machine."""

WINDOW: Final = 50
"""Pictures (2 s at 25 a second) over which skipped ones are counted together."""

CALM: Final = 250
"""Pictures without a skip (10 s of speech at 25 a second) after which the next step up is tried."""

MOST_CALM: Final = 7500
"""Upper bound of the wait after tries that failed: 5 minutes of speech."""


class Ladder:
    """`step` is 0 (in full) .. `steps` - 1. A try that fails doubles the wait for the next one."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.step = 0
        self.stepped_down = 0
        self.stepped_up = 0
        self._seen = 0
        self._late: list[tuple[int, int]] = []
        self._since = 0
        """Pictures since the last skip or change of step."""
        self._calm = CALM
        self._trying = False
        """The step in use was reached by going up, and has not been held for CALM pictures yet."""

    def made(self) -> None:
        """A picture was made in time."""
        self._seen += 1
        self._since += 1
        if self._trying and self._since >= CALM:
            self._trying, self._calm = False, CALM

    def may_rise(self) -> bool:
        """Between two utterances, never within one: steps up if it has been calm for long enough."""
        if self.step == 0 or self._since < self._calm:
            return False
        self.step -= 1
        self.stepped_up += 1
        self._trying = True
        self._changed()
        return True

    def skipped(self, pictures: int) -> bool:
        """So many pictures were too late. Whether the step changed."""
        self._seen += pictures
        self._since = 0
        self._late.append((self._seen, pictures))
        self._late = [(at, count) for at, count in self._late if at > self._seen - WINDOW]
        if sum(count for _, count in self._late) < TOO_LATE or self.step == self._steps - 1:
            return False
        if self._trying:
            self._calm = min(2 * self._calm, MOST_CALM)
        self.step += 1
        self.stepped_down += 1
        self._trying = False
        self._changed()
        return True

    def shorten(self, steps: int) -> None:
        """One of the steps is gone: the next one down takes the place of the one in use, or else the last."""
        self._steps = steps
        self.step = min(self.step, steps - 1)
        self._changed()

    def _changed(self) -> None:
        self._since = 0
        self._late.clear()
