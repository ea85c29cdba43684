"""The sound of one tick: exactly one tick long, stereo, whatever there is to hear. Runs in playout's tick thread."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import PcmArray, samples_at

CENTRE: Final = np.float32(np.sqrt(0.5) / 32768)
"""Mono to both sides at -3 dB: the pair is as loud as the mono signal (BS.1770 adds the channels)."""

CUT_FADE_SAMPLES: Final = 480
"""10 ms."""


def fade_out(speech: PcmArray, count: int) -> PcmArray:
    """`count` samples: `speech` gone to nothing within 10 ms, then silence."""
    out = np.zeros(count, dtype=np.int16)
    length = min(CUT_FADE_SAMPLES, len(speech))
    ramp = np.linspace(1.0, 0.0, CUT_FADE_SAMPLES, endpoint=False)[:length]
    out[:length] = (speech[:length] * ramp).astype(np.int16)
    return out


class Mixer:
    """`mix` returns (2, samples) float32 in -1..1: what the AAC encoder takes."""

    def __init__(self, fps: int) -> None:
        self._fps = fps

    def mix(self, tick: int, speech: PcmArray | None) -> NDArray[np.float32]:
        count = samples_at(tick + 1, self._fps) - samples_at(tick, self._fps)
        if speech is None:
            return np.zeros((2, count), dtype=np.float32)
        mono = speech.astype(np.float32) * CENTRE
        return np.stack([mono, mono])
