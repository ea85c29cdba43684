"""From the sound in hand to playout: what may go out now, what the broadcast delay keeps back, how much is enough.

Director's event loop only, never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from broadcaster.director.delay import Delay
from broadcaster.director.link import Sender
from broadcaster.director.utterance import Utterance
from broadcaster.wire import End, Trim

AHEAD_UTTERANCES: Final = 2
"""The one on air and the next: gaps stay short, and a moderator's prompt waits for two at most."""

AHEAD_SECONDS: Final = 10.0
"""Of sound in playout's hands: rides out a restart of the voice, and bounds the memory."""

AHEAD_DELAYED: Final = 32
"""Utterances in hand at most, when the broadcast delay keeps them back."""

PREPARE_SECONDS: Final = 3.0
"""What a brain and a voice need for the first sound: with a delay, the next utterance is begun so long before it."""


class Transmission:
    """`trimmed` is told of an utterance of which no more is needed, `released` when a delay is over."""

    def __init__(
        self,
        link: Sender,
        delay: Delay,
        clock: Callable[[], float],
        trimmed: Callable[[Utterance], None],
        released: Callable[[], None],
    ) -> None:
        self._link = link
        self._delay = delay
        self._clock = clock
        self._trimmed = trimmed
        self._released = released
        self._timer: asyncio.TimerHandle | None = None

    @property
    def delayed(self) -> bool:
        return self._delay.seconds > 0

    def has_room(self, active: list[Utterance]) -> bool:
        """With a delay, what is in hand must last until the next one may be heard."""
        if len(active) < AHEAD_UTTERANCES or not self._delay.seconds:
            return len(active) < AHEAD_UTTERANCES
        soon = self._delay.seconds + PREPARE_SECONDS
        return len(active) < AHEAD_DELAYED and self._delay.free_in(active, self._clock()) < soon

    def seconds_over(self, active: list[Utterance]) -> float:
        """How much more sound waits than is enough; not positive when there is room."""
        return self.seconds_unheard(active) - AHEAD_SECONDS - self._delay.seconds

    def seconds_unheard(self, active: list[Utterance]) -> float:
        """Of sound in hand, of every utterance, that was not heard yet."""
        now = self._clock()
        return sum(utterance.ahead_seconds(now) for utterance in active)

    def begins(self, active: list[Utterance]) -> list[float]:
        """In how many seconds the rest of each will be heard; the last number is behind them all."""
        now = self._clock()
        return [at - now for at in self._delay.begins(active, now)]

    def send(self, active: list[Utterance]) -> None:
        """Sends all that may go out now, in order; what the delay keeps back, and all behind it, goes later."""
        if not self._link.connected:
            return
        for utterance in active:
            last = utterance.last
            wanted = [piece for piece in utterance.pieces if last is None or piece.sentence <= last]
            for piece in wanted[utterance.sent :]:
                wait = self._delay.wait(utterance, piece.sentence, self._clock())
                if wait > 0:
                    self._later(wait)
                    return
                self._link.send(piece.message(utterance.generation, utterance.id))
                utterance.sent += 1
            if last is not None and utterance.whole(last):
                if not utterance.ended:
                    self._link.send(Trim(utterance.generation, utterance.id, last))
                    utterance.ended = True
                    self._trimmed(utterance)
                continue
            if not utterance.spoken:
                return  # what follows must not overtake it
            if not utterance.ended:
                self._link.send(End(utterance.generation, utterance.id))
                utterance.ended = True

    def admitted(self, utterance: Utterance, active: list[Utterance]) -> list[dict[str, Any]]:
        """The delay begins for what was added to its script; events about that, for whoever may want to drop it."""
        now = self._clock()
        fresh = utterance.script.stamp(now)
        if not self._delay.seconds:
            return []
        airs_in_s = round(max(self._delay.seconds, self._delay.free_in(active, now)), 1)
        return [
            {
                "type": "pending",
                "id": utterance.id,
                "sentence": number,
                "text": utterance.script.lines[number].text.strip(),
                "airs_in_s": airs_in_s,
            }
            for number in fresh
            if utterance.script.offset(number) >= utterance.cursor
        ]

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._released)
