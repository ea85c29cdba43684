"""When one sink is tried, given up, retried, rotated and reported: a pure state machine with an injected clock.

Its owner tells it what happened (`started`, `connected`, `live`, `ended`) and asks it what to do (`due`, `overdue`,
`rotation_due`). It knows nothing of processes or sockets.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from broadcaster.errors import SinkFailure
from broadcaster.supervisor.backoff import Backoff, Edge, Turn

START_LIMIT_S: Final = 15.0
"""From the start of the child to its TCP connection: name look-up, five seconds of connecting, a loaded machine."""
HANDSHAKE_LIMIT_S: Final = 5.0
"""From the TCP connection to the end of the publish handshake; a server silent for longer never answers."""
QUICK_LOSS_S: Final = 3.0
"""A connection lost sooner than this was refused: FFmpeg may read the server's refusal only after some packets."""
REFUSALS_TO_SUSPEND: Final = 3
SUSPENDED_RETRY_S: Final = 300.0
AFTER_HEALTHY_S: Final = 0.3
"""First wait after a healthy run: most losses are a blip or a server that restarts."""
HEALTHY_S: Final = 30.0
RETRY_CAP_S: Final = 60.0
STORAGE_RETRY_S: Final = 10.0
DOWN_ALARM_S: Final = 30.0
ROTATION_GRACE_S: Final = 600.0
"""How long a rotation waits for an idle moment. 596 h and this are still below 2^31 ms, where FLV time wraps."""


class SinkEdge(StrEnum):
    """What is worth an alarm, or the end of one."""

    DOWN = "sink_down"
    UP = "sink_up"
    KEY_REJECTED = "sink_key_rejected"
    KEY_ACCEPTED = "sink_key_accepted"
    DISK_LOW = "disk_low"
    DISK_OK = "disk_ok"


CLEARED_BY: Final = {
    SinkEdge.DOWN: SinkEdge.UP,
    SinkEdge.KEY_REJECTED: SinkEdge.KEY_ACCEPTED,
    SinkEdge.DISK_LOW: SinkEdge.DISK_OK,
}


class SinkPolicy:
    """`state` is one of "connecting", "live", "waiting", "suspended" (as in `wire.SinkStatus`)."""

    def __init__(
        self,
        clock: Callable[[], float],
        rng: random.Random,
        *,
        addresses: int = 1,
        rotate_after_s: float | None = None,
        after: SinkPolicy | None = None,
    ) -> None:
        """`after`: the policy before a change of settings, whose alarms go on until this one is healthy."""
        self._clock = clock
        self._rng = rng
        self._addresses = addresses
        self._rotate_after = rotate_after_s
        self._backoff = Backoff(rng, cap_s=RETRY_CAP_S, healthy_s=HEALTHY_S)
        self._address = 0
        self._retry_at = clock()
        self._deadline: float | None = None
        self._deadline_kind = SinkFailure.UNREACHABLE
        self._live_at: float | None = None
        self._refusals = 0
        self._suspended = False
        self._raised: set[SinkEdge] = set()
        self._down = Edge(raise_after_s=DOWN_ALARM_S)
        self._events: list[SinkEdge] = []
        if after is not None:
            self._raised, self._down, self._events = after._raised, after._down, after._events
        self.state = "waiting"
        self.sessions = 0
        """How often the sink went live; all but the first are reconnects."""

    def due(self) -> bool:
        return self.state in ("waiting", "suspended") and self._clock() >= self._retry_at

    def retry_in_s(self) -> float:
        if self.state not in ("waiting", "suspended"):
            return 0.0
        return max(0.0, self._retry_at - self._clock())

    def uptime_s(self) -> float:
        return 0.0 if self._live_at is None else self._clock() - self._live_at

    def started(self) -> int:
        """A try begins; answers which address (0 is the primary) it is for."""
        self.state = "connecting"
        self._expect(START_LIMIT_S, SinkFailure.UNREACHABLE)
        return self._address

    def connected(self) -> None:
        """TCP is up and the handshake begins."""
        self._expect(HANDSHAKE_LIMIT_S, SinkFailure.SILENT)

    def live(self) -> None:
        """The server accepted the stream."""
        self.state = "live"
        self._deadline = None
        self._live_at = self._clock()
        self.sessions += 1

    def overdue(self) -> SinkFailure | None:
        """Why the child must be killed now, if it must."""
        if self._deadline is None or self._clock() < self._deadline:
            return None
        return self._deadline_kind

    def rotation_due(self, idle: bool) -> bool:
        """Whether the session should be ended and begun afresh now: old enough and idle, or much too old."""
        if self._live_at is None or self._rotate_after is None:
            return False
        age = self._clock() - self._live_at
        return age >= self._rotate_after + (0.0 if idle else ROTATION_GRACE_S)

    def ended(self, failure: SinkFailure | None) -> None:
        """The try or session is over; None is a planned end (rotation, new parameter sets), tried again at once."""
        ran = self.uptime_s()
        self._deadline = None
        self._live_at = None
        self.state = "waiting"
        if failure is None:
            self._retry_at = self._clock()
            return
        if failure is SinkFailure.LOST and ran < QUICK_LOSS_S:
            failure = SinkFailure.REFUSED
        if failure is SinkFailure.STORAGE:
            self._raise(SinkEdge.DISK_LOW)
        self._count_refusal(failure, ran)
        self._retry_at = self._clock() + self._delay(failure, ran)
        if ran < HEALTHY_S:
            self._address = (self._address + 1) % self._addresses

    def poll_edges(self) -> list[SinkEdge]:
        """Edges since the last call; call it about once a second."""
        now = self._clock()
        healthy = self._live_at is not None and now - self._live_at >= QUICK_LOSS_S
        if healthy:
            self._settled()
        down = self._live_at is None if not self._down.raised else not healthy
        turn = self._down.update(down, now)
        if turn is Turn.RAISED:
            self._raise(SinkEdge.DOWN)
        elif turn is Turn.CLEARED:
            self._clear(SinkEdge.DOWN)
        events, self._events = self._events, []
        return events

    def withdraw(self) -> list[SinkEdge]:
        """An operator holds the sink: the ends of its alarms. It is not down, it is off."""
        self._down = Edge(raise_after_s=DOWN_ALARM_S)
        for edge in CLEARED_BY:
            self._clear(edge)
        events, self._events = self._events, []
        return events

    def _settled(self) -> None:
        self._refusals = 0
        self._suspended = False
        self._clear(SinkEdge.KEY_REJECTED)
        self._clear(SinkEdge.DISK_LOW)

    def _raise(self, edge: SinkEdge) -> None:
        if edge not in self._raised:
            self._raised.add(edge)
            self._events.append(edge)

    def _clear(self, edge: SinkEdge) -> None:
        if edge in self._raised:
            self._raised.remove(edge)
            self._events.append(CLEARED_BY[edge])

    def _expect(self, within_s: float, otherwise: SinkFailure) -> None:
        self._deadline = self._clock() + within_s
        self._deadline_kind = otherwise

    def _count_refusal(self, failure: SinkFailure, ran: float) -> None:
        if ran >= QUICK_LOSS_S:
            self._settled()
        elif failure is SinkFailure.REFUSED:
            self._refusals += 1
            if self._refusals >= REFUSALS_TO_SUSPEND:
                self._suspended = True
                self._raise(SinkEdge.KEY_REJECTED)
        elif failure is SinkFailure.UNREACHABLE:
            # A server that was away may be another one when it comes back. An alarm already given stays.
            self._refusals = 0

    def _delay(self, failure: SinkFailure, ran: float) -> float:
        if self._suspended:
            self.state = "suspended"
            return SUSPENDED_RETRY_S * self._rng.uniform(0.95, 1.05)
        if failure is SinkFailure.STORAGE:
            return STORAGE_RETRY_S
        delay = self._backoff.failed(ran)
        if ran >= HEALTHY_S and failure is SinkFailure.LOST:
            return AFTER_HEALTHY_S * self._rng.uniform(0.5, 1.5)
        return delay
