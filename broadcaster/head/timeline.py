"""Which sample of an utterance sounds in the middle of a tick. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broadcaster.types import SAMPLE_RATE, samples_at

TRAIL_TICKS: Final = 4
"""Pictures at rest after the last sample: the compositor fades the mouth region out over three ticks."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One anchor: `first_sample` of the utterance sounds at the start of `first_tick`."""

    generation: int
    epoch: int
    first_tick: int
    first_sample: int
    fps: int

    def middle(self, tick: int) -> int:
        """The sample in the middle of `tick`."""
        start = samples_at(tick, self.fps) - samples_at(self.first_tick, self.fps)
        return self.first_sample + start + samples_at(1, self.fps) // 2

    def tick_of(self, sample: int) -> int:
        """The tick that a sample sounds in."""
        return self.first_tick + (sample - self.first_sample) * self.fps // SAMPLE_RATE

    def end(self, samples: int) -> int:
        """The first tick beyond the pictures at rest that follow an utterance of `samples`."""
        one = samples_at(1, self.fps)
        left = samples + samples_at(TRAIL_TICKS, self.fps) - one // 2 - self.first_sample
        return self.first_tick - -left // one

    def over(self, tick: int, samples: int) -> bool:
        """Whether `tick` lies there."""
        return tick >= self.end(samples)
