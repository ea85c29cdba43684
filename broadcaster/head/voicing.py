"""How much of a generated mouth shows along a track: all of it in speech, nothing in silence, eased between.

Pure functions of a track, like `shapes`: the same speech gives the same gain however it was cut or anchored. What is
not known yet counts as silence. Shared by the neural engines, which do no work where the gain is 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np

from broadcaster.ports import SpeechTrack
from broadcaster.types import SAMPLE_RATE, Viseme

_MS: Final = SAMPLE_RATE // 1000

AHEAD: Final = 100 * _MS
"""The mouth begins to show this long before the first voice: two or three pictures at 25 a second."""

HOLD: Final = 60 * _MS
"""Gaps between voices that are shorter than HOLD + AHEAD or so are no silence: stops, breaths between words."""

FADE: Final = 120 * _MS
"""After the hold the mouth goes back to the base within this time."""

BLOCK: Final = 20 * _MS
"""Loudness is looked at in blocks of this length, counted from the utterance's start."""

QUIET: Final = 0.003
"""RMS of a block (full scale 1) that is silent whatever phone is known: -50 dBFS. Phones reach over pauses."""

LOUD: Final = 0.01
"""RMS of a block that is a voice although no phone is known: -40 dBFS, 24 dB below speech on the channel."""


class Voicing:
    """The gain along one track. Keeps its own copy of the phones as the track grows; not thread-safe."""

    def __init__(self, track: SpeechTrack) -> None:
        self._track = track
        self._known = -1
        self._starts: list[int] = []
        self._phones: list[tuple[bool, int, int]] = []
        self._longest = 0

    def known_until(self) -> int:
        """The gain at samples before this one changes no more (or may be asked for all the same: `due`)."""
        track = self._track
        return track.samples if track.complete or track.due else track.samples - AHEAD

    def gain_at(self, sample: int) -> float:
        """0 (the base alone) .. 1 (the engine's mouth) at a sample of the utterance."""
        track = self._track
        if sample < 0 or (track.complete and sample >= track.samples):
            return 0.0
        since, until = self._distances(sample)
        share = max(1.0 - max(0, since - HOLD) / FADE, 1.0 - until / AHEAD)
        if track.complete:
            share = min(share, (track.samples - sample) / FADE)
        share = min(1.0, max(0.0, share))
        return share * share * (3 - 2 * share)

    def _distances(self, sample: int) -> tuple[int, int]:
        """Samples since the last voice and until the next one, as far as they matter; 0 within a voice."""
        self._refresh()
        since, until = HOLD + FADE, AHEAD
        low, high = sample - since, sample + until
        first = bisect_left(self._starts, low - self._longest)
        near = [phone for phone in self._phones[first : bisect_right(self._starts, high)] if phone[2] > low]
        voices = self._voices(low, high, near)
        for start, end in voices:
            if start <= sample < end:
                return 0, 0
            if end <= sample:
                since = min(since, sample - end)
            else:
                until = min(until, start - sample)
        return since, until

    def _voices(self, low: int, high: int, near: list[tuple[bool, int, int]]) -> list[tuple[int, int]]:
        """Stretches with a voice: phones that can be heard, and what is loud where no phone is. A block that reaches
        beyond `high` is left out: what follows may not be known."""
        first, last = low // BLOCK, high // BLOCK
        pcm = np.frombuffer(self._track.pcm(first * BLOCK, last * BLOCK), dtype="<i2").astype(np.float32)
        levels = np.sqrt(np.mean(np.square(pcm.reshape(-1, BLOCK)), axis=1)) / 32768.0
        found: list[tuple[int, int]] = []
        for number in np.flatnonzero(levels > QUIET):
            start = (first + int(number)) * BLOCK
            end = start + BLOCK
            here = [(voiced, max(start, a), min(end, b)) for voiced, a, b in near if a < end and start < b]
            found += [(a, b) for voiced, a, b in here if voiced]
            if not here and levels[number] > LOUD:
                found.append((start, end))
        return found

    def _refresh(self) -> None:
        if self._track.samples == self._known:
            return
        self._known = self._track.samples
        self._phones = sorted(
            ((viseme != Viseme.SIL, start, end) for _, viseme, start, end in self._track.phones() if end > start),
            key=lambda phone: phone[1],
        )
        self._starts = [start for _, start, _ in self._phones]
        self._longest = max((end - start for _, start, end in self._phones), default=0)
