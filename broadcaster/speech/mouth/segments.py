"""Where each of a known sequence of parts begins and ends: dynamic programming over frames. Pure, numpy only.

A part has a score in every frame and a log probability for every length; the best division of the sound among the
parts is found exactly (a semi-Markov model, Viterbi), frame by frame as the sound comes. Frames may be revised from
any point on: what is known of the last few changes with the sound behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST: Final = 40
"""Lengths up to 400 ms have a probability each; beyond, every frame costs `_TAIL` more."""

_TAIL: Final = 0.25
_NEVER: Final = -1e9
_ROOM: Final = 512
"""Frames that are room for at the start; doubled as needed."""

_BEHIND: Final = 12
_BEFORE: Final = 20
"""Only so many parts around the best are followed: more than ever sound in half a second or a second."""


@dataclass(frozen=True, slots=True)
class Span:
    """Part number `part` in frames first <= n < last."""

    part: int
    first: int
    last: int


class Divider:
    """One search. Parts are numbered from 0; two optional parts never follow each other. Not thread-safe.

    `classes` (parts,) is the column of each part in the frame scores; `optional` (parts,) marks those that may be
    missing; `taken` (parts,) is added where a part is begun.
    """

    def __init__(self, classes: NDArray[np.intp], optional: NDArray[np.bool_], taken: Floats, columns: int) -> None:
        self._classes = classes
        self._optional = optional
        self._taken = taken
        self._parts = len(classes)
        self._lengths = np.zeros((LONGEST, self._parts))
        self._survival = np.zeros((LONGEST, self._parts))
        self._sums = np.zeros((_ROOM, columns))
        self._closed = np.full((_ROOM, self._parts), _NEVER)
        self._begun = np.full((_ROOM, self._parts), _NEVER)
        self._long = np.full((_ROOM, self._parts), _NEVER)
        self._from = np.zeros((_ROOM, self._parts), dtype=np.int32)
        self._long_from = np.zeros((_ROOM, self._parts), dtype=np.int32)
        self._begun[0, 0] = taken[0]
        if optional[0] and self._parts > 1:
            self._begun[0, 1] = taken[1]
        self.frames = 0

    def expect(self, lengths: Floats) -> None:
        """Log probabilities of 1..LONGEST frames: shape (LONGEST, parts). May change while the sound grows."""
        self._lengths = np.ascontiguousarray(lengths[::-1])
        tail = np.logaddexp.accumulate(lengths[::-1], axis=0)[::-1]
        self._survival = np.ascontiguousarray(tail[::-1])

    def hear(self, first: int, scores: Floats, anchors: Floats | None = None) -> None:
        """Scores (frames, columns) of the frames from `first` on; those known from there on before are forgotten.

        `anchors` (frames, parts) is added where a part begins in a frame.
        """
        total = first + 1 + len(scores)
        while total > len(self._sums):
            self._grow()
        self._sums[first + 1 : total] = self._sums[first] + np.cumsum(scores, axis=0)
        for table in (self._closed, self._begun, self._long):
            table[first + 1 : total] = _NEVER
        self.frames = total - 1
        for now in range(first + 1, total):
            self._step(now, anchors[now - first - 1] if anchors is not None else None)

    def _grow(self) -> None:
        self._sums, self._closed, self._begun, self._long = (
            np.concatenate([table, np.full_like(table, _NEVER)])
            for table in (self._sums, self._closed, self._begun, self._long)
        )
        self._from, self._long_from = (
            np.concatenate([table, np.zeros_like(table)]) for table in (self._from, self._long_from)
        )

    def _step(self, now: int, anchors: Floats | None) -> None:
        low, high = self._window(now - 1)
        heard = self._sums[now, self._classes[low:high]]
        reach = min(now, LONGEST)
        options = self._begun[now - reach : now, low:high] + self._lengths[LONGEST - reach :, low:high]
        best = options.argmax(axis=0)
        gain = options[best, np.arange(high - low)]
        origin = best + (now - reach)
        if now > LONGEST:
            extended = self._long[now - 1, low:high] - _TAIL
            fresh = self._begun[now - LONGEST - 1, low:high] + self._lengths[0, low:high] - _TAIL
            longer = extended >= fresh
            self._long[now, low:high] = np.where(longer, extended, fresh)
            self._long_from[now, low:high] = np.where(longer, self._long_from[now - 1, low:high], now - LONGEST - 1)
            drawn = self._long[now, low:high] > gain
            gain = np.where(drawn, self._long[now, low:high], gain)
            origin = np.where(drawn, self._long_from[now, low:high], origin)
        closed = self._closed[now]
        closed[low:high] = gain + heard
        self._from[now, low:high] = origin
        entered = np.full(self._parts, _NEVER)
        entered[1:] = closed[:-1]
        over = self._optional[1:-1]
        entered[2:] = np.where(over, np.maximum(entered[2:], closed[:-2]), entered[2:])
        entered += self._taken
        if anchors is not None:
            entered += anchors
        self._begun[now] = entered - self._sums[now, self._classes]

    def _window(self, frame: int) -> tuple[int, int]:
        closed = self._closed[frame]
        if frame == 0 or closed.max() <= _NEVER / 2:
            return 0, min(self._parts, _BEFORE)
        best = int(closed.argmax())
        return max(0, best - _BEHIND), min(self._parts, best + _BEFORE)

    def spans(self, *, ended: bool, missing: float) -> list[Span]:
        """The best division so far, in order and without gaps.

        While the sound is not `ended` the last part is open. When it is, parts that were never said cost `missing`
        each.
        """
        now = self.frames
        if now == 0:
            return []
        if ended:
            left = np.concatenate([np.cumsum((~self._optional)[::-1])[::-1][1:], [0]])
            finals = self._closed[now] - missing * left
            part = int(finals.argmax())
            first = int(self._from[now, part])
        else:
            part, first = self._open(now)
        found = [Span(part, first, now)]
        while first > 0:
            part = self._before(part, first)
            now, first = first, int(self._from[first, part])
            found.append(Span(part, first, now))
        return found[::-1]

    def _open(self, now: int) -> tuple[int, int]:
        """The part that is being said at the end of what is known, and its first frame."""
        low, high = self._window(now)
        low = max(0, low - 1)
        reach = min(now, LONGEST)
        options = self._begun[now - reach : now, low:high] + self._survival[LONGEST - reach :, low:high]
        best = options.argmax(axis=0)
        gain = options[best, np.arange(high - low)]
        origin = best + (now - reach)
        drawn = self._long[now, low:high] > gain
        gain = np.where(drawn, self._long[now, low:high], gain)
        origin = np.where(drawn, self._long_from[now, low:high], origin)
        part = int((gain + self._sums[now, self._classes[low:high]]).argmax())
        return low + part, int(origin[part])

    def _before(self, part: int, frame: int) -> int:
        one = part - 1
        if one > 0 and self._optional[one] and self._closed[frame, one - 1] > self._closed[frame, one]:
            return one - 1
        return one
