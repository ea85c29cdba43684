"""What an engine server knows of itself and of each of its sessions. Plain data; the lock is the workshop's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broadcaster.head.musetalk.messages import Ask, Begin, Flush, Hear, Rewind, SessionState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from broadcaster.head.musetalk.generator import Job
    from broadcaster.head.musetalk.shelf import Placed
    from broadcaster.head.musetalk.window import SoundWindow


@dataclass(frozen=True, slots=True)
class Arrived:
    """The latents of a session that opens, read and verified; or why they were not."""

    digest: str
    values: NDArray[np.float16] | None
    problem: str = ""


Said = Arrived | Begin | Hear | Rewind | Ask | Flush


@dataclass(frozen=True, slots=True)
class Wish:
    number: int
    key: int
    job: Job
    since: float


@dataclass(frozen=True, slots=True)
class About:
    """What a server tells of itself."""

    version: str
    decoder: str
    device: str
    """"cpu", or the GPU's name and number."""
    fingerprint: str
    note: str = ""
    """What the operator should know about the speed."""


@dataclass(slots=True)
class Meter:
    """Sums over the last second in which there was something to add."""

    count: int = 0
    total: float = 0.0
    last: tuple[int, float] = (0, 0.0)
    until: float = 0.0

    def add(self, now: float, value: float, count: int = 1) -> None:
        if now >= self.until:
            self.last = (self.count, self.total)
            self.count, self.total, self.until = 0, 0.0, now + 1.0
        self.count += count
        self.total += value

    @property
    def per_second(self) -> float:
        return float(self.last[0] or self.count)

    @property
    def mean(self) -> float:
        count, total = self.last if self.last[0] else (self.count, self.total)
        return total / count if count else 0.0


@dataclass(slots=True, eq=False)
class Seat:
    """One session, as the workshop knows it. `sound` belongs to the workshop's thread, the rest to its lock."""

    channel: str
    pid: int
    sound: SoundWindow
    opened_at: float
    said: deque[Said] = field(default_factory=deque)
    unsent: int = 0
    """Faces handed back that its client has not read."""
    placed: Placed | None = None
    number: int = 0
    owed: int = 0
    """Faces asked for that are waiting or in the making."""
    asked: int = 0
    made: int = 0
    void: int = 0
    lost: int = 0
    wait: Meter = field(default_factory=Meter)
    gone: bool = False

    def state(self, now: float) -> SessionState:
        return SessionState(
            channel=self.channel,
            pid=self.pid,
            avatar=self.placed.digest[:12] if self.placed is not None else "",
            rows=self.placed.rows if self.placed is not None else 0,
            seconds=now - self.opened_at,
            asked=self.asked,
            made=self.made,
            void=self.void,
            lost=self.lost,
            waiting=self.owed,
            wait_ms=1000 * self.wait.mean,
        )
