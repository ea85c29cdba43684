"""How fast the voice is, how large the next piece may be, when the one in hand may go on air. No clock of its own.

The aim is an early first sound without a hole behind it. A piece is let go when the one behind it is predicted to
be ready before it has been heard; until then it is held back, only just long enough. Pieces grow with the sound
that is in hand, because an engine's fixed cost makes large pieces cheap and small ones early.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcaster.speech.units import spoken_units
from broadcaster.types import Piece

FIRST: Final = (4.0, 8.0)
LARGEST_FIRST: Final = 16.0
"""Units of a first piece of an engine that takes long for the shortest one: a larger piece gives the second time. And
of the smallest one behind it, for an engine whose short pieces sound for less time than they take."""

SECOND: Final = 12.0
LATER: Final = 20.0
LARGEST: Final = 40.0
"""Units of a piece: the first, the least of the second, the least of those behind, the most of any.

An engine so slow that a piece of that size would come late gets smaller ones, down to the size of a first piece.
"""

WORTH_HOLDING_S: Final = 0.3
"""So much silence before the first sound is better than a joint more in the sentence."""

MAX_HOLD_S: Final = 1.0
"""An engine that is slower than speech cannot be waited for: holes are then inevitable, and silence before is one."""

MAX_HOLD_IN_HOLE_S: Final = 0.25
"""When a hole has opened already, holding a piece back makes this one longer."""

AHEAD_S: Final = 10.0
"""Sound made before it is needed, unless it is configured; what an interruption throws away."""

LET_GO_S: Final = 1.5
"""A sentence that is not whole yet is kept back until so little sound is left: as long as nothing of it was let go,
another voice can say all of it. Enough for the head to render its first patches."""

PREBUFFER_S: Final = 0.3
"""Sound in hand before a piece is let go while it still comes in: the jitter of a network and of its chunks."""

HEDGE_MARGIN_S: Final = 0.3
"""The embedded voice is started so much earlier than its predicted time asks for."""

SHORTEST_PACKAGE: Final = 10.0
"""Units of a package behind the first, unless it is configured."""

SLOWEST_SUSTAINED: Final = 0.8
"""Seconds of work per second of sound, fixed cost apart, from which on larger packages no longer help."""

SOUND_PER_UNIT_S: Final = 0.2
"""Seconds that a unit sounds, roughly, where nothing was heard yet."""

_SOUND_RANGE: Final = (0.08, 0.6)
_SOUND_WEIGHT: Final = 0.2

_PRIOR: Final = (0.4, 0.08)
"""Seconds per piece and per unit of the embedded voice on two slow cores; right within a factor of two anywhere."""

_FORGET: Final = 0.9
_PRIOR_WEIGHT: Final = 0.3
_OUTLIER: Final = 3.0
_FLATTEST: Final = 1e-4


class SpeedModel:
    """Learns synthesis seconds = fixed + per_unit * units from what was measured; recent pieces count most.

    Starts from a guess about the embedded voice and keeps its shape as a weak prior, so that pieces of one size
    alone cannot turn the line around.
    """

    def __init__(self) -> None:
        self.fixed, self.per_unit = _PRIOR
        self.spread = 0.25
        """Mean relative error of the predictions."""
        self._w = self._x = self._y = self._xx = self._xy = 0.0

    def expected(self, units: float) -> float:
        """Seconds that a piece of `units` takes on the average."""
        return self.fixed + self.per_unit * units

    def predicted(self, units: float) -> float:
        """Seconds that a piece of `units` will take, with a margin for what predictions were off lately."""
        return self.expected(units) * (1.0 + min(1.2 * self.spread, 0.6))

    def units_within(self, seconds: float) -> float:
        """The largest piece predicted to be ready in `seconds`; may be negative."""
        return (seconds / (1.0 + min(1.2 * self.spread, 0.6)) - self.fixed) / self.per_unit

    def observe(self, units: float, seconds: float) -> None:
        """One piece was synthesised. A stall (a restart, a suspended machine) counts as an outlier at most."""
        expected = self.expected(units)
        seconds = max(_FLATTEST * max(units, 1.0), min(seconds, _OUTLIER * expected))
        self.spread += 0.2 * (abs(seconds - expected) / expected - self.spread)
        self._w = self._w * _FORGET + 1.0
        self._x = self._x * _FORGET + units
        self._y = self._y * _FORGET + seconds
        self._xx = self._xx * _FORGET + units * units
        self._xy = self._xy * _FORGET + units * seconds
        self._fit()

    def _fit(self) -> None:
        fixed, per_unit = _PRIOR
        scale = self._y / (self._w * fixed + self._x * per_unit)
        w, x, y, xx, xy = self._w, self._x, self._y, self._xx, self._xy
        for units in (4.0, 30.0):
            seconds = scale * (fixed + per_unit * units)
            w += _PRIOR_WEIGHT
            x += _PRIOR_WEIGHT * units
            y += _PRIOR_WEIGHT * seconds
            xx += _PRIOR_WEIGHT * units * units
            xy += _PRIOR_WEIGHT * units * seconds
        slope = max((w * xy - x * y) / (w * xx - x * x), _FLATTEST)
        self.per_unit, self.fixed = slope, (y - slope * x) / w
        if self.fixed < 0:
            self.per_unit, self.fixed = max(xy / xx, _FLATTEST), 0.0


class SoundModel:
    """Learns how many seconds a unit of text sounds, for each language, at the voice's own speed."""

    def __init__(self) -> None:
        self._per_unit: dict[str, float] = {}

    def seconds(self, piece: Piece) -> float:
        """What the piece will sound, about."""
        return self.per_unit(piece.language) / piece.manner.speed * spoken_units(piece.text)

    def per_unit(self, language: str) -> float:
        """Seconds."""
        return self._per_unit.get(language, SOUND_PER_UNIT_S)

    def observe(self, piece: Piece, seconds: float) -> None:
        """That piece sounded so long. Very short ones say little."""
        units = spoken_units(piece.text)
        if units < FIRST[0]:
            return
        measured = min(max(seconds * piece.manner.speed / units, _SOUND_RANGE[0]), _SOUND_RANGE[1])
        known = self._per_unit.setdefault(piece.language, measured)
        self._per_unit[piece.language] = known + _SOUND_WEIGHT * (measured - known)


@dataclass(frozen=True, slots=True)
class Size:
    """Units that the next piece should have."""

    minimum: float
    maximum: float


class Pacer:
    """The pacing of one utterance. All times are seconds of one monotonic clock, passed in.

    `speed` and `sound_per_unit` are those of the voice which is asked next. `unheard` tells how much sound waits in
    playout's hands, `lips` how long before it is heard a piece must be there for the head.
    """

    def __init__(
        self,
        speed: SpeedModel,
        unheard: Callable[[], float] = lambda: 0.0,
        lips: Callable[[], float] = lambda: 0.0,
        shortest: float = SHORTEST_PACKAGE,
    ) -> None:
        self.speed = speed
        self.sound_per_unit = SOUND_PER_UNIT_S
        self.lips = lips
        self._unheard = unheard
        self._shortest = shortest
        self._play_end: float | None = None
        self._begun = 0
        """Pieces given to the voice that were long enough to count."""

    @property
    def started(self) -> bool:
        return self._play_end is not None

    @property
    def begun(self) -> bool:
        """The voice was given something that was long enough to count."""
        return self._begun > 0

    def buffered(self, now: float) -> float:
        """Seconds of sound on air or let go that are still to be heard.

        What was let go is heard later than it could be when other utterances are before it.
        """
        return max(0.0 if self._play_end is None else self._play_end - now, self._unheard(), 0.0)

    def size(self, now: float, ready_s: float) -> Size:
        """Of the next piece to synthesise; `ready_s` is the sound that waits to be let go."""
        if self._begun == 0:
            return Size(FIRST[0], self._first())
        fitting = self._fitting(now, ready_s)
        least = SECOND if self._begun == 1 else LATER
        minimum = min(max(fitting, self._smallest()), least)
        return Size(minimum, min(max(fitting, minimum + 2.0), LARGEST))

    def least(self, now: float, ready_s: float) -> float:
        """Units below which the next package is too small to be worth a request of its own.

        At least so many that a voice which works without a break stays ahead of what is heard; less when a package of
        that size would not be ready before the one in hand has been heard, but never so little that every package
        would come late because of the voice's fixed cost.
        """
        if self._begun == 0:
            return FIRST[0] if self._first() <= FIRST[1] else self._first()
        return min(self.sustained(), max(self._fitting(now, ready_s), self._smallest()))

    def with_tail(self, size: Size, total: float) -> Size:
        """`size`; or all of `total`, when a voice that takes long to begin would be asked for a small rest."""
        tail = total - size.maximum
        if not self._begun or self._smallest() <= FIRST[1] or not 0 < tail < self._smallest():
            return size
        return Size(size.minimum, min(total, LARGEST))

    def sustained(self) -> float:
        """Units of a package that sounds as long as the voice needs for it, or the configured minimum."""
        margin = self.speed.predicted(1.0) / self.speed.expected(1.0)
        return min(max(self._shortest, self._lasting(margin)), LARGEST)

    def _lasting(self, margin: float) -> float:
        """Units that sound as long as the voice takes for as many, at `margin` times what it takes on the average."""
        per_unit = margin * self.speed.per_unit
        if per_unit >= SLOWEST_SUSTAINED * self.sound_per_unit:
            return LATER
        return (margin * self.speed.fixed + self.lips()) / (self.sound_per_unit - per_unit)

    def _smallest(self) -> float:
        """Units of the smallest piece behind the first. When a voice takes long to begin, smaller ones would be late
        for ever; larger ones cost little more, or show what they cost."""
        return min(max(FIRST[1], self._lasting(1.0)), LARGEST_FIRST)

    def _first(self) -> float:
        """Units of the largest first piece: one that sounds until the smallest second one is there."""
        lasting = (self.speed.expected(self._smallest()) + self.lips()) / self.sound_per_unit
        return min(max(FIRST[1], lasting), LARGEST_FIRST)

    def slack(self, now: float, ready_s: float, units: float) -> float:
        """Seconds that a package of `units` may still wait and be ready, lips and all, before it is due."""
        return self.buffered(now) + ready_s - self.lips() - self.speed.predicted(units)

    def _fitting(self, now: float, ready_s: float) -> float:
        """Units that are predicted to be ready, lips and all, before what is in hand has been heard."""
        in_hand = self.buffered(now) + ready_s - self.lips()
        return self.speed.units_within(in_hand if self.started else in_hand + WORTH_HOLDING_S)

    def began(self, units: float) -> None:
        """A piece was given to the voice. Very short ones (a greeting) do not make the next one larger."""
        if units >= FIRST[0] or self._begun:
            self._begun += 1

    def hold(self, now: float, held_s: float, sound_s: float, next_in_s: float) -> float:
        """Seconds to wait before a piece of `sound_s` is let go, when the next is ready in `next_in_s`.

        `held_s` is how long it has been held back already.
        """
        if self.buffered(now) > 0:
            return 0.0
        limit = MAX_HOLD_IN_HOLE_S if self.started else MAX_HOLD_S
        return max(0.0, min(next_in_s + self.lips() - sound_s, limit - held_s))

    def released(self, now: float, sound_s: float) -> None:
        self._play_end = max(now, self._play_end or now) + sound_s
