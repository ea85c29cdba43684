"""The clock that owns the air: says when tick n runs. Used by playout's tick thread only.

PTS never come from here; they are the tick numbers themselves. While it waits, the clock hands messages
to the tick loop, so that the talk state has one thread and still learns of a message at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event
from typing import Generic, Protocol, TypeVar

REANCHOR_NS = 1_000_000_000
"""More than this behind, the clock moves its anchor instead of running ticks in a burst."""

LATE_NS = 10_000_000
"""A tick that starts more than this after its time is counted as late (a quarter of a 25 fps tick)."""

OVERTIME_MESSAGES = 64
"""Messages served past a tick's time at most: patches of a second ahead, not whatever a peer can send."""

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop. `hold`: at least one whole tick behind, so the last picture is shown again."""

    number: int
    lateness_ns: int
    hold: bool


@dataclass(slots=True)
class ClockCounters:
    late: int = 0
    held: int = 0
    reanchored: int = 0


class Clock(Protocol[M_co]):
    counters: ClockCounters

    def ticks(self, stop: Event, on_message: Callable[[M_co], None]) -> Iterator[Tick]: ...

    def until_next_ns(self) -> int:
        """Time left before the next tick's deadline; large for a clock that waits for its inputs."""


class RealClock(Generic[M]):
    """Monotonic time; tick n is due at anchor + n / fps. `now_ns` is injectable for tests."""

    def __init__(
        self, fps: int, inbox: Queue[M], first_tick: int = 0, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.counters = ClockCounters()
        self._fps = fps
        self._inbox = inbox
        self._now = now_ns
        self._first = first_tick
        self._anchor_tick = first_tick
        self._anchor_ns = 0
        self._next = first_tick

    def ticks(self, stop: Event, on_message: Callable[[M], None]) -> Iterator[Tick]:
        self._anchor_ns = self._now()
        while not stop.is_set():
            tick = self._next
            self._wait_until(self._due(tick), stop, on_message)
            lateness = self._now() - self._due(tick)
            hold = False
            if lateness > REANCHOR_NS:
                self.counters.reanchored += 1
                self._anchor_tick, self._anchor_ns = tick, self._now()
            elif lateness > LATE_NS:
                self.counters.late += 1
                hold = lateness >= 1_000_000_000 // self._fps
                self.counters.held += hold
            self._next = tick + 1
            yield Tick(tick, max(0, lateness), hold)

    def until_next_ns(self) -> int:
        return self._due(self._next) - self._now()

    def _due(self, tick: int) -> int:
        return self._anchor_ns + (tick - self._anchor_tick) * 1_000_000_000 // self._fps

    def _wait_until(self, due: int, stop: Event, on_message: Callable[[M], None]) -> None:
        """Serves every message that is there, then sleeps until `due` unless another comes."""
        overtime = OVERTIME_MESSAGES
        while not stop.is_set():
            left = due - self._now()
            if left <= 0:
                overtime -= 1
                if overtime < 0:
                    return
            try:
                message = self._inbox.get(timeout=left / 1e9) if left > 0 else self._inbox.get_nowait()
            except Empty:
                return
            on_message(message)


class RenderClock(Generic[M]):
    """Off line: a tick runs as soon as `ready` says that voice and head have delivered what it needs."""

    def __init__(self, inbox: Queue[M], ready: Callable[[int], bool], finished: Callable[[], bool]) -> None:
        self.counters = ClockCounters()
        self._inbox = inbox
        self._ready = ready
        self._finished = finished

    def ticks(self, stop: Event, on_message: Callable[[M], None]) -> Iterator[Tick]:
        number = 0
        while not stop.is_set() and not self._finished():
            while True:
                try:
                    on_message(self._inbox.get_nowait())
                except Empty:
                    break
            if self._ready(number):
                yield Tick(number, 0, False)
                number += 1
                continue
            try:
                on_message(self._inbox.get(timeout=0.2))
            except Empty:
                continue  # look at `stop` again

    def until_next_ns(self) -> int:
        return 1_000_000_000
