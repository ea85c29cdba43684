"""One loudness for every piece: BS.1770 measurement, gain, a look-ahead limiter. Pure, 48 kHz mono.

The K weighting is applied in the frequency domain (the standard's two biquads have no other effect on a
measurement of energy), so that no sample-by-sample filter runs in Python.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE, PcmArray

CEILING: Final = 0.89
"""Highest sample, of full scale: -1 dBFS, the room that AAC needs not to clip."""

MAX_GAIN_DB: Final = 20.0
"""A piece that is nearly silent is breath or noise; lifting it further would put the noise on air."""

_BLOCK: Final = SAMPLE_RATE * 2 // 5
_STEP: Final = _BLOCK // 4
_SILENCE_LUFS: Final = -70.0

_HIGH_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
"""ITU-R BS.1770-4, tables 1 and 2 (48 kHz): numerator and denominator."""

_LIMITER_BLOCK: Final = 48
_LOOK_AHEAD: Final = 4
"""Limiter blocks (1 ms) on each side of a peak over which the gain comes down and recovers."""

Samples = NDArray[np.float64]


def _k_weighted(samples: Samples) -> Samples:
    size = 1 << (len(samples) + _STEP).bit_length()
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(z), dtype=np.complex128)
    for numerator, denominator in (_HIGH_SHELF, _HIGH_PASS):
        response *= np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
    filtered: Samples = np.fft.irfft(np.fft.rfft(samples, size) * response, size)[: len(samples)]
    return filtered


def _lufs(energy: float) -> float:
    return -0.691 + 10 * math.log10(energy) if energy > 0 else -math.inf


def integrated(samples: Samples) -> float:
    """Gated loudness in LUFS of mono samples (full scale 1.0); pieces under 400 ms are measured ungated."""
    if len(samples) == 0:
        return -math.inf
    squares = np.concatenate([[0.0], np.cumsum(_k_weighted(samples) ** 2)])
    if len(samples) < _BLOCK:
        return _lufs(float(squares[-1]) / len(samples))
    starts = np.arange(0, len(samples) - _BLOCK + 1, _STEP)
    energies = (squares[starts + _BLOCK] - squares[starts]) / _BLOCK
    floor = 10 ** ((_SILENCE_LUFS + 0.691) / 10)
    heard = energies[energies > floor]
    if len(heard) == 0:
        return -math.inf
    kept = heard[heard > float(np.mean(heard)) * 0.1]
    return _lufs(float(np.mean(kept)))


def limited(samples: Samples) -> Samples:
    """The same samples with no peak above the ceiling: smooth gain, 4 ms ahead of each peak, no clipping."""
    count = -(-len(samples) // _LIMITER_BLOCK)
    padded = np.zeros(count * _LIMITER_BLOCK)
    padded[: len(samples)] = np.abs(samples)
    peaks = padded.reshape(count, _LIMITER_BLOCK).max(axis=1, initial=0.0)
    if peaks.max(initial=0.0) <= CEILING:
        return samples
    needed = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))
    held = np.pad(needed, _LOOK_AHEAD, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(held, 2 * _LOOK_AHEAD + 1).min(axis=1)
    smooth_radius = _LOOK_AHEAD - 1  # one block less than held, which the interpolation below uses up
    window = np.ones(2 * smooth_radius + 1) / (2 * smooth_radius + 1)
    smooth = np.convolve(np.pad(lowest, smooth_radius, mode="edge"), window, mode="valid")
    centres = np.arange(count) * _LIMITER_BLOCK + _LIMITER_BLOCK / 2
    gain: Samples = np.interp(np.arange(len(samples)), centres, smooth)
    return samples * gain


def levelled(pcm: PcmArray, target_lufs: float) -> PcmArray:
    """`pcm` (int16, 48 kHz) at `target_lufs`, free of DC, nowhere above the ceiling. Silence stays silence."""
    samples = pcm.astype(np.float64) / 32768.0
    samples -= samples.mean() if len(samples) else 0.0
    for _ in range(2):  # the second round gives back what the limiter took
        measured = integrated(samples)
        if measured == -math.inf:
            break
        gain_db = min(target_lufs - measured, MAX_GAIN_DB)
        samples = limited(samples * 10 ** (gain_db / 20))
    return np.rint(samples * 32767.0).astype(np.int16)


def faded(pcm: PcmArray, samples: int) -> PcmArray:
    """Raised-cosine fades of `samples` at both ends: a piece joins silence or another piece without a click."""
    length = min(samples, len(pcm) // 2)
    if length == 0:
        return pcm
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
    out = pcm.astype(np.float64)
    out[:length] *= ramp
    out[-length:] *= ramp[::-1]
    return np.rint(out).astype(np.int16)
