"""Any rate to 48 kHz: a streaming polyphase FIR whose output does not depend on chunking. Pure.

Why not a library: soxr is LGPL, and swresample's output depends on how the input was cut and on when it is
flushed, so neither its sample count nor its bits can be promised. Here every product and sum is an integer (or a
half) below 2**53 carried in float64, which is exact in any order of summation: the bits are the same for every
chunking and every BLAS.

From r to 48 kHz: pass band flat within 0.01 dB to 0.4375 r, images below -70 dB from 0.5625 r, delay compensated.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE, PcmArray

LOWEST_RATE: Final = 8_000
HIGHEST_RATE: Final = 48_000

_HALF: Final = 22
"""Input samples on each side of an output sample; also the delay until its neighbours are known."""

_KAISER: Final = 7.2
_SCALE_BITS: Final = 16

_FEW_PHASES: Final = 8
"""Up to so many phases a dot product per phase is faster than gathering a window per sample."""

_MOST_PHASES: Final = 4096
"""Of an odd rate (such as 23999 Hz) only so many are kept, 1.4 MB: its samples are off by up to 1/8192 of a step."""

Samples = NDArray[np.float64]


def mono(pcm: PcmArray, channels: int) -> Samples:
    """Interleaved int16 of whole frames -> the mean of the channels, in int16 units. Shape (frames,)."""
    if channels == 1:
        return pcm.astype(np.float64)
    mean: Samples = pcm.reshape(-1, channels).astype(np.float64).sum(axis=1) / channels
    return mean


@lru_cache(maxsize=16)
def _bank(phases: int, cutoff: float, half: int) -> Samples:
    """(phases, 2 half) taps, as integers whose sum is exactly 2**16 in each phase (unity at DC)."""
    fraction = np.arange(phases)[:, np.newaxis] / phases
    offset = fraction - np.arange(1 - half, half + 1)[np.newaxis, :]
    window = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - (offset / half) ** 2)))
    ideal = np.sinc(offset * cutoff) * window
    taps: Samples = np.rint(ideal / ideal.sum(axis=1, keepdims=True) * (1 << _SCALE_BITS))
    taps[np.arange(phases), half - 1 + (np.arange(phases) * 2 >= phases)] += (1 << _SCALE_BITS) - taps.sum(axis=1)
    return taps


class Polyphase:
    """State of one stream whose rate is multiplied by `up`/`down` (integers, of which the common factor is removed).

    `push` any number of times, then `finish` once; together they give ceil(n up / down) samples for n.
    """

    def __init__(self, up: int, down: int) -> None:
        common = gcd(up, down)
        self._up, self._down = up // common, down // common
        cutoff = min(1.0, up / down)
        self._half = int(np.ceil(_HALF / cutoff))
        self._phases = min(self._up, _MOST_PHASES)
        self._taps = _bank(self._phases, cutoff, self._half)
        self._line: Samples = np.zeros(self._half - 1)
        self._first = 1 - self._half
        """Number of the input sample that `_line` begins with; those below 0 are silence."""
        self._made = 0

    def push(self, samples: Samples) -> Samples:
        """Input of any length -> what can be known of the output so far, in the same unit.

        Bits do not depend on chunking when the input is a multiple of 2**-16 of less than 2**20 (int16, halves).
        """
        if self._up == self._down:
            return samples
        self._line = np.concatenate([self._line, samples])
        known = self._first + len(self._line) - self._half  # the last place whose right neighbours are all there
        end = (known * self._up - 1) // self._down + 1 if known > 0 else 0
        return self._until(end)

    def finish(self) -> Samples:
        """The rest of the stream; silence is assumed behind it."""
        if self._up == self._down:
            return np.zeros(0)
        length = self._first + len(self._line)
        self._line = np.concatenate([self._line, np.zeros(self._half)])
        return self._until(-(-length * self._up // self._down))

    def _until(self, end: int) -> Samples:
        """Output samples up to (not including) number `end`."""
        if end <= self._made:
            return np.zeros(0)
        places = np.arange(self._made, end, dtype=np.int64) * self._down
        bases = places // self._up - self._first - (self._half - 1)
        phases = (places % self._up) * self._phases // self._up
        windows = np.lib.stride_tricks.sliding_window_view(self._line, 2 * self._half)
        out: Samples = np.empty(len(places))
        if self._up <= _FEW_PHASES:
            for start in range(min(self._up, len(places))):
                which = slice(start, None, self._up)
                rows = windows[bases[start] :: self._down][: len(bases[which])]
                out[which] = rows @ self._taps[phases[start]]
        else:
            np.einsum("ij,ij->i", windows[bases], self._taps[phases], out=out)
        self._made = end
        done = end * self._down // self._up - (self._half - 1) - self._first
        if done > 0:
            self._line = self._line[done:]
            self._first += done
        out /= 1 << _SCALE_BITS
        return out


class Resampler(Polyphase):
    """Any rate of 8000..48000 Hz to 48 kHz. Raises ValueError for another."""

    def __init__(self, rate: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ValueError(f"{rate} samples per second -> {LOWEST_RATE} to {HIGHEST_RATE} can be resampled")
        super().__init__(SAMPLE_RATE, rate)


def resampled(pcm: PcmArray, rate: int) -> PcmArray:
    """A whole piece at once: mono int16 at `rate` -> int16 at 48 kHz, shape (ceil(n 48000 / rate),)."""
    stream = Resampler(rate)
    return rounded(np.concatenate([stream.push(pcm.astype(np.float64)), stream.finish()]))


def doubled(samples: PcmArray) -> PcmArray:
    """A whole piece at once: int16 24 kHz, shape (n,) -> int16 48 kHz, shape (2n,)."""
    return resampled(samples, SAMPLE_RATE // 2)


def rounded(samples: Samples) -> PcmArray:
    """To int16, halves to even; what lies outside is clipped, never wrapped."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
