"""The broadcast delay: when the sound of a sentence may go to playout, and when what is in hand will be heard.

A sentence is not heard sooner than `seconds` after it was admitted. It waits here, not in playout, so that it can be
dropped until then. What follows within one utterance goes out sooner where the sound before it lasts until then: so
there is one wait, and no hole. Pure; `now` and all times on the clock of the director's event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from broadcaster.director.utterance import Utterance
from broadcaster.types import SAMPLE_RATE

MARGIN_S: Final = 0.04
"""A picture: the report that a sentence began is younger than that, so that what is before it is never overrated."""


class Delay:
    """`seconds` 0: everything goes out as it comes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def due(self, utterance: Utterance, sentence: int) -> float:
        """When that sentence may be heard."""
        if not self.seconds or sentence >= len(utterance.starts):
            return 0.0
        start, text = utterance.starts[sentence], utterance.texts[sentence]
        return utterance.script.admitted(start, len(text)) + self.seconds

    def wait(self, utterance: Utterance, sentence: int, now: float) -> float:
        """Seconds that the next piece, of that sentence, still waits; 0: out with it."""
        if not self.seconds:
            return 0.0
        left = self.due(utterance, sentence) - now
        if left <= 0 or _sent_seconds(utterance, now) >= left + MARGIN_S:
            return 0.0
        return left

    def begins(self, active: Iterable[Utterance], now: float) -> list[float]:
        """When the first sound of each that was not heard yet will be, and behind the last, when all are over."""
        at = now
        found: list[float] = []
        for utterance in active:
            first: float | None = None
            for sentence, seconds in _sentences(utterance, now):
                at = max(at, self.due(utterance, sentence) if sentence != utterance.on_air else at)
                first = at if first is None else first
                at += seconds
            found.append(at if first is None else first)
        return [*found, at]

    def free_in(self, active: Iterable[Utterance], now: float) -> float:
        """Seconds until everything in hand will have been heard."""
        return self.begins(active, now)[-1] - now


def _sentences(utterance: Utterance, now: float) -> Iterator[tuple[int, float]]:
    """(number, seconds) of each sentence in hand that was not heard, without what was heard of the one on air."""
    wanted = (piece for piece in utterance.pieces if utterance.last is None or piece.sentence <= utterance.last)
    for sentence, pieces in groupby(wanted, key=lambda piece: piece.sentence):
        seconds = sum(piece.samples for piece in pieces) / SAMPLE_RATE
        if sentence == utterance.on_air:
            seconds = max(0.0, seconds - (now - utterance.on_air_since))
        yield sentence, seconds


def _sent_seconds(utterance: Utterance, now: float) -> float:
    """Of sound of it that playout has and has not played."""
    sent = list(utterance.pieces)[: utterance.sent]
    samples = sum(piece.samples for piece in sent)
    if utterance.on_air is not None:
        this = sum(piece.samples for piece in sent if piece.sentence == utterance.on_air)
        samples -= min(this, int((now - utterance.on_air_since) * SAMPLE_RATE))
    return samples / SAMPLE_RATE
