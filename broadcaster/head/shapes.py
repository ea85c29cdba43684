"""From timed phones to mouth shapes: targets per viseme, coarticulation, loudness. Pure functions of a track.

A shape at a sample depends on the track around it and on nothing rendered before, so the same speech gives the
same mouth however it was cut into windows or anchored.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from broadcaster.ports import SpeechTrack
from broadcaster.types import SAMPLE_RATE, Viseme

LOOK_AHEAD: Final = SAMPLE_RATE * 80 // 1000
"""Coarticulation looks this far ahead: a picture waits until the track reaches there, is complete or is due."""

_MS: Final = SAMPLE_RATE / 1000
_BLEND: Final = 28 * _MS
"""Standard deviation of the blending of neighbouring phones: lips take about 100 ms from shape to shape."""

_CLOSED: Final = 22 * _MS
"""Half of the shortest full closure, so that at 25 pictures a second one of them always shows it."""

_CLOSING: Final = 55 * _MS
"""Lips close and open around a closure in this time."""

_ONSET: Final = 50 * _MS
"""The mouth leaves rest at the start of an utterance, and returns to it at the end, within this time."""

_FULL_VOICE: Final = 0.12
"""RMS of a well-voiced vowel at the broadcaster's loudness (-16 LUFS)."""


@dataclass(frozen=True, slots=True)
class MouthShape:
    """How the mouth differs from rest; every value 0 (rest) .. about 1 (as far as speech goes).

    jaw: dropped. wide: corners out. round: corners in, lips out. upper, lower: that lip drawn away from the other.
    tuck: lower lip under the upper teeth. press: lips pressed together.
    """

    jaw: float = 0.0
    wide: float = 0.0
    round: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    tuck: float = 0.0
    press: float = 0.0

    @property
    def at_rest(self) -> bool:
        return not any(self.vector())

    def vector(self) -> tuple[float, ...]:
        return (self.jaw, self.wide, self.round, self.upper, self.lower, self.tuck, self.press)


REST: Final = MouthShape()
PARAMETERS: Final = tuple(field.name for field in fields(MouthShape))

TARGETS: Final[dict[Viseme, MouthShape]] = {
    Viseme.SIL: REST,
    Viseme.PP: MouthShape(press=0.8),
    Viseme.FF: MouthShape(jaw=0.04, upper=0.25, tuck=1.0),
    Viseme.TH: MouthShape(jaw=0.25, lower=0.35, upper=0.2),
    Viseme.DD: MouthShape(jaw=0.24, wide=0.15, lower=0.35, upper=0.2),
    Viseme.KK: MouthShape(jaw=0.32, wide=0.1, lower=0.25, upper=0.1),
    Viseme.CH: MouthShape(jaw=0.2, round=0.45, lower=0.5, upper=0.45),
    Viseme.SS: MouthShape(jaw=0.12, wide=0.5, lower=0.5, upper=0.3),
    Viseme.NN: MouthShape(jaw=0.26, wide=0.15, lower=0.3, upper=0.1),
    Viseme.RR: MouthShape(jaw=0.24, round=0.4, lower=0.3, upper=0.2),
    Viseme.AA: MouthShape(jaw=1.0, wide=0.1, upper=0.3, lower=0.25),
    Viseme.E: MouthShape(jaw=0.58, wide=0.5, upper=0.3, lower=0.3),
    Viseme.IH: MouthShape(jaw=0.32, wide=0.75, upper=0.3, lower=0.4),
    Viseme.OH: MouthShape(jaw=0.68, round=0.6, upper=0.15, lower=0.1),
    Viseme.OU: MouthShape(jaw=0.36, round=1.0, upper=0.1, lower=0.1),
}

_STRENGTH: Final[dict[Viseme, float]] = {
    Viseme.SIL: 0.8,
    Viseme.PP: 1.2,
    Viseme.FF: 1.6,
    Viseme.CH: 1.2,
    Viseme.SS: 1.1,
    Viseme.DD: 0.7,
    Viseme.KK: 0.6,
    Viseme.NN: 0.7,
    Viseme.RR: 0.8,
}
"""How much a viseme holds against its neighbours; 1.0 where not named. Tongue sounds leave the lips to the vowels."""

_VISEMES: Final = {viseme.value: viseme for viseme in Viseme}


class MouthTrack:
    """Mouth shapes along one speech track. Not thread-safe; keeps its own copy of the phones as the track grows."""

    def __init__(self, track: SpeechTrack) -> None:
        self._track = track
        self._known = -1
        self._phones: list[tuple[Viseme, int, int]] = []
        self._starts: list[int] = []
        self._closures: list[tuple[int, int]] = []
        self._closure_starts: list[int] = []

    def known_until(self) -> int:
        """Pictures of samples before this one can be rendered."""
        track = self._track
        return track.samples if track.complete or track.due else track.samples - LOOK_AHEAD

    def shape_at(self, sample: int) -> MouthShape:
        """The mouth at `sample` (of the utterance): REST outside of it."""
        track = self._track
        self._refresh()
        edge = min(1.0, sample / _ONSET) if sample >= 0 else 0.0
        if track.complete:
            edge = min(edge, (track.samples - sample) / _ONSET)
        if edge <= 0.0:
            return REST
        level = self._loudness(sample)
        mixed = self._coarticulated(sample) if self._phones else _voiced(level)
        closed = self._closure(sample)
        easing = edge * edge * (3 - 2 * edge)
        opening = easing * (1.0 - closed)
        gain = opening * (0.8 + 0.25 * min(1.0, level / _FULL_VOICE))
        return MouthShape(
            jaw=_settled(mixed[0] * gain),
            wide=_settled(mixed[1] * easing),
            round=_settled(mixed[2] * easing),
            upper=_settled(mixed[3] * opening),
            lower=_settled(mixed[4] * opening),
            tuck=_settled(mixed[5] * opening),
            press=_settled(max(mixed[6], 0.8 * closed) * easing),
        )

    def _refresh(self) -> None:
        if self._track.samples == self._known:
            return
        self._known = self._track.samples
        self._phones = [(_VISEMES.get(viseme, Viseme.SIL), a, b) for _, viseme, a, b in self._track.phones() if b > a]
        self._starts = [start for _, start, _ in self._phones]
        self._closures = [(a, b) for viseme, a, b in self._phones if viseme is Viseme.PP]
        self._closure_starts = [start for start, _ in self._closures]

    def _coarticulated(self, sample: int) -> list[float]:
        reach = round(3 * _BLEND)
        first = max(0, bisect_left(self._starts, sample - reach) - 1)
        last = bisect_right(self._starts, sample + reach)
        total, spoken = 0.0, 0.0
        mixed = [0.0] * len(PARAMETERS)
        for viseme, start, end in self._phones[first:last]:
            share = _overlap(sample, start, end)
            spoken += share
            weight = share * _STRENGTH.get(viseme, 1.0)
            total += weight
            for i, value in enumerate(TARGETS[viseme].vector()):
                mixed[i] += weight * value
        total += max(0.0, 1.0 - spoken) * _STRENGTH[Viseme.SIL]
        return [value / total for value in mixed]

    def _closure(self, sample: int) -> float:
        """1 while lips must be shut for a bilabial, 0 away from any."""
        reach = round(_CLOSED + _CLOSING) + SAMPLE_RATE // 2
        first = bisect_left(self._closure_starts, sample - reach)
        last = bisect_right(self._closure_starts, sample + reach)
        closed = 0.0
        for start, end in self._closures[first:last]:
            centre = (start + end) / 2
            held = max(_CLOSED, (end - start) / 2 - 12 * _MS)
            away = (abs(sample - centre) - held) / _CLOSING
            if away < 1.0:
                t = max(0.0, away)
                closed = max(closed, 1.0 - t * t * (3 - 2 * t))
        return closed

    def _loudness(self, sample: int) -> float:
        """RMS (0..1) of the 40 ms around `sample`."""
        half = SAMPLE_RATE // 50
        pcm = np.frombuffer(self._track.pcm(sample - half, sample + half), dtype="<i2").astype(np.float32)
        return float(np.sqrt(np.mean(np.square(pcm)))) / 32768.0 if pcm.size else 0.0


def _voiced(level: float) -> list[float]:
    """A mouth from loudness alone, for voices that give no phones."""
    opening = min(1.0, max(0.0, level - 0.01) / _FULL_VOICE)
    return [0.65 * opening, 0.15 * opening, 0.0, 0.2 * opening, 0.25 * opening, 0.0, 0.0]


def _overlap(sample: float, start: float, end: float) -> float:
    """Share of a phone in the blending window around `sample`: its box seen through a Gaussian."""
    scale = _BLEND * math.sqrt(2.0)
    return 0.5 * (math.erf((sample - start) / scale) - math.erf((sample - end) / scale))


def _settled(value: float) -> float:
    """Differences from rest that no eye sees are rest: the patch is then the base picture itself."""
    return value if value >= 0.02 else 0.0
