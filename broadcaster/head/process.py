"""The head process: speech in, mouth patches out. One thread: it looks for messages between any two pictures.

`run_head` is its entry. It connects to playout, and connects again when playout has been restarted. An engine that
cannot be loaded, fails at work or falls behind steps down (`stepped.SteppedHead`); the last of its stand-ins keeps
the mouth shut, so that sound and picture go on in any case.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Final

from broadcaster.errors import HeadError, WireError
from broadcaster.head.desk import Desk
from broadcaster.head.engines import DEFAULT, make_engine
from broadcaster.head.stepped import SteppedHead
from broadcaster.types import MouthPatch
from broadcaster.wire import (
    Anchor,
    AnyMessage,
    Connection,
    Cut,
    End,
    HeadStatus,
    Hello,
    Patch,
    Speak,
    Trim,
    Welcome,
    Window,
)

if TYPE_CHECKING:
    from pathlib import Path

    from broadcaster.config import HeadConfig
    from broadcaster.paths import Paths
    from broadcaster.ports import FacePack

_log = logging.getLogger(__name__)

RETRY_S: Final = 0.1
"""Pause between two tries to reach playout, which may be starting."""

PEER_TIMEOUT_S: Final = 5.0
"""A playout that neither reads nor finishes a message for this long is taken for dead."""

IDLE_S: Final = 0.2
"""Longest wait for a message before looking at `stop` and the beat."""

Report = Callable[[int, bool, str], None]


def run_head(
    config: HeadConfig, paths: Paths, avatar: FacePack, beat: Report, stop: Event, *, patient: bool = False
) -> None:
    """Serves playout until `stop` is set. `beat` gets (progress, ready, note) once a second.

    `patient`: nothing begins before the engine is loaded, for a channel off line.

    Raises HeadError when playout's idle loop is not this avatar's, ConfigError for an unknown engine.
    """
    head = _Head(config, paths.models, avatar, beat, stop)
    head.load(patient)
    while not stop.is_set():
        connection = _connect(paths)
        if connection is None:
            head.alive("waiting for playout")
            stop.wait(RETRY_S)
            continue
        try:
            head.serve(connection)
        except (OSError, WireError) as err:
            _log.warning("the connection to playout was lost", extra={"error": str(err)})
        finally:
            connection.close()


def _connect(paths: Paths) -> Connection | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PEER_TIMEOUT_S)
    try:
        sock.connect(str(paths.playout_socket))
    except OSError:
        sock.close()
        return None
    return Connection(sock)


class _Head:
    def __init__(self, config: HeadConfig, models: Path, avatar: FacePack, beat: Report, stop: Event) -> None:
        self._avatar = avatar
        self._beat = beat
        self.stop = stop
        self._progress = 0
        self._next_beat = 0.0
        self.rendered = 0
        self.skipped = 0
        self.engine = SteppedHead(config.engine or DEFAULT, lambda name: make_engine(name, config, models))

    def load(self, patient: bool) -> None:
        self._beat(self._progress, False, f"loading {self.engine.name}")
        self.engine.load(self._avatar, wait=patient)

    def alive(self, note: str = "") -> None:
        """Beats if a second has passed since the last beat."""
        self._progress += 1
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + 1.0
            self._beat(self._progress, True, note or self.engine.note)

    def serve(self, connection: Connection) -> None:
        """Talks to one playout until it closes or `stop` is set. Raises OSError, WireError, HeadError."""
        engine = self.engine
        connection.send(Hello(role="head", engine=engine.name, ready=True, lead_ticks=engine.lead_ticks))
        welcome = connection.receive()
        if not isinstance(welcome, Welcome):
            raise WireError("playout did not answer with a welcome")
        if (welcome.fps, welcome.loop_frames) != (self._avatar.fps, self._avatar.loop_frames):
            raise HeadError(
                f"playout shows {welcome.loop_frames} base frames at {welcome.fps} fps, this head has "
                f"{self._avatar.loop_frames} at {self._avatar.fps}: restart the channel so that both load one avatar",
                retryable=False,
            )
        _log.info("connected to playout", extra={"engine": engine.name})
        desk = Desk(welcome.fps, engine.lead_ticks)
        try:
            _Shift(self, connection, desk).run()
        finally:
            self.skipped += desk.skipped


class _Shift:
    """The work for one connection to playout."""

    def __init__(self, head: _Head, connection: Connection, desk: Desk) -> None:
        self._head = head
        self._connection = connection
        self._desk = desk
        self._frames: Iterator[MouthPatch] | None = None
        self._fresh = False
        """`_frames` has not given anything yet."""
        self._starved = False
        """Nothing can be rendered before another message comes."""
        self._skipped = 0
        self._told: tuple[str, str, bool] | None = None
        self._spent = 0.0
        self._done = 0
        self._since = time.monotonic()

    def run(self) -> None:
        try:
            self._work()
        except HeadError:
            self._report()
            raise

    def _work(self) -> None:
        self._report()
        while not self._head.stop.is_set():
            self._head.alive()
            work = None if self._starved else self._desk.work()
            self._keep_up(self._starved)
            if work is None:
                self._look_after(self._head.engine)
            if not self._readable(0.0 if work else IDLE_S):
                if work:
                    self._render(*work)
            else:
                message = self._connection.receive()
                if message is None:
                    _log.info("playout closed the connection")
                    return
                self._take(message)
            if (self._done and time.monotonic() - self._since >= 1.0) or self._head.engine.state != self._told:
                self._report()

    def _readable(self, timeout: float) -> bool:
        return bool(select.select([self._connection], [], [], timeout)[0])

    def _take(self, message: AnyMessage) -> None:
        starved, self._starved = self._starved, False
        expected = self._desk.work()
        match message:
            case Speak():
                self._desk.speak(message)
            case End():
                self._desk.end(message)
            case Window():
                self._desk.window(message)
            case Trim():
                self._desk.seen_ahead = self._head.engine.seen_ahead
                self._desk.trim(message)
                self._frames = None  # what it holds ready may show what is gone
            case Cut():
                self._desk.cut(message)
            case Anchor():
                if self._desk.anchor(message) is not None:
                    self._begin()
            case _:
                raise WireError(f"playout sent a {type(message).__name__} to the head")
        now = self._desk.work()
        if now is None or expected is None or now[0] != expected[0]:
            self._frames = None
        self._keep_up(starved)

    @staticmethod
    def _look_after(engine: SteppedHead) -> None:
        engine.idle()
        if engine.worn:
            raise HeadError(f"the head starts anew: what is wrong may stay with its process ({engine.note})")

    def _keep_up(self, starved: bool) -> None:
        """Tells the engine of pictures that were skipped, unless it was the speech that was late."""
        late, self._skipped = self._desk.skipped - self._skipped, self._desk.skipped
        if late and not starved:
            self._head.engine.late(late)

    def _begin(self) -> None:
        self._frames = None
        spoken = self._desk.spoken
        if spoken is not None:
            line = spoken.line
            self._head.engine.begin(line.generation, line.epoch, spoken.track, line.first_tick, line.first_sample)

    def _render(self, first: int, last: int) -> None:
        """One picture, or none if the speech is not known that far."""
        began = time.perf_counter()
        if self._frames is None:
            self._frames, self._fresh = self._head.engine.render(first, last), True
        patch = next(self._frames, None)
        if patch is None:
            self._frames, self._starved = None, self._fresh
            return
        self._fresh = False
        self._spent += time.perf_counter() - began
        self._done += 1
        self._head.rendered += 1
        box = patch.box
        self._connection.send(
            Patch(
                generation=patch.generation,
                epoch=patch.epoch,
                tick=patch.tick,
                base=patch.base,
                box=(box.x, box.y, box.width, box.height),
                planes=patch.planes,
            )
        )
        self._desk.rendered(patch.tick)

    def _report(self) -> None:
        head = self._head
        self._told = head.engine.state
        status = HeadStatus(
            engine=head.engine.name,
            degraded=head.engine.degraded,
            rendered=head.rendered,
            skipped=head.skipped + self._desk.skipped,
            render_ms=1000 * self._spent / self._done if self._done else 0.0,
            note=head.engine.note,
            step=head.engine.step,
            counts=head.engine.counts,
        )
        self._connection.send(status)
        self._spent, self._done, self._since = 0.0, 0, time.monotonic()
