"""Silence at both ends of a piece, in a stream: the front goes at once, the rear waits for what follows. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE

FRAME: Final = SAMPLE_RATE // 200
"""Samples (5 ms) that are judged together."""

LEAD: Final = SAMPLE_RATE * 30 // 1000
TAIL: Final = SAMPLE_RATE * 50 // 1000
"""Samples kept before the first and behind the last sound, as the embedded voice keeps them."""

AUDIBLE: Final = 0.003
"""A frame's peak (of full scale) from which on the piece has begun: -50 dBFS."""

_QUIETEST: Final = 0.001
_BELOW_PEAK: Final = 0.01
"""Once the piece has begun a frame is silent when it is 40 dB below the loudest so far, or below -60 dBFS."""

Samples = NDArray[np.float64]


class Trimmer:
    """`push` any number of times, then `finish` once: the piece without the silence around it, for any chunking.

    `loudness` scales what counts as audible, for voices that are known to be soft: 0.5 hears 6 dB less.
    """

    def __init__(self, loudness: float = 1.0) -> None:
        self._audible = AUDIBLE * loudness
        self._quietest = _QUIETEST * loudness
        self._peak = 0.0
        self._line: Samples = np.zeros(0)
        """Before the first sound: at most what is kept in front of it; then: what was not judged, and silence."""
        self._silent = 0
        """Samples at the front of `_line` that are silence inside the piece or behind it."""
        self.heard = False
        self.dropped = 0
        """Samples that were cut off in front."""

    def push(self, samples: Samples) -> Samples:
        """48 kHz mono, full scale 1.0 -> what is certainly part of the piece."""
        self._line = np.concatenate([self._line, samples])
        if not self.heard and not self._begin():
            return np.zeros(0)
        end = self._silent
        frames = (len(self._line) - end) // FRAME
        levels = np.abs(self._line[end : end + frames * FRAME]).reshape(frames, FRAME).max(axis=1, initial=0.0)
        peaks = np.maximum.accumulate(np.maximum(levels, self._peak))
        sounding = np.flatnonzero(levels >= np.maximum(self._quietest, peaks * _BELOW_PEAK))
        certain = end + (int(sounding[-1]) + 1) * FRAME if len(sounding) else 0
        if frames:
            self._peak = float(peaks[-1])
        self._silent = end + frames * FRAME - certain
        out, self._line = self._line[:certain], self._line[certain:]
        return out

    def finish(self) -> Samples:
        """What belongs to the end of the piece; nothing when there was no sound at all."""
        if not self.heard:
            return np.zeros(0)
        rest = self._line[self._silent :]  # less than a frame
        sounds = bool(np.abs(rest).max(initial=0.0) >= max(self._quietest, self._peak * _BELOW_PEAK))
        out = self._line if sounds else self._line[:TAIL]
        self._line = np.zeros(0)
        return out

    def _begin(self) -> bool:
        """Looks for the first sound; what lies more than `LEAD` before it is dropped."""
        frames = (len(self._line) - self._silent) // FRAME
        fresh = self._line[self._silent : self._silent + frames * FRAME]
        sounding = np.flatnonzero(np.abs(fresh).reshape(frames, FRAME).max(axis=1, initial=0.0) >= self._audible)
        onset = self._silent + (int(sounding[0]) if len(sounding) else frames) * FRAME
        excess = max(0, onset - LEAD)
        self._line = self._line[excess:]
        self.dropped += excess
        self._silent = onset - excess
        if len(sounding):
            self.heard = True
        return self.heard
