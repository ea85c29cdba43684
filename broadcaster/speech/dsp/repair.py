"""Faults of an engine's sound that can be mended: clicks, peaks that wrapped round, DC. Pure, streaming.

A click is a jump of one to three samples that stands alone: three times as sharp as anything within 12.5 ms of it (a
period of a deep voice). A plosive is sharp for several milliseconds and is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE

Samples = NDArray[np.float64]

_NEIGHBOURS_S: Final = 0.0125
"""A click is judged by what is within so many seconds of it."""

_OWN: Final = 6
"""Places next to a click that belong to it and do not count as neighbours."""

_LONGEST: Final = 6
"""Sharp places in a row that one click makes; a longer stretch is sound."""

_SHARPER_THAN_MEAN: Final = 10.0
_SHARPER_THAN_ANY: Final = 3.0
_QUIETEST: Final = 600.0
"""Second difference (int16 units) below which nobody hears a click."""

_BRIDGE_S: Final = 0.002
"""A step (two stretches that were joined badly) becomes a slope of this length."""

_WRAP: Final = 49_152
"""A jump of three quarters of the whole range is no sound: a peak over full scale came out on the other side."""

_WRAPPED_AT_MOST: Final = 40
"""Samples; a peak that is longer outside full scale is not a peak."""

_DC_HERTZ: Final = 15.0


class Repairer:
    """Takes clicks and wrapped peaks out of one stream at its own rate.

    `push` any number of times, then `finish` once; as many samples come out as went in, the same bits for any
    chunking. What comes out lags 15 ms behind.
    """

    def __init__(self, rate: int) -> None:
        self._reach = max(math.ceil(rate * _NEIGHBOURS_S), _WRAPPED_AT_MOST)
        self._bridge = math.ceil(rate * _BRIDGE_S)
        self._margin = self._reach + _OWN + 2
        self._keep = self._margin + self._bridge + _LONGEST + 4
        """Samples behind the last judged place that may still change, and those that judging looks back at."""
        self._raw: Samples = np.zeros(self._keep)
        self._owed = 0
        self._left_out = self._keep
        self._judged = self._keep
        """Index in `_raw` of the first place that was not judged."""
        self._wrap_seen = -1
        self.mended = 0

    def push(self, samples: Samples) -> Samples:
        """Mono in int16 units -> what is certain, in the same unit (beyond it where a peak had wrapped)."""
        if self._owed == 0 and self._left_out == self._keep and len(samples):
            self._raw[:] = samples[0]  # in front lies silence, at whatever level this stream's silence is
        self._owed += len(samples)
        self._raw = np.concatenate([self._raw, samples])
        self._unwrap()
        judged = len(self._raw) - self._margin
        if judged > self._judged:
            for first, last in list(self._clicks(judged)):
                self._mend(first, last)
            self._judged = max(self._judged, judged - _LONGEST - 1)
        ready = self._judged - self._bridge - _LONGEST - 4
        context = ready - self._margin  # so much stays as the left neighbourhood
        if context <= 0:
            return np.zeros(0)
        out, self._raw = self._raw[:context], self._raw[context:]
        self._judged -= context
        self._wrap_seen -= context
        drop = min(self._left_out, len(out))
        self._left_out -= drop
        self._owed -= len(out) - drop
        return out[drop:]

    def finish(self) -> Samples:
        """The rest of the stream; it is taken to end with silence at the level of its last sample."""
        owed = self._owed
        return self.push(np.full(3 * self._keep + self._margin, self._raw[-1]))[:owed]

    def _unwrap(self) -> None:
        start = max(self._wrap_seen, 0)
        jumps = np.diff(self._raw[start:])
        places = np.flatnonzero(np.abs(jumps) >= _WRAP)
        index = 0
        while index + 1 < len(places):
            out, back = int(places[index]), int(places[index + 1])
            if jumps[out] * jumps[back] < 0 and back - out <= _WRAPPED_AT_MOST:
                self._raw[start + out + 1 : start + back + 1] -= math.copysign(65_536, jumps[out])
                self.mended += 1
                index += 1
            index += 1
        self._wrap_seen = len(self._raw) - _WRAPPED_AT_MOST - 2

    def _clicks(self, judged: int) -> Iterator[tuple[int, int]]:
        """First and last bad sample of each click that is complete before place `judged`."""
        begin = self._judged - self._margin
        line = self._raw[max(begin, 0) :]
        begin = max(begin, 0)
        sharp = np.zeros(len(line))
        sharp[1:-1] = line[:-2] - 2 * line[1:-1] + line[2:]
        strength = np.abs(sharp)
        loud = np.flatnonzero(strength >= _QUIETEST)
        if len(loud) == 0:
            return
        loud = loud[(loud >= self._judged - begin) & (loud < judged - begin)]
        standing = loud[strength[loud] >= _SHARPER_THAN_MEAN * self._means(strength, loud)]
        last_seen = -1
        for at in standing.tolist():
            if at <= last_seen:
                continue
            end = at
            while end + 1 < len(line) and strength[end + 1 : end + 3].max(initial=0.0) >= strength[at] / 4:
                end += 1
            last_seen = end
            if end >= judged - begin:
                return
            if end - at >= _LONGEST:
                continue
            left = strength[max(0, at - self._reach) : at - 2]
            right = strength[end + 3 : end + self._reach]
            around = max(left.max(initial=0.0), right.max(initial=0.0))
            if strength[at : end + 1].max() >= _SHARPER_THAN_ANY * around:
                yield at + begin, end + begin

    def _means(self, strength: Samples, places: NDArray[np.intp]) -> Samples:
        """The rougher side's root mean square of what surrounds each place."""
        sums = np.concatenate([[0.0], np.cumsum(strength**2)])
        left = sums[places - _OWN] - sums[np.maximum(0, places - self._reach)]
        right = sums[np.minimum(len(strength), places + self._reach)] - sums[places + _OWN]
        means: Samples = np.sqrt(np.maximum(left, right) / (self._reach - _OWN))
        return means

    def _mend(self, first: int, last: int) -> None:
        """Puts a curve in place of samples first..last; a step becomes a slope in front of it."""
        line = self._raw
        before, behind = line[first - 1], line[last + 1]
        slope_before = (before - line[first - 4]) / 3
        slope_behind = (line[last + 4] - behind) / 3
        gap = last - first + 2
        jump = behind - before - gap * (slope_before + slope_behind) / 2
        worst = np.abs(np.diff(line[first - 2 : last + 3], 2)).max()
        if abs(jump) >= worst / 2:
            ramp = np.arange(1, self._bridge + 1) / self._bridge
            line[first - self._bridge : first] += np.rint(jump * ramp * ramp * (3 - 2 * ramp))
            before = line[first - 1]
        place = np.arange(1, gap) / gap
        rise = 3 * place**2 - 2 * place**3
        bend = place * (1 - place) * gap
        curve = before + (behind - before) * rise + bend * ((1 - place) * slope_before - place * slope_behind)
        line[first : last + 1] = np.rint(curve)
        self.mended += 1


class DcBlocker:
    """Removes a constant offset: high pass of the first order at 15 Hz, set to the mean of what comes first."""

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        self._keep = 1.0 - 2 * math.pi * _DC_HERTZ / rate
        self._block = rate // 50
        self._offset: float | None = None

    def push(self, samples: Samples) -> Samples:
        """As many samples as come, at once."""
        out = np.empty(len(samples))
        for start in range(0, len(samples), self._block):
            block = samples[start : start + self._block]
            if self._offset is None:
                self._offset = float(block.mean())
            powers = self._keep ** np.arange(1, len(block) + 1)
            offsets = powers * (self._offset + (1 - self._keep) * np.cumsum(block / powers))
            out[start : start + len(block)] = block - offsets
            self._offset = float(offsets[-1])
        return out


def fade_in(samples: Samples) -> Samples:
    """Raised cosine from nothing over all of `samples`."""
    ramp: Samples = samples * (0.5 - 0.5 * np.cos(np.pi * (np.arange(len(samples)) + 0.5) / max(1, len(samples))))
    return ramp


def fade_out(samples: Samples) -> Samples:
    """Raised cosine to nothing over all of `samples`."""
    return fade_in(samples[::-1])[::-1]
