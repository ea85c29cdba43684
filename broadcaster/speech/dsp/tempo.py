"""Speed and pitch after the fact, for engines that can change neither. Pure, streaming, 48 kHz mono.

Speed: WSOLA (Verhelst and Roelands, 1993): frames of 30 ms are laid over each other at another distance, each taken
from where it continues the one before best, so that periods of the voice stay whole. Pitch: the same stretch, then
resampling. The formants move with the pitch: within three semitones it is the same person in another mood, beyond it
another person.

Why not a library: python-stretch (Signalsmith, MIT) has wheels, but every call of its `process` stands alone: 20 ms
at a time it gives other samples, and another number of them, than the whole. Rubber Band is GPL.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.speech.dsp.resample import Polyphase
from broadcaster.types import SAMPLE_RATE

Samples = NDArray[np.float64]

SLOWEST: Final = 0.5
FASTEST: Final = 2.0
FARTHEST: Final = 12.0
"""Semitones; what is asked beyond these limits is brought back to them."""

_UNHEARD_SPEED: Final = 0.01
_UNHEARD_PITCH: Final = 0.05
"""Changes below these are not made."""

_HOP: Final = SAMPLE_RATE * 15 // 1000
_FRAME: Final = 2 * _HOP
_SEARCH: Final = SAMPLE_RATE // 100
"""A frame is taken from up to 10 ms beside its place: together more than a period of the deepest voice."""

_COARSE: Final = 4
"""The search looks at every fourth sample first (12 kHz), then at all around the best place."""

_STRAY: Final = 0.05
"""Likeness that a place 10 ms away must have more: in silence and noise, where all are alike, nothing wanders."""

_PITCH_STEPS: Final = 160
"""Pitch is a fraction of this denominator, at most 5 cents off."""


class Tempo:
    """`speed` times as fast and `semitones` higher.

    `push` any number of times, then `finish` once; together they give round(n / speed) samples for n, give or take
    four, and the same number for any chunking. Delay: 50 ms of input.
    """

    def __init__(self, speed: float = 1.0, semitones: float = 0.0) -> None:
        self.speed = min(max(speed, SLOWEST), FASTEST)
        steps = _PITCH_STEPS
        if abs(semitones) >= _UNHEARD_PITCH:
            steps = round(_PITCH_STEPS * 2 ** (min(max(semitones, -FARTHEST), FARTHEST) / 12))
        if abs(self.speed - 1) < _UNHEARD_SPEED:
            self.speed = 1.0
        stretch = self.speed * _PITCH_STEPS / steps
        self._stretch = None if stretch == 1.0 else _Stretch(stretch)
        self._shift = None if steps == _PITCH_STEPS else Polyphase(_PITCH_STEPS, steps)

    @property
    def changes(self) -> bool:
        """False when sound goes through untouched."""
        return self._stretch is not None or self._shift is not None

    def push(self, samples: Samples) -> Samples:
        if self._stretch is not None:
            samples = self._stretch.push(samples)
        return self._shift.push(samples) if self._shift is not None else samples

    def finish(self) -> Samples:
        rest = self._stretch.finish() if self._stretch is not None else np.zeros(0)
        if self._shift is None:
            return rest
        return np.concatenate([self._shift.push(rest), self._shift.finish()])


class _Stretch:
    """WSOLA: n samples in, round(n / speed) out, the pitch unchanged."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._line: Samples = np.zeros(0)
        self._first = 0
        """Number of the input sample that `_line` begins with."""
        self._frames = 0
        self._last = 0
        """Where the newest frame was taken from."""
        self._tail: Samples = np.zeros(_HOP)
        """The second half of the newest frame, faded out."""
        self._given = 0
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_HOP) + 0.5) / _HOP)
        self._rise, self._fall = rise, rise[::-1]

    def push(self, samples: Samples) -> Samples:
        self._line = np.concatenate([self._line, samples])
        return self._made()

    def finish(self) -> Samples:
        length = round((self._first + len(self._line)) / self._speed)
        owed = length - self._given
        out = [np.zeros(0)]
        while sum(map(len, out)) < owed:
            out.append(self.push(np.zeros(_FRAME + 2 * _SEARCH)))
        return np.concatenate(out)[:owed]

    def _made(self) -> Samples:
        out: list[Samples] = [np.zeros(0)]
        while True:
            place = round(self._frames * _HOP * self._speed)
            # Also enough for the length: what was given cannot be taken back when the input ends here.
            needed = max(
                max(place + _SEARCH, self._last + _HOP) + _FRAME, ceil((self._frames + 1) * _HOP * self._speed)
            )
            if needed > self._first + len(self._line):
                break
            taken = self._best(place) if self._frames else 0
            frame = self._line[taken - self._first : taken - self._first + _FRAME]
            if self._frames:
                out.append(self._tail + frame[:_HOP] * self._rise)
            else:
                out.append(frame[:_HOP])
            self._tail = frame[_HOP:] * self._fall
            self._last = taken
            self._frames += 1
            self._forget(min(round(self._frames * _HOP * self._speed) - _SEARCH, taken + _HOP))
        made = np.concatenate(out)
        self._given += len(made)
        return made

    def _forget(self, before: int) -> None:
        done = before - self._first
        if done > 0:
            self._line = self._line[done:]
            self._first += done

    def _best(self, place: int) -> int:
        """The start near `place` whose first half is most like what followed the last frame."""
        like = self._line[self._last + _HOP - self._first :][:_HOP]
        start = max(place - _SEARCH, self._first)
        count = place + _SEARCH - start
        region = self._line[start - self._first :][: count + _HOP]
        likeness = _likeness(region[::_COARSE], like[::_COARSE])
        likeness -= _STRAY / _SEARCH * np.abs(start + np.arange(len(likeness)) * _COARSE - place)
        middle = int(np.argmax(likeness)) * _COARSE
        low = max(0, middle - _COARSE + 1)
        fine = region[low : min(middle + _COARSE, count) + _HOP]
        return start + low + int(np.argmax(_likeness(fine, like)))


def _likeness(region: Samples, like: Samples) -> Samples:
    """Normalised correlation of `like` with each stretch of `region` as long as it."""
    products = np.correlate(region, like, mode="valid")
    squares = np.concatenate([[0.0], np.cumsum(region * region)])
    energies = squares[len(like) :] - squares[: -len(like)]
    likeness: Samples = products / np.sqrt(np.maximum(energies * float(np.sum(like * like)), 1e-9))
    return likeness
