"""Which faces of which session go into the next batch: a pure policy. No thread, no I/O; the clock is injected.

Sessions take turns, one face each (start-time fair queueing with faces of equal cost): who keeps many faces waiting
gets no more than who asks for a few at a time, and who comes back from silence is served at once without making up
for it. A batch starts when it is full, when somebody has said that no more will come (`flush`), or when its oldest
face has waited for `hold` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

HOLD_S: Final = 0.008
"""How long a face may wait for others to share its batch with: a fifth of a picture, and less than a batch takes."""

BOUND: Final = 64
"""Faces of one session that wait at most (2.5 s at 25 pictures a second): more than any engine asks for ahead."""

S = TypeVar("S", bound=Hashable)
F = TypeVar("F")


@dataclass(slots=True)
class Counts:
    """One session's faces since it was added: asked = refused + forgotten + started + waiting."""

    asked: int = 0
    refused: int = 0
    """Beyond the bound."""
    forgotten: int = 0
    """Void before they were started."""
    started: int = 0


@dataclass(slots=True)
class _Waiting(Generic[F]):
    face: F
    since: float


class _Line(Generic[F]):
    """One session's faces in the order asked."""

    __slots__ = ("counts", "faces", "turn", "urgent")

    def __init__(self) -> None:
        self.faces: deque[_Waiting[F]] = deque()
        self.urgent = 0
        """So many of the first faces wait for nobody."""
        self.turn = 0
        """The round in which its next face may go."""
        self.counts = Counts()


class Batcher(Generic[S, F]):
    """Faces F of sessions S. `batch`: faces in a full batch. Not thread-safe."""

    def __init__(self, batch: int, clock: Callable[[], float], hold_s: float = HOLD_S, bound: int = BOUND) -> None:
        if batch < 1 or bound < 1:
            raise ValueError("a batch and a bound hold at least one face")
        self.batch = batch
        self.bound = bound
        self._clock = clock
        self._hold_s = hold_s
        self._lines: dict[S, _Line[F]] = {}
        self._round = 0
        self._waiting = 0
        self._urgent = 0

    def __len__(self) -> int:
        """Faces that wait, of all sessions."""
        return self._waiting

    def add(self, session: S) -> None:
        self._lines[session] = _Line()

    def remove(self, session: S) -> list[F]:
        """Forgets the session; gives what it still waited for."""
        gone = self.forget(session)
        self._lines.pop(session, None)
        return gone

    def waiting(self, session: S) -> int:
        return len(self._lines[session].faces)

    def counts(self, session: S) -> Counts:
        """Raises KeyError for a session that was not added."""
        return self._lines[session].counts

    def ask(self, session: S, faces: Sequence[F]) -> int:
        """Lines faces up behind what the session waits for already. Gives the number that was taken: the first ones,
        up to the session's bound."""
        line = self._lines[session]
        taken = faces[: max(0, self.bound - len(line.faces))]
        line.counts.asked += len(faces)
        line.counts.refused += len(faces) - len(taken)
        if taken and not line.faces:
            line.turn = max(line.turn, self._round)
        now = self._clock()
        line.faces.extend(_Waiting(face, now) for face in taken)
        self._waiting += len(taken)
        return len(taken)

    def flush(self, session: S) -> None:
        """What the session has asked for waits for nobody any more."""
        line = self._lines[session]
        self._urgent += len(line.faces) - line.urgent
        line.urgent = len(line.faces)

    def forget(self, session: S) -> list[F]:
        """What the session waits for is void, and given back."""
        line = self._lines.get(session)
        if line is None:
            return []
        gone = [waiting.face for waiting in line.faces]
        line.counts.forgotten += len(gone)
        line.faces.clear()
        self._waiting -= len(gone)
        self._urgent -= line.urgent
        line.urgent = 0
        return gone

    def due_in(self) -> float | None:
        """Seconds until the next batch starts: 0 for now, None while nothing waits."""
        if not self._waiting:
            return None
        if self._waiting >= self.batch or self._urgent:
            return 0.0
        oldest = min(line.faces[0].since for line in self._lines.values() if line.faces)
        return max(0.0, oldest + self._hold_s - self._clock())

    def next(self) -> list[tuple[S, F]]:
        """The batch that is due, at most `batch` faces, each session's in the order asked; [] when none is due."""
        if self.due_in() != 0.0:
            return []
        chosen: list[tuple[S, F]] = []
        while self._waiting and len(chosen) < self.batch:
            session, line = min(
                ((name, line) for name, line in self._lines.items() if line.faces),
                key=lambda entry: (entry[1].turn, entry[1].faces[0].since),
            )
            self._round = line.turn
            line.turn += 1
            chosen.append((session, line.faces.popleft().face))
            line.counts.started += 1
            self._waiting -= 1
            if line.urgent:
                line.urgent -= 1
                self._urgent -= 1
        return chosen
