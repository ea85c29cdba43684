"""How long prompts of each priority class take on air, learned from those that were heard. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broadcaster.types import Inbound, Lane
from broadcaster.wire import Aired

FIRST_GUESS_S: Final = {Lane.THANKS: 5.0, Lane.SUPPORT: 5.0, Lane.WELCOME: 4.0}
"""Until one was heard; two or three sentences of an answer take ANSWER_S."""

ANSWER_S: Final = 12.0

WEIGHT: Final = 0.2
"""Of the newest one in the mean: ten prompts later the first guess is forgotten."""

ON_AIR: Final = 64
"""Prompts whose beginning is known; more are never between their beginning and their end."""


class Pace:
    """`clock` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mean: dict[Lane, float] = {}
        self._began: dict[str, float] = {}

    def mean(self, lane: Lane) -> float:
        return self._mean.get(lane) or FIRST_GUESS_S.get(lane, ANSWER_S)

    def aired(self, event: Aired) -> None:
        """From its first sentence on a prompt is on air."""
        if event.event != "on_air" or event.utterance in self._began:
            return
        if len(self._began) >= ON_AIR:
            del self._began[next(iter(self._began))]
        self._began[event.utterance] = self._clock()

    def ended(self, prompt: Inbound, *, whole: bool) -> None:
        """What was broken off says nothing about how long one takes."""
        began = self._began.pop(prompt.id, None)
        if began is None or not whole:
            return
        mean = self.mean(prompt.lane)
        self._mean[prompt.lane] = mean + WEIGHT * (self._clock() - began - mean)
