"""Off-line playout for `render`: the same tick loop under a clock that waits for voice and head.

Runs in the thread that calls `run`. Speech is fed by another thread through `feed`; the head connects to the same
socket as on air. Given the same speech, the decoded frames are the same on one machine.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from broadcaster.config import Config
from broadcaster.errors import RenderError
from broadcaster.paths import Paths
from broadcaster.playout import links
from broadcaster.playout.clock import RenderClock, Tick
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.filewriter import FileWriter
from broadcaster.playout.process import to_mouth_patch
from broadcaster.playout.talk import Talk
from broadcaster.playout.tickloop import TickLoop
from broadcaster.ports import AvatarPack
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import draw_label
from broadcaster.studio.mixer import Mixer
from broadcaster.wire import Aired, End, HeadStatus, Patch, Speak, Welcome

STALL_S = 120.0
"""No tick for this long: voice or head will not deliver any more, and the render is given up."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Show the idle picture for this many ticks."""

    ticks: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more is fed."""


Fed = Speak | End | Idle | Finish


class OfflinePlayout:
    """`on_aired` is called in the thread of `run`."""

    def __init__(
        self, config: Config, paths: Paths, avatar: AvatarPack, out: Path, on_aired: Callable[[Aired], None]
    ) -> None:
        video, label = config.video, config.label
        self.fps = video.fps
        # With VBV and more than one thread x264 makes other bits in every run.
        repeatable = video.model_copy(update={"encoder": "x264", "threads": 1})
        self._encoder = Encoder(repeatable, config.audio, config.aigc)
        self._writer = FileWriter(out, self._encoder, video.fps)
        self._width, self._height = video.width, video.height
        self._loop_frames = avatar.loop_frames
        self._inbox: Queue[links.Event | Fed] = Queue(links.INBOX)
        self._links = links.Links(paths.playout_socket, self._inbox)  # type: ignore[arg-type]
        self._clock = RenderClock(self._inbox, self._ready, self._finished)
        self._talk = Talk(video.fps, avatar.loop_frames, self._links.to_head, on_aired)
        overlay = draw_label(label.text, label.corner, label.height_percent, video.width, video.height)
        self._loop: TickLoop[links.Event | Fed] = TickLoop(
            self._clock,
            self._talk,
            Compositor(avatar, overlay),
            Mixer(video.fps),
            self._encoder,
            self._writer,
            lambda: None,
            video.fps,
        )
        self._head_here = False
        self._idle_left = 0
        self._fed: deque[Fed] = deque()
        self._finish = False
        self._failed: RenderError | None = None

    def feed(self, item: Fed) -> None:
        self._inbox.put(item)

    def fail(self, error: RenderError) -> None:
        """Called by the feeding thread when it cannot go on: `run` raises it."""
        self._failed = error

    def run(self, on_tick: Callable[[int], None]) -> int:
        """Returns the number of ticks written. Raises RenderError when an input fails or stops coming."""
        stop = threading.Event()
        watch = _Watch(stop)
        self._links.start()

        def after(tick: Tick) -> None:
            watch.seen()
            if self._idle_left and not self._talk.busy and not self._talk.closing:
                self._idle_left -= 1
            on_tick(tick.number)

        watch.start()
        try:
            self._loop.run(stop, self._on_event, after)
        finally:
            watch.end()
            self._links.close()
            self._writer.close()
            self._encoder.close()
        if self._failed is not None:
            raise self._failed
        if watch.stalled:
            raise RenderError(
                f"nothing came from voice or head for {STALL_S:.0f} s after tick {self._loop.tick}; "
                "look at the messages above, or run `broadcaster doctor`"
            )
        return self._loop.tick + 1

    def _ready(self, tick: int) -> bool:
        if not self._head_here:
            return False
        self._advance()
        if self._talk.busy or self._talk.closing:
            return self._talk.ready(tick)
        return self._idle_left > 0

    def _advance(self) -> None:
        """Takes what was fed, in order: what follows an Idle waits until it has been shown."""
        while self._fed and self._idle_left == 0:
            item = self._fed[0]
            if isinstance(item, Idle | Finish) and (self._talk.busy or self._talk.closing):
                return
            self._fed.popleft()
            match item:
                case Speak() | End():
                    self._talk.handle(item, self._clock.until_next_ns())
                case Idle(ticks):
                    self._idle_left = ticks
                case Finish():
                    self._finish = True

    def _finished(self) -> bool:
        done = self._finish and not self._talk.busy and not self._talk.closing and self._idle_left == 0
        return done or self._failed is not None

    def _on_event(self, event: links.Event | Fed) -> None:
        match event:
            case Speak() | End() | Idle() | Finish():
                self._fed.append(event)
            case links.Arrived(peer):
                self._links.welcome(peer, Welcome(self._loop.tick, self.fps, self._loop_frames, 0))
                self._talk.head_changed(peer.hello.lead_ticks)
                self._head_here = True
            case links.Left():
                self._failed = self._failed or RenderError("the talking head ended in the middle of the render")
            case links.Said(_, message) if isinstance(message, Patch):
                self._talk.patch(to_mouth_patch(message, self._width, self._height))
            case links.Said(_, HeadStatus(degraded=True, note=note)):
                self._failed = self._failed or RenderError(f"the talking head failed: {note}")
            case _:
                pass  # the head is well


class _Watch:
    """Sets `stop` when no tick has been seen for STALL_S. A thread of its own."""

    def __init__(self, stop: threading.Event) -> None:
        self.stalled = False
        self._stop = stop
        self._tick = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def seen(self) -> None:
        self._tick.set()

    def end(self) -> None:
        self._ended = True
        self._tick.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended:
            if not self._tick.wait(STALL_S):
                self.stalled = True
                self._stop.set()
                return
            self._tick.clear()
