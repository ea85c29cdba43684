"""Watches a stream for hours in constant memory: gaps, sessions, and how sound and picture drift."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from tests.support.capture import AAC_FRAME, Capture, Received

WINDOW = 1500
"""Video packets over which a lead or a delay is taken: a minute."""


@dataclass(slots=True)
class Session:
    """One connection of the publisher. `leads`: picture before sound, ms; `delays`: arrival less stream time, ms."""

    pictures: int = 0
    sounds: int = 0
    gaps: list[str] = field(default_factory=list)
    first_leads: list[float] = field(default_factory=list)
    last_leads: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    first_delays: list[float] = field(default_factory=list)
    last_delays: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    last_ms: dict[str, float] = field(default_factory=dict)

    @property
    def lead_change_ms(self) -> float:
        """How far the sound has moved against the picture from the session's first minute to its last."""
        if not self.first_leads:
            return 0.0
        return statistics.median(self.last_leads) - statistics.median(self.first_leads)

    @property
    def delay_change_ms(self) -> float:
        """How far the stream's clock has left the monotonic clock. The first seconds still hold joining delays."""
        if len(self.first_delays) < WINDOW:
            return 0.0
        return min(self.last_delays) - min(self.first_delays)


class StreamWatch:
    """Give `note` to a `Puller` as `on_packet`."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._steps = {"video": 1000 / fps, "audio": AAC_FRAME * 1000 / 48_000}
        self._capture: Capture | None = None
        self.sessions: list[Session] = []

    def note(self, capture: Capture, packet: Received) -> None:
        if capture is not self._capture:
            self._capture = capture
            self.sessions.append(Session())
        session = self.sessions[-1]
        before = session.last_ms.get(packet.kind)
        session.last_ms[packet.kind] = packet.pts_ms
        if before is not None and abs(packet.pts_ms - before - self._steps[packet.kind]) > 1.1:
            session.gaps.append(f"{packet.kind} from {before:.0f} to {packet.pts_ms:.0f} ms")
        if packet.kind == "audio":
            session.sounds += 1
            return
        session.pictures += 1
        sound = session.last_ms.get("audio")
        if sound is not None:
            _both(session.first_leads, session.last_leads, packet.pts_ms - sound)
        if session.pictures > 10 * self._fps:
            _both(session.first_delays, session.last_delays, packet.arrived_ns / 1e6 - packet.pts_ms)

    @property
    def gaps(self) -> list[str]:
        return [gap for session in self.sessions for gap in session.gaps]


def _both(first: list[float], last: deque[float], value: float) -> None:
    if len(first) < WINDOW:
        first.append(value)
    last.append(value)
