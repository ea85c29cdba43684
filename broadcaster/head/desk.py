"""What the head process has been told and what it still owes: tracks, anchor, window. No I/O; one thread.

Playout's messages go in; `work` says which pictures to render now. Nothing here measures time: what "now" is comes
from playout alone, so that an off-line channel may run at any speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broadcaster.head.timeline import Timeline
from broadcaster.head.track import Track
from broadcaster.types import SAMPLE_RATE
from broadcaster.wire import Anchor, Cut, End, Speak, Trim, Window

UTTERANCES_KEPT: Final = 8
"""Utterances whose speech is kept: playout holds one on air and a few behind it, and may anchor one again that is
rendered in full already. The oldest goes first."""

EAGER_TICKS: Final = 6
"""Pictures beyond the engine's lead that are rendered as soon as an anchor comes, before the first window."""

DUE_TICKS: Final = 4
"""Pictures this near to the air, and the engine's lead, do not wait for the speech that follows; windows come every
four ticks."""

SEEN_AHEAD: Final = SAMPLE_RATE * 140 // 1000
"""So far an engine looks beyond the start of a picture unless it says otherwise: the networks of musetalk, 136 ms."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """An anchored utterance: what an engine's `begin` needs."""

    utterance: str
    line: Timeline
    track: Track


class Desk:
    def __init__(self, fps: int, lead_ticks: int) -> None:
        self.skipped = 0
        """Pictures that were not rendered because their tick had passed."""
        self.generation = 0
        self.seen_ahead = SEEN_AHEAD
        """Samples beyond the start of a picture that the engine at work may look at."""
        self._fps = fps
        self._lead = lead_ticks
        self._tracks: dict[str, tuple[int, Track]] = {}
        self._spoken: Spoken | None = None
        self._now = -1
        self._through = -1
        self._next = 0

    @property
    def spoken(self) -> Spoken | None:
        """The utterance that was anchored last, or None."""
        return self._spoken

    def speak(self, message: Speak) -> None:
        if message.generation >= self.generation:
            self._track(message.generation, message.utterance).add(message.pcm, message.phones)

    def end(self, message: End) -> None:
        if message.generation >= self.generation:
            self._track(message.generation, message.utterance).end()

    def trim(self, message: Trim) -> None:
        """The utterance ends earlier than it was known to: pictures that saw what followed are made again."""
        generation, track = self._tracks.get(message.utterance, (0, None))
        if track is None or generation != message.generation:
            return
        track.trim(message.samples)
        if self._spoken is not None and self._spoken.track is track:
            again = self._spoken.line.tick_of(track.samples - self.seen_ahead)
            self._next = min(self._next, max(again, self._now + 1))

    def cut(self, message: Cut) -> None:
        """Drops everything of an older generation."""
        self.generation = max(self.generation, message.generation)
        self._tracks = {name: kept for name, kept in self._tracks.items() if kept[0] >= self.generation}
        if self._spoken is not None and self._spoken.line.generation < self.generation:
            self._spoken = None

    def anchor(self, message: Anchor) -> Spoken | None:
        """The utterance that must begin now, or None if the anchor is void."""
        if message.generation < self.generation:
            return None
        track = self._track(message.generation, message.utterance)
        line = Timeline(message.generation, message.epoch, message.first_tick, message.first_sample, self._fps)
        self._spoken = Spoken(message.utterance, line, track)
        self._next = message.first_tick
        self._through = max(self._through, message.first_tick + self._lead + EAGER_TICKS - 1)
        return self._spoken

    def window(self, message: Window) -> None:
        self._now = max(self._now, message.now)
        self._through = max(self._through, message.through)
        if self._spoken is not None and self._near():
            self._spoken.track.due = True

    def work(self) -> tuple[int, int] | None:
        """The first and last tick that may be rendered now, or None. Skips and counts ticks that have passed.

        An utterance that is over stays at hand: it may be trimmed while the air is still in it.
        """
        spoken = self._spoken
        if spoken is None:
            return None
        passed, end = self._now + 1, None
        if spoken.track.complete:
            end = spoken.line.end(spoken.track.samples)
            passed = min(passed, end)
        if self._next < passed:
            self.skipped += passed - self._next
            self._next = passed
        over = end is not None and self._next >= end
        return None if over or self._next > self._through else (self._next, self._through)

    def rendered(self, tick: int) -> None:
        """A picture was sent: the next one is due."""
        self._next = tick + 1
        if self._spoken is not None:
            if not self._near():
                self._spoken.track.due = False
            self._spoken.track.forget(self._spoken.line.middle(tick))

    def _near(self) -> bool:
        return self._next <= self._now + self._lead + DUE_TICKS

    def _track(self, generation: int, utterance: str) -> Track:
        if utterance not in self._tracks:
            on_air = self._spoken.utterance if self._spoken is not None else None
            while len(self._tracks) >= UTTERANCES_KEPT:
                del self._tracks[next(name for name in self._tracks if name != on_air)]
            self._tracks[utterance] = (generation, Track())
        return self._tracks[utterance][1]
