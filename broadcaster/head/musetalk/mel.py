"""The log-mel spectrum that whisper hears, frame by frame. Pure numpy.

As `WhisperFeatureExtractor` computes it: 80 Slaney mel bands of the power spectrum of 400 samples (Hann) every 160,
at 16 kHz, frame m around sample 160 m, the signal mirrored at its start; log10, at most 8 below the loudest of the
segment, then (x + 4) / 4. The last two steps need the whole segment, so they are `scaled`, apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.head.slaney import mel_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]
    Frames = NDArray[np.float32]

BANDS: Final = 80
HOP: Final = 160
WINDOW: Final = 400
HALF: Final = WINDOW // 2

FLOOR: Final = -10.0
"""log10 of the least power that is told apart."""

RANGE: Final = 8.0
"""Decades below the loudest that are heard."""

_RATE: Final = 16_000
_BANDS: Final = mel_bands(BANDS, WINDOW, _RATE, 0.0, _RATE / 2)
_HANN: Final = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def frames(sound: Sound, first: int, last: int, start: int = 0) -> Frames:
    """log10 power of frames first..last-1: float32 (BANDS, last - first). `sound` (16 kHz) begins at sample `start`.

    Sample 0 is the mirror of what lies before it; what lies behind the end of `sound` is silence.
    """
    if last <= first:
        return np.zeros((BANDS, 0), np.float32)
    at = np.abs(np.arange(HOP * first - HALF, HOP * (last - 1) + HALF)) - start
    there = (at >= 0) & (at < len(sound))
    samples = np.zeros(len(at))
    samples[there] = sound[at[there]]
    pieces = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * _HANN
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    spectrum: Frames = np.log10(np.maximum(_BANDS @ power.T, 10.0**FLOOR)).astype(np.float32)
    return spectrum


def settled(samples: int) -> int:
    """How many frames no longer change when more follows `samples` (16 kHz) of sound."""
    return max(0, (samples - HALF) // HOP + 1) if samples > WINDOW else 0


def scaled(spectrum: Frames, loudest: float) -> Frames:
    """What the network takes, `loudest` being the greatest value of the segment."""
    out: Frames = (np.maximum(spectrum, np.float32(loudest - RANGE)) + np.float32(4.0)) * np.float32(0.25)
    return out
