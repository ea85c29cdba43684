"""One loudness for every piece: BS.1770 measurement, gain, a true-peak limiter with look-ahead. Pure, 48 kHz mono.

The K weighting is applied in the frequency domain (the standard's two biquads have no other effect on a
measurement of energy), so that no sample-by-sample filter runs in Python. Levels that follow a stream are in
`levelling.py`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE, PcmArray

CEILING: Final = 0.89
"""Highest true peak, of full scale: -1 dBTP, the room that AAC needs not to clip."""

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

_TRUE_PEAK: Final = (
    (0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625),
    (0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
    (-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250),
    (0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
)
"""ITU-R BS.1770-4, annex 2: phases 0 and 1 of the 4x interpolator, two lines each; 3 and 2 are their mirrors."""

_REACH: Final = 6
"""Samples on each side of a gap that the interpolator looks at."""

_OVERSHOOT: Final = 2.1
"""No interpolated value is more than so many times the highest sample (the taps' largest absolute sum is 2.04)."""

_LIMITER_BLOCK: Final = 48
_ATTACK: Final = 4
"""Limiter blocks (1 ms) over which the gain comes down ahead of a peak."""

_RELEASE: Final = 1 - math.exp(-1 / 60)
"""Part of the way back per block: 60 ms, slower than a period of the deepest voice, so that no period is bent."""

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
    return _gated((squares[starts + _BLOCK] - squares[starts]) / _BLOCK)


def weighted_energy(before: Samples, samples: Samples) -> float:
    """Mean K-weighted square of `samples`; `before` (100 ms) is what came ahead of them, for the filters' memory."""
    return float(np.mean(_k_weighted(np.concatenate([before, samples]))[len(before) :] ** 2))


def loudness(energies: Sequence[float]) -> float:
    """Gated loudness in LUFS from the weighted energies of consecutive 100 ms; -inf when all is silence."""
    if len(energies) == 0:
        return -math.inf
    hops = np.array(energies)
    if len(hops) < _BLOCK // _STEP:
        return _lufs(float(hops.mean()))
    return _gated(np.lib.stride_tricks.sliding_window_view(hops, _BLOCK // _STEP).mean(axis=1))


def _gated(energies: Samples) -> float:
    """BS.1770's two gates over the energies of 400 ms blocks."""
    floor = 10 ** ((_SILENCE_LUFS + 0.691) / 10)
    heard = energies[energies > floor]
    if len(heard) == 0:
        return -math.inf
    kept = heard[heard > float(np.mean(heard)) * 0.1]
    return _lufs(float(np.mean(kept)))


def _phases() -> Samples:
    half = np.array(_TRUE_PEAK).reshape(2, 2 * _REACH)
    return np.concatenate([half, half[::-1, ::-1]])


_PHASES: Final = _phases()


def _between(line: Samples) -> Samples:
    """For each sample but the last `_REACH` and the first 5: the highest magnitude in the gap behind it, or its own.

    Shape (n,) -> (n - 11,). Summed tap by tap: the order, and so the bits, do not depend on n.
    """
    count = len(line) - 2 * _REACH + 1
    highest = np.abs(line[_REACH - 1 : _REACH - 1 + count])
    for taps in _PHASES:
        sound = np.zeros(count)
        for tap, start in zip(taps, range(2 * _REACH - 1, -1, -1), strict=True):
            sound += tap * line[start : start + count]
        np.maximum(highest, np.abs(sound), out=highest)
    return highest


def true_peak(samples: Samples) -> float:
    """Highest true peak of mono samples (full scale 1.0), 4x oversampled after BS.1770-4, annex 2."""
    if len(samples) == 0:
        return 0.0
    return float(_between(np.pad(samples, 2 * _REACH)).max())


class Limiter:
    """Keeps the true peak of a stream under the ceiling with a smooth gain, 4 ms ahead of each peak; never clips.

    `push` any number of times, then `finish` once; together they give as many samples as came, the same bits for any
    chunking. What is let go lags 6 ms behind what came.
    """

    def __init__(self) -> None:
        self._line: Samples = np.zeros(_REACH - 1)
        """From `_REACH` - 1 samples before the first block that was not let go."""
        self._ahead = 0
        """How many blocks from there on were measured."""
        self._needed = deque([1.0] * (_ATTACK + 2), _ATTACK + 2)
        self._released = deque([1.0] * _ATTACK, _ATTACK)
        self._gains = [1.0, 1.0]
        self._unheard = _ATTACK + 1
        """Decisions still to come for blocks before the first."""
        self._owed = 0
        self._came = self._left = 1e-12

    @property
    def loss_db(self) -> float:
        """How much softer the stream has become, 0 when nothing was taken."""
        return 10 * math.log10(self._came / self._left)

    def push(self, samples: Samples) -> Samples:
        """Samples (full scale 1.0) -> what can be let go."""
        self._owed += len(samples)
        self._line = np.concatenate([self._line, samples])
        needed = self._measured()
        gains = self._gains + [self._decided(need) for need in needed]
        self._gains = gains[-2:]
        gains = gains[min(self._unheard, len(needed)) :]
        self._unheard -= min(self._unheard, len(needed))
        count = len(gains) - 2
        out = self._line[_REACH - 1 : _REACH - 1 + count * _LIMITER_BLOCK]
        energy = float(out @ out)
        self._came += energy
        if min(gains) < 1.0:
            out = out * _ramps(np.array(gains))
            energy = float(out @ out)
        self._left += energy
        self._line = self._line[count * _LIMITER_BLOCK :]
        self._ahead += len(needed) - count
        self._owed -= len(out)
        return out

    def finish(self) -> Samples:
        """The rest of the stream."""
        owed = self._owed
        return self.push(np.zeros((_ATTACK + 2) * _LIMITER_BLOCK + 2 * _REACH))[:owed]

    def _measured(self) -> list[float]:
        """The gain that each block needs whose neighbours have become known."""
        start = self._ahead * _LIMITER_BLOCK
        count = (len(self._line) - 2 * _REACH + 1 - start) // _LIMITER_BLOCK
        if count <= 0:
            return []
        stretch = self._line[start : start + count * _LIMITER_BLOCK + 2 * _REACH - 1]
        if np.abs(stretch).max() * _OVERSHOOT <= CEILING:
            return [1.0] * count
        peaks = _between(stretch).reshape(count, _LIMITER_BLOCK).max(axis=1)
        needs: list[float] = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING)).tolist()
        return needs

    def _decided(self, need: float) -> float:
        """Gain in the middle of the block that lies `_ATTACK` before the one that needs `need`.

        The lowest need of its neighbours, at once; back up slowly; then a mean, so that it comes down as a ramp.
        """
        self._needed.append(need)
        last = self._released[-1]
        self._released.append(min(min(self._needed), last + (1.0 - last) * _RELEASE))
        return sum(self._released) / _ATTACK


def _ramps(gains: Samples) -> Samples:
    """Gains in the middle of n + 2 blocks -> a gain for every sample of the inner n, straight between the middles."""
    place = (np.arange(_LIMITER_BLOCK) + 0.5) / _LIMITER_BLOCK
    before, here, behind = gains[:-2, np.newaxis], gains[1:-1, np.newaxis], gains[2:, np.newaxis]
    early, late = place[place < 0.5] + 0.5, place[place >= 0.5] - 0.5
    return np.hstack([before + (here - before) * early, here + (behind - here) * late]).reshape(-1)


def limited(samples: Samples) -> Samples:
    """The same samples with no true peak above the ceiling."""
    if true_peak(samples) <= CEILING:
        return samples
    limiter = Limiter()
    return np.concatenate([limiter.push(samples), limiter.finish()])


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
