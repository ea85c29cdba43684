"""48 kHz speech to the 16 kHz that speech networks hear: a polyphase low-pass, the same however sound comes in. Pure.

Sample n of the result is the low-passed signal at sample 3n: no delay. It needs `REACH` samples on both sides; what
lies outside of the given sound is silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.types import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

LOW_RATE: Final = 16_000
FACTOR: Final = SAMPLE_RATE // LOW_RATE

REACH: Final = 160
"""Half of the low-pass, 3.3 ms: with the window below flat to 7.2 kHz within 0.01 dB, 80 dB down from 8.05 kHz on."""

_CUTOFF: Final = 7_600.0
_KAISER_BETA: Final = 8.0


def _low_pass() -> NDArray[np.float64]:
    at = np.arange(-REACH, REACH + 1)
    kernel = np.sinc(2 * _CUTOFF / SAMPLE_RATE * at) * np.kaiser(2 * REACH + 1, _KAISER_BETA)
    taps: NDArray[np.float64] = kernel / kernel.sum()
    return taps


_TAPS: Final = _low_pass()


def downsampled(pcm: NDArray[np.int16], first: int, last: int, start: int = 0) -> Sound:
    """Samples first..last-1 (16 kHz), -1..1. `pcm` begins at sample `start` (48 kHz), with silence around it."""
    if last <= first:
        return np.zeros(0, np.float32)
    low, high = FACTOR * first - REACH - start, FACTOR * (last - 1) + REACH + 1 - start
    inside = pcm[max(0, low) : max(0, high)].astype(np.float64)
    before = min(max(0, -low), high - low)
    after = max(0, high - low - before - len(inside))
    padded = np.concatenate([np.zeros(before), inside, np.zeros(after)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1)[::FACTOR]
    return (windows @ _TAPS / 32768.0).astype(np.float32)


def settled(samples: int) -> int:
    """How many samples (16 kHz) no longer change when more follows `samples` (48 kHz) of sound."""
    return max(0, (samples - 1 - REACH) // FACTOR + 1)
