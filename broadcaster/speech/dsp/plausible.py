"""Is this sound what that text sounds like? Length, silence and clipping of one piece. Pure.

Zero-shot engines babble on, stop short, or return silence, and tell nobody; another voice had better say it then.
What is too long or clipped is found while it streams.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from broadcaster.speech.units import spoken_units
from broadcaster.types import PcmArray

SLOWEST: Final = 1.5
FASTEST: Final = 12.0
"""Characters' worth of speech per second (see `units`); Mandarin on air is spoken at 4 to 6."""

_JUDGED_UNITS: Final = 6.0
"""Shorter texts are spoken at any speed; they are only held against the allowance below."""

_ALLOWANCE_S: Final = 1.0
_SHORT_ALLOWANCE_S: Final = 3.0
"""Added to the longest time: a breath; for a short text a word drawn out."""

_SILENCE_S: Final = 4.0
"""Silence around the speech that an engine may send besides; more of it is too long, too."""

_FULL_SCALE: Final = 32_700
_CLIPPED_RUN: Final = 3
"""So many samples in a row at full scale are a peak that was cut off; fewer may be one that just fits."""

_CLIPPED_SHARE: Final = 0.02
_CLIPPED_GROSS: Final = 0.10
"""Share of clipped samples that is a fault of the whole piece, and of any half second of it."""

_SOON_S: Final = 0.5

_TAG: Final = re.compile(r"<[^<>]*>")


def is_ssml(text: str) -> bool:
    """Marked-up text says itself how it is read."""
    return text.lstrip().startswith("<speak")


def without_tags(text: str) -> str:
    """SSML without its tags; any other text as it is."""
    return _TAG.sub("", text) if is_ssml(text) else text


class Plausibility:
    """Follows one piece. `speed`: how much faster than usual the engine was asked to speak.

    Every method returns what is wrong, in a few words, or None.
    """

    def __init__(self, text: str, speed: float = 1.0) -> None:
        self._units = spoken_units(without_tags(text))
        self._slowest = SLOWEST * min(speed, 1.0)
        self._fastest = FASTEST * max(speed, 1.0)
        allowance = _ALLOWANCE_S if self._units >= _JUDGED_UNITS else _SHORT_ALLOWANCE_S
        self._longest = self._units / self._slowest + allowance
        self._samples = 0
        self._clipped = 0
        self._run = 0

    def raw(self, pcm: PcmArray, rate: int) -> str | None:
        """The next stretch as the engine sent it, one channel, silence included."""
        self._samples += len(pcm)
        full = np.abs(pcm.astype(np.int32)) >= _FULL_SCALE
        if full.any():
            self._count(full)
        else:
            self._run = 0
        seconds = self._samples / rate
        if seconds > self._longest + _SILENCE_S:
            return self._too_long(seconds)
        if seconds >= _SOON_S and self._clipped > _CLIPPED_GROSS * self._samples:
            return self._distorted()
        return None

    def so_far(self, seconds: float) -> str | None:
        """`seconds` of speech without the silence around it, and more may come."""
        return self._too_long(seconds) if seconds > self._longest else None

    def whole(self, seconds: float) -> str | None:
        """The piece has ended with `seconds` of speech, 0 when nothing was audible."""
        if self._samples == 0:
            return "no sound"
        if seconds == 0:
            return "nothing but silence"
        if self._clipped > _CLIPPED_SHARE * self._samples:
            return self._distorted()
        if self._units >= _JUDGED_UNITS and seconds * self._fastest < self._units:
            return f"{seconds:.1f} s of sound for {self._units:.0f} characters' worth of text: too short"
        return self.so_far(seconds)

    def _too_long(self, seconds: float) -> str:
        return f"{seconds:.1f} s of sound for {self._units:.0f} characters' worth of text: too long"

    def _distorted(self) -> str:
        return f"{100 * self._clipped / self._samples:.0f}% of the sound is clipped"

    def _count(self, full: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        """Adds the samples of every run of full scale that is long enough; a run may begin in an earlier stretch."""
        edges = np.flatnonzero(np.diff(full.astype(np.int8), prepend=0, append=0))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            before = self._run if start == 0 else 0
            length = before + end - start
            if length >= _CLIPPED_RUN:
                self._clipped += length - (before if before >= _CLIPPED_RUN else 0)
            if end == len(full):
                self._run = length
        if not full[-1]:
            self._run = 0
