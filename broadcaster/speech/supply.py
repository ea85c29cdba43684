"""Text as it comes, to packages when they are needed. Director's event loop.

The first package is taken as early as it is worth speaking. A later one waits until it is large enough for the voice
to stay ahead of what is heard, but never so long that it would come too late: what is whole by then is taken, and if
nothing is, a clause. How fast the text comes counts too: nothing is waited for that will not come in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcaster.speech.pacing import SHORTEST_PACKAGE, Pacer
from broadcaster.speech.packing import Packer
from broadcaster.speech.units import spoken_units

ENDED: Final = -1.0
"""What a supply says at the end of the text."""

SETTLED_S: Final = 0.06
"""An end mark with nothing behind it for so long is the end: a model writes its next word sooner."""

LOOK_AGAIN_S: Final = 0.4
"""Text that stands still is looked at so often; every new word is a look too."""

MARGIN_S: Final = 0.15
"""A package is taken so much before it would be too late: the clock of a busy machine."""

RATE_AFTER_S: Final = 0.3
"""The text must have come for so long before anything is said about its speed."""


@dataclass(frozen=True, slots=True)
class Package:
    """What is planned at once. `arrived`: when its last character came."""

    text: str
    arrived: float


class Supply:
    """The text of one utterance. `clock` tells the loop's time.

    Without `paced` the packages depend on the text alone, not on when it came.
    """

    def __init__(
        self, pacer: Pacer, clock: Callable[[], float], *, paced: bool, shortest: float = SHORTEST_PACKAGE
    ) -> None:
        self._packer = Packer()
        self._pacer = pacer
        self._clock = clock
        self._paced = paced
        self._shortest = shortest
        self._arrivals: deque[tuple[int, float]] = deque()
        """Of the text that was not taken yet: characters read by then, and when that was."""
        self._read = self._taken = 0
        self._began = self._text_at = clock()
        self._units = 0.0
        """Read behind the first words."""

    def feed(self, text: str) -> None:
        now = self._clock()
        if self._read:
            self._units += spoken_units(text)
        else:
            self._began = now
        self._text_at = now
        self._read += len(text)
        self._arrivals.append((self._read, now))
        self._packer.feed(text)

    def finish(self) -> None:
        """No more text will come."""
        self._packer.finish()

    @property
    def exhausted(self) -> bool:
        return self._packer.exhausted

    def take(self, ready_s: float) -> Package | float:
        """The next package with something to say in it; else after how many seconds to ask again, or ENDED.

        `ready_s` is the sound that is made, or nearly, and was not let go.
        """
        while not self._packer.exhausted:
            found = self._next(ready_s) if self._paced else self._packer.take(self._shortest)
            if found is None:
                return LOOK_AGAIN_S
            if isinstance(found, float):
                return found
            self._taken += len(found)
            while len(self._arrivals) > 1 and self._arrivals[0][0] < self._taken:
                self._arrivals.popleft()
            if spoken_units(found) > 0:
                return Package(found, self._arrivals[0][1])
        return ENDED

    def _next(self, ready_s: float) -> str | float | None:
        now = self._clock()
        still = now - self._text_at
        settled = still >= SETTLED_S
        least, most = self._pacer.least(now, ready_s), self._pacer.size(now, ready_s).maximum
        found = self._packer.take(least, most=most, settled=settled)
        if found is not None:
            return found
        if (units := self._packer.offers(most, settled=settled)) > 0:
            wait = self._worth_waiting(now, ready_s, units, least - units)
            return wait if wait > 0 else self._packer.take(most=most, settled=settled, urgent=True)
        if (units := self._packer.offers(settled=settled, clause=True)) > 0:
            wait = self._pacer.slack(now, ready_s, units) - MARGIN_S
            return wait if wait > 0 else self._packer.take(settled=settled, clause=True)
        return SETTLED_S - still if still < SETTLED_S else None

    def _worth_waiting(self, now: float, ready_s: float, units: float, missing: float) -> float:
        """Seconds for which a package of `units` may wait for `missing` more; 0 when they will not come in time."""
        if not self._pacer.begun:
            return 0.0
        wait = self._pacer.slack(now, ready_s, units) - MARGIN_S
        since = now - self._began
        if since >= RATE_AFTER_S and missing * since > wait * self._units:
            return 0.0
        return wait
