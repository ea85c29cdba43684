"""The thread that works an engine server's device: hears what the sessions say, batches their faces, hands them back.

One thread owns the generator, the shelf and the sessions' sound; the thread with the sockets (module `server`) brings
messages and takes faces away under one lock. What a session says is worked on in its order, and of each session only
so much at a time that one that talks without end delays the others by some milliseconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.batcher import BOUND, Batcher
from broadcaster.head.musetalk.faces import AHEAD, BEHIND, STEP
from broadcaster.head.musetalk.generator import Job
from broadcaster.head.musetalk.messages import (
    Ask,
    Begin,
    Failed,
    Flush,
    Hear,
    Lost,
    Made,
    Opened,
    Rewind,
    State,
    ToClient,
)
from broadcaster.head.musetalk.seat import About, Arrived, Meter, Said, Seat, Wish
from broadcaster.head.musetalk.shelf import Placed, Shelf
from broadcaster.head.musetalk.window import SoundWindow, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

_log = logging.getLogger(__name__)

POLL_S: Final = 0.002
"""How long the thread waits for pictures before it listens again."""

REST_S: Final = 1.0
"""How long it waits for anybody to say anything."""

SOUND_AT_ONCE: Final = 192_000
"""Bytes of one session's sound that are worked on before the others' turn: 2 s, some milliseconds."""

SAID: Final = 256
"""Messages of one session that wait to be worked on; with so many its socket is not read."""

PATIENCE_GPU_S: Final = 3.0
PATIENCE_CPU_S: Final = 300.0
"""How long a batch may take before the device is thought to hang; without a GPU one takes a minute or two."""


class Generator(Protocol):
    """What is needed of `generator.FaceGenerator`."""

    batch: int
    window: Window

    @property
    def room(self) -> bool: ...
    @property
    def in_flight(self) -> int: ...
    def hold(self, latents: NDArray[np.float16]) -> Any: ...
    def submit(self, jobs: Sequence[Job]) -> None: ...
    def take(self, timeout: float = ...) -> list[Image] | None: ...


class Workshop:
    """`hand(seat, message)` takes what goes to a session's client: called by the workshop's thread, must not wait."""

    def __init__(
        self, generator: Generator, about: About, limit: int, hand: Callable[[Seat, ToClient], None]
    ) -> None:
        self._generator = generator
        self._about = about
        self._patience_s = PATIENCE_CPU_S if about.device == "cpu" else PATIENCE_GPU_S
        self._shelf = Shelf(limit, generator.hold)
        self._hand = hand
        self._clock = time.monotonic
        self._lock = threading.Condition()
        self._batcher: Batcher[Seat, Wish] = Batcher(generator.batch, self._clock)
        self._seats: list[Seat] = []
        self._work: deque[tuple[float, list[tuple[Seat, Wish]]]] = deque()
        """Batches in the making, and when they were begun."""
        self._stopping = False
        self._broken: BaseException | None = None
        self._since = self._clock()
        self._batches = self._faces = 0
        self._rate, self._fill, self._time = Meter(), Meter(), Meter()
        self._thread = threading.Thread(target=self._run, name="workshop", daemon=True)

    # -- for the sockets' thread; nothing of it waits for the device

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begins no batch any more; what is in the making is handed back first."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def fault(self) -> HeadError | None:
        """Why nothing is made any more, if that is so."""
        with self._lock:
            stuck = self._clock() - self._work[0][0] if self._work else 0.0
        if self._broken is not None:
            return HeadError(f"the engine server failed: {self._broken}", retryable=True)
        if stuck > self._patience_s:
            return HeadError(f"a batch of faces is not ready after {stuck:.0f} s: the device hangs", retryable=True)
        return None

    def seat(self, channel: str, pid: int) -> Seat:
        """A place for a new session; `Arrived` opens it."""
        seat = Seat(channel, pid, SoundWindow(self._generator.window), self._clock())
        with self._lock:
            self._seats.append(seat)
            self._batcher.add(seat)
        return seat

    def tell(self, seat: Seat, said: Said) -> bool:
        """What the session says next. False when no more should be read of it for now."""
        with self._lock:
            if not seat.gone:
                seat.said.append(said)
                self._lock.notify_all()
            return len(seat.said) < SAID

    def sent(self, seat: Seat, faces: int) -> None:
        """So many faces are out of our hands."""
        with self._lock:
            seat.unsent -= faces

    def leave(self, seat: Seat) -> None:
        """The session is over."""
        with self._lock:
            seat.gone = True
            seat.said.clear()
            self._lock.notify_all()

    def state(self, refused: int) -> State:
        about, batch = self._about, self._generator.batch
        with self._lock:
            return State(
                device=about.device,
                version=about.version,
                decoder=about.decoder,
                note=about.note,
                batch=batch,
                uptime_s=self._clock() - self._since,
                sessions=[seat.state(self._clock()) for seat in self._seats if not seat.gone],
                avatars=len(self._shelf),
                latents_mb=self._shelf.nbytes / 1e6,
                latents_limit_mb=self._shelf.limit / 1e6,
                batches=self._batches,
                faces=self._faces,
                faces_per_s=self._rate.per_second,
                fill=self._fill.mean,
                batch_ms=1000 * self._time.mean,
                refused=refused,
            )

    # -- its own thread

    def _run(self) -> None:
        try:
            while not self._stopping or self._work:
                self._listen()
                with self._lock:
                    chosen = self._batcher.next() if self._generator.room and not self._stopping else []
                    if chosen:
                        self._work.append((self._clock(), chosen))
                if chosen:
                    self._generator.submit([wish.job for _, wish in chosen])
                elif self._work:
                    self._finish(self._generator.take(POLL_S))
                else:
                    self._rest()
        except BaseException as err:  # whatever it was, the server must know that nobody works any more
            self._broken = err

    def _rest(self) -> None:
        with self._lock:
            if not self._stopping and not any(seat.said or seat.gone for seat in self._seats):
                due = self._batcher.due_in()
                self._lock.wait(REST_S if due is None else due)

    def _listen(self) -> None:
        """Works on some of what each session has said."""
        with self._lock:
            seats = list(self._seats)
        for seat in seats:
            sound = 0
            for _ in range(SAID):
                said = self._next_of(seat) if sound < SOUND_AT_ONCE else None
                if said is None:
                    break
                sound += len(said.pcm) if isinstance(said, Hear) else 0
                try:
                    self._do(seat, said)
                except Exception as err:
                    _log.exception("a channel's message found a fault of the server")
                    self._fail(seat, "server", f"{type(err).__name__}: {err}")
            if seat.gone:
                self._dismiss(seat)

    def _next_of(self, seat: Seat) -> Said | None:
        with self._lock:
            return seat.said.popleft() if seat.said and not seat.gone else None

    def _dismiss(self, seat: Seat) -> None:
        with self._lock:
            seat.void += len(self._batcher.remove(seat))
            self._seats.remove(seat)
            if seat.placed is not None:
                self._shelf.give_back(seat.placed)
                seat.placed = None

    def _do(self, seat: Seat, said: Said) -> None:
        match said:
            case Arrived():
                self._open(seat, said)
            case _ if seat.placed is None:
                self._fail(seat, "client", "nothing can be asked for before an avatar is open")
            case Begin(number=number):
                self._begin(seat, number)
            case Hear(pcm=pcm):
                if len(pcm) % 2:
                    self._fail(seat, "client", "half a sample")
                else:
                    seat.sound.hear(pcm)
            case Rewind(sample=sample):
                seat.sound.rewind(max(0, sample))
            case Ask(wanted=wanted):
                self._ask(seat, seat.placed, wanted)
            case Flush():
                with self._lock:
                    self._batcher.flush(seat)

    def _open(self, seat: Seat, arrived: Arrived) -> None:
        if arrived.values is None:
            return self._fail(seat, "asset", arrived.problem)
        try:
            placed = self._shelf.take(arrived.digest, arrived.values)
        except AssetError as err:
            return self._fail(seat, "asset", str(err))
        except HeadError as err:
            return self._fail(seat, "busy", str(err))
        if placed is None:
            return self._fail(
                seat,
                "busy",
                f"its {arrived.values.nbytes / 1e6:.0f} MB of latents find no room beside those of the other avatars "
                f"in use (limit {self._shelf.limit / 1e6:.0f} MB) -> broadcaster head serve --latents-mb",
            )
        with self._lock:
            seat.placed = placed
            self._hand(seat, Opened(self._generator.batch, placed.rows, BOUND, self._patience_s))

    def _begin(self, seat: Seat, number: int) -> None:
        seat.sound.begin()
        with self._lock:
            gone = self._batcher.forget(seat)
            seat.number = number
            seat.owed -= len(gone)
            seat.void += len(gone)
            self._lose(seat, gone)

    def _ask(self, seat: Seat, placed: Placed, wanted: list[tuple[int, int, int]]) -> None:
        room = max(0, BOUND - seat.owed - seat.unsent)
        now, there = self._clock(), seat.sound.samples // STEP
        wishes = []
        for key, step, row in wanted[:room]:
            if not 0 <= row < placed.rows:
                return self._fail(seat, "client", f"row {row} of an avatar with {placed.rows}")
            # Further from the sound all steps look alike: zeros.
            near = min(max(step, -AHEAD), there + BEHIND)
            wishes.append(Wish(seat.number, key, Job(placed.held, row, seat.sound.heard(near)), now))
        with self._lock:
            if seat.gone:
                return
            seat.asked += len(wanted)
            seat.owed += len(wishes)
            self._batcher.ask(seat, wishes)
            if len(wanted) > room:
                seat.lost += len(wanted) - room
                self._hand(seat, Lost(seat.number, [key for key, _, _ in wanted[room:]]))

    def _finish(self, pictures: Sequence[Image] | None) -> None:
        if pictures is None:
            return
        with self._lock:
            began, chosen = self._work.popleft()
            now = self._clock()
            self._batches += 1
            self._faces += len(chosen)
            self._rate.add(now, 0.0, len(chosen))
            self._fill.add(now, len(chosen) / self._generator.batch)
            self._time.add(now, now - began)
            made: dict[Seat, list[tuple[Wish, Image]]] = {}
            for (seat, wish), picture in zip(chosen, pictures, strict=True):
                made.setdefault(seat, []).append((wish, picture))
            for seat, own in made.items():
                self._hand_back(seat, own, now)

    def _hand_back(self, seat: Seat, made: list[tuple[Wish, Image]], now: float) -> None:
        seat.owed -= len(made)
        valid = [(wish, picture) for wish, picture in made if wish.number == seat.number]
        seat.void += len(made) - len(valid)
        if seat.gone:
            return
        self._lose(seat, [wish for wish, _ in made if wish.number != seat.number])
        if valid:
            seat.made += len(valid)
            seat.unsent += len(valid)
            for wish, _ in valid:
                seat.wait.add(now, now - wish.since)
            pixels = b"".join(picture.data for _, picture in valid)
            self._hand(seat, Made(seat.number, [wish.key for wish, _ in valid], pixels))

    def _lose(self, seat: Seat, wishes: Sequence[Wish]) -> None:
        for number, group in groupby(wishes, key=lambda wish: wish.number):
            self._hand(seat, Lost(number, [wish.key for wish in group]))

    def _fail(self, seat: Seat, fault: str, reason: str) -> None:
        self._hand(seat, Failed(fault, reason))
        self.leave(seat)
