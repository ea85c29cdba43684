"""Slaney's mel scale and its triangular bands of equal area, as librosa's `filters.mel` makes them. Pure numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LINEAR_HZ: Final = 200.0 / 3
"""Hertz of one mel below the break."""

_BREAK_HZ: Final = 1000.0
_LOG_STEP: Final = np.log(6.4) / 27.0
"""Growth of one mel above the break, in natural logarithms."""


def mel_bands(count: int, window: int, rate: int, low: float, high: float) -> Array:
    """(count, window / 2 + 1): weights of the bins of `window` samples at `rate`, `low` to `high` Hz."""
    first, last = _mel_of(np.array([low, high]))
    edges = _hertz_of(np.linspace(first, last, count + 2))
    bins = np.linspace(0.0, rate / 2, window // 2 + 1)
    left, middle, right = (edges[i : i + count, None] for i in range(3))
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    bands: Array = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (right - left))
    return bands


def _mel_of(hertz: Array) -> Array:
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HZ, hertz / _LINEAR_HZ, above)


def _hertz_of(mels: Array) -> Array:
    at_break = _BREAK_HZ / _LINEAR_HZ
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mels, at_break) - at_break))
    return np.where(mels < at_break, mels * _LINEAR_HZ, above)
