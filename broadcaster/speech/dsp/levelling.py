"""Loudness of a stream whose end is not known: a gain remembered per voice, corrected smoothly. Pure, 48 kHz mono.

A voice hardly changes its loudness from piece to piece (Kokoro's pieces lie within 0.6 LU of their mean), so what was
learned from earlier pieces is the best guess for the next; the piece itself corrects it the more, the more of it has
been heard. Only the first piece ever waits, for its first 400 ms.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.speech.dsp.loudness import MAX_GAIN_DB, loudness, weighted_energy
from broadcaster.types import SAMPLE_RATE

HOP: Final = SAMPLE_RATE // 10
"""Samples per measurement and per step of the gain: the stride of BS.1770's 400 ms blocks."""

_OPENING_HOPS: Final = 4
"""What the first piece of an unknown voice is measured by."""

_PRIOR_S: Final = 1.5
"""What is remembered weighs as much as so many seconds of the piece itself."""

_SLEW_DB: Final = 0.35
"""Most that the gain moves per hop: 3.5 dB/s is heard as emphasis, not as a jump."""

_LEARN_S: Final = 6.0
"""Earlier pieces count for at most so many seconds when a new one is averaged in: an engine may change its level."""

_SHORTEST_S: Final = 0.4
"""Less sound than this says nothing about a voice."""

VOICES_KEPT: Final = 64
"""Voices whose loudness is remembered; more than a channel has. The one not used for longest is forgotten."""

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a voice is as its engine sends it, and what the limiter takes of it at the target, both in dB."""

    lufs: float
    loss: float = 0.0


class Levels:
    """What is known of each voice's level. One for all links of a chain; used in one thread at a time."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Level, float]] = OrderedDict()

    def of(self, voice: str) -> Level | None:
        """None when `voice` was never heard."""
        known = self._known.get(voice)
        return None if known is None else known[0]

    def learn(self, voice: str, level: Level, seconds: float) -> None:
        """One more piece of `voice`; less than 0.4 s of sound teaches nothing."""
        if seconds < _SHORTEST_S or not math.isfinite(level.lufs):
            return
        mean, weight = self._known.pop(voice, (level, 0.0))
        share = seconds / (weight + seconds)
        mean = Level(mean.lufs + (level.lufs - mean.lufs) * share, mean.loss + (level.loss - mean.loss) * share)
        self._known[voice] = mean, min(weight + seconds, _LEARN_S)
        while len(self._known) > VOICES_KEPT:
            self._known.popitem(last=False)


class Leveller:
    """Brings one piece to `target` LUFS as it streams. `known`: how loud the voice is, from earlier pieces.

    `push` any number of times, then `finish` once; as many samples come out as went in, the same bits for any
    chunking. Up to 100 ms are held back, 400 ms at the beginning when nothing is known.
    """

    def __init__(self, target: float, known: Level | None) -> None:
        self._target = target + (known.loss if known else 0.0)
        self._known = known.lufs if known else None
        self._line: Samples = np.zeros(0)
        self._context: Samples = np.zeros(HOP)
        self._energies: list[float] = []
        self._waiting: list[Samples] = []
        self._gain_db: float | None = None if known is None else self._within(self._target - known.lufs)

    @property
    def seconds(self) -> float:
        """How much sound was measured."""
        return len(self._energies) * HOP / SAMPLE_RATE

    @property
    def lufs(self) -> float:
        """Gated loudness of what came, before the gain; -inf while there was no sound."""
        return loudness(self._energies)

    def push(self, samples: Samples) -> Samples:
        """Samples (full scale 1.0) -> those whose gain is decided."""
        self._line = np.concatenate([self._line, samples])
        out: list[Samples] = [np.zeros(0)]
        while len(self._line) >= HOP:
            hop, self._line = self._line[:HOP], self._line[HOP:]
            out += self._hop(hop)
        return np.concatenate(out)

    def finish(self) -> Samples:
        """The rest of the stream."""
        rest, self._line = self._line, np.zeros(0)
        out: list[Samples] = []
        if len(rest):
            energy = weighted_energy(self._context, rest)
            if not self._energies:
                self._energies.append(energy)
            out = self._opened(rest) if self._gain_db is None else [rest * _linear(self._gain_db)]
        elif self._gain_db is None:
            out = self._opened(rest)
        return np.concatenate([np.zeros(0), *out])

    def _hop(self, hop: Samples) -> list[Samples]:
        self._energies.append(weighted_energy(self._context, hop))
        self._context = hop
        if self._gain_db is None:
            if len(self._energies) < _OPENING_HOPS:
                self._waiting.append(hop)
                return []
            return self._opened(hop)
        before = self._gain_db
        self._gain_db = before + float(np.clip(self._wanted() - before, -_SLEW_DB, _SLEW_DB))
        if self._gain_db == before:
            return [hop * _linear(before)]
        return [hop * np.linspace(_linear(before), _linear(self._gain_db), HOP)]

    def _opened(self, last: Samples) -> list[Samples]:
        """All that waited for the first decision, and `last`."""
        self._gain_db = self._wanted()
        waiting, self._waiting = self._waiting, []
        return [part * _linear(self._gain_db) for part in (*waiting, last)]

    def _wanted(self) -> float:
        """The gain in dB that what is known speaks for."""
        heard = self.lufs
        if not math.isfinite(heard):
            return self._gain_db or 0.0
        if self._known is None:
            return self._within(self._target - heard)
        share = self.seconds / (self.seconds + _PRIOR_S)
        return self._within(self._target - (self._known + (heard - self._known) * share))

    @staticmethod
    def _within(gain_db: float) -> float:
        return max(-MAX_GAIN_DB, min(gain_db, MAX_GAIN_DB))


def _linear(decibels: float) -> float:
    return float(10 ** (decibels / 20))
