"""The order in which a stopping daemon lets go: the director's sentence first, then the streams, then force. Pure."""

from __future__ import annotations

from typing import Final

DIRECTOR_S: Final = 3.0
"""For finishing or cutting the sentence; the others go on meanwhile, so that it is heard."""

ALL_S: Final = 4.6
"""Then everything that is left is killed: all must be gone within 5 s of the signal."""


class Ending:
    """Asked again and again which signals are due. `now` is seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._asked: set[str] = set()
        self._killed: set[str] = set()
        self._force = False

    def force(self) -> None:
        """No more patience: a second Ctrl-C."""
        self._force = True

    def to_terminate(self, running: set[str], now: float) -> set[str]:
        """Children that get SIGTERM now; each once."""
        waiting = "director" in running and now < self._began + DIRECTOR_S
        due = ({"director"} if waiting else running) & running - self._asked
        self._asked |= due
        return due

    def to_kill(self, running: set[str], now: float) -> set[str]:
        """Children that get SIGKILL now; each once."""
        if not self._force and now < self._began + ALL_S:
            return set()
        due = running - self._killed
        self._killed |= due
        return due

    def deadline(self) -> float:
        return self._began + (DIRECTOR_S if self._asked <= {"director"} else ALL_S)
