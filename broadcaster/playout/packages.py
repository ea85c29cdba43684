"""When the first sample of each package of speech was on air, and what it had waited for. Tick thread only."""

from __future__ import annotations

import time
from collections.abc import Callable

from broadcaster.playout.utterance import Utterance
from broadcaster.wire import PackageOnAir

Traced = Callable[[PackageOnAir], None]


def untraced(_: PackageOnAir) -> None:
    """Off line, when nobody asks how long anything took."""


class Packages:
    """`gap_ticks` is the silence right before the segment that has just begun, `lips_ns` when the mouth of the
    present tick came."""

    def __init__(self, fps: int, traced: Traced = untraced, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.gap_ticks = 0
        self.lips_ns = 0
        self.now_ns = clock_ns
        self._fps = fps
        self._traced = traced

    def sounded(self, current: Utterance, segment: int) -> None:
        """More of `current` was taken; `segment` is the sample at which its present segment began."""
        for package in current.packages_begun():
            late = package.start == segment
            self._traced(
                PackageOnAir(
                    generation=current.generation,
                    utterance=current.id,
                    package=package.number,
                    arrived_ns=package.arrived_ns,
                    free_ns=current.free_ns if package.start == 0 else 0,
                    lips_ns=self.lips_ns,
                    on_air_ns=self.now_ns(),
                    gap_ms=self.gap_ticks * 1000 // self._fps if late else 0,
                )
            )
        self.gap_ticks = 0
