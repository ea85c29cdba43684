"""The playout process: config in, pictures out. Its main thread is the tick thread; no asyncio here.

Threads: tick (main), links (accept + two per peer), sinks (one for all sink children). The tick thread owns the
talk state; everything that reaches it comes through one bounded inbox.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Queue

from broadcaster.config import Config
from broadcaster.errors import WireError
from broadcaster.paths import Paths
from broadcaster.playout import links
from broadcaster.playout.clock import RealClock, Tick
from broadcaster.playout.encoder import Encoder, identified
from broadcaster.playout.fanout import Fanout
from broadcaster.playout.packages import Packages
from broadcaster.playout.priority import wake_promptly
from broadcaster.playout.sinkset import SinkSet
from broadcaster.playout.status import playout_status
from broadcaster.playout.talk import Talk
from broadcaster.playout.tickloop import TickLoop
from broadcaster.ports import AvatarPack
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import draw_label
from broadcaster.studio.mixer import Mixer
from broadcaster.supervisor.sink import SinkEdge
from broadcaster.types import MouthBox, MouthPatch
from broadcaster.wire import (
    AnyMessage,
    Cut,
    End,
    HeadStatus,
    Panic,
    Patch,
    Speak,
    Trim,
    Welcome,
)

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""The tick thread gets the interpreter back within this when another thread is computing."""

Beat = Callable[[int, bool, str], None]


def run_playout(config: Config, paths: Paths, avatar: AvatarPack, beat: Beat, stop: threading.Event) -> None:
    """Runs until `stop`. `beat(progress, ready, note)` is called about once a second with the tick number.

    Raises ConfigError for a label that does not fit and EncoderError when no encoder opens.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if not wake_promptly():
        log.info("this kernel has no time slices to choose; ticks may be some ms later while the voice works")
    playout = Playout(config, paths, avatar, beat)
    gc.collect()
    gc.freeze()
    try:
        playout.run(stop)
    finally:
        playout.close()


class Playout:
    def __init__(self, config: Config, paths: Paths, avatar: AvatarPack, beat: Beat) -> None:
        video, label = config.video, config.label
        fps = video.fps
        self._beat = beat
        self._fps = fps
        self._width, self._height = video.width, video.height
        self._loop_frames = avatar.loop_frames
        self._started = time.monotonic()
        self._head: HeadStatus | None = None
        inbox: Queue[links.Event] = Queue(links.INBOX)
        self._fanout = Fanout()
        self._sinks = SinkSet(
            self._fanout, paths, config.sinks, idle=lambda: not self._talk.busy, edge=self._on_sink_edge
        )
        self._links = links.Links(paths.playout_socket, inbox, self._sinks.command)
        self._clock: RealClock[links.Event] = RealClock(fps, inbox)
        tell = self._links.to_director
        self._talk = Talk(fps, avatar.loop_frames, self._links.to_head, tell, Packages(fps, tell))
        run = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._encoder = Encoder(video, config.audio, identified(config.aigc, config.channel, run))
        overlay = draw_label(label.text, label.corner, label.height_percent, video.width, video.height)
        self._loop: TickLoop[links.Event] = TickLoop(
            self._clock,
            self._talk,
            Compositor(avatar, overlay),
            Mixer(fps),
            self._encoder,
            self._fanout,
            self._open_sinks,
            fps,
        )

    def run(self, stop: threading.Event) -> None:
        self._links.start()
        self._open_sinks()
        self._sinks.start()
        log.info("on air", extra={"encoder": self._encoder.video.name, "fps": self._fps})
        self._loop.run(stop, self._on_event, self._after_tick)

    def close(self) -> None:
        self._sinks.stop()
        self._links.close()
        self._encoder.close()
        self._fanout.close()

    def _open_sinks(self) -> None:
        encoder = self._encoder
        self._fanout.start(encoder.format(), encoder.video.stream, encoder.audio.stream)

    def _after_tick(self, tick: Tick) -> None:
        if tick.number % self._fps:
            return
        status = playout_status(
            self._loop,
            self._clock.counters,
            self._talk,
            self._encoder,
            self._head,
            self._sinks.statuses,
            self._fps,
            time.monotonic() - self._started,
        )
        self._links.to_director(status)
        self._beat(tick.number, True, f"tick {tick.number}")

    def _on_sink_edge(self, sink: str, edge: SinkEdge, detail: str) -> None:
        """In the sinks' thread. The alarms themselves are the director's, who sees the same in the status."""
        log.warning("a sink changed for long", extra={"sink": sink, "edge": edge.value, "detail": detail})

    def _on_event(self, event: links.Event) -> None:
        match event:
            case links.Arrived(peer):
                self._on_arrival(peer)
            case links.Left(peer):
                if self._links.forget(peer) and peer.role == "head":
                    log.warning("the head is gone: sound goes on with the base mouth")
                    self._talk.head_changed(None)
                    self._head = None
            case links.Said(peer, message):
                try:
                    self._on_message(peer, message)
                except WireError as err:
                    log.warning("a peer broke the rules and is disconnected", extra={"role": peer.role, "error": err})
                    peer.drop()

    def _on_arrival(self, peer: links.Peer) -> None:
        tick, generation = self._loop.tick, self._talk.generation
        self._links.welcome(peer, Welcome(tick, self._fps, self._loop_frames, generation))
        if peer.role == "head":
            log.info("a head is here", extra={"engine": peer.hello.engine})
            self._talk.head_changed(peer.hello.lead_ticks)

    def _on_message(self, peer: links.Peer, message: AnyMessage) -> None:
        match message:
            case Patch():
                self._talk.patch(to_mouth_patch(message, self._width, self._height))
            case Speak() | End() | Trim() | Cut():
                self._talk.handle(message, self._clock.until_next_ns())
            case Panic(on, generation):
                self._talk.panic(on, generation)
            case HeadStatus():
                self._head = message
            case _:
                log.warning("an unexpected message", extra={"role": peer.role, "kind": type(message).__name__})


def to_mouth_patch(message: Patch, width: int, height: int) -> MouthPatch:
    """Raises WireError for a patch that does not fit a picture of width x height."""
    x, y, across, down = message.box
    inside = 0 <= x and 0 <= y and 0 < across and 0 < down and x + across <= width and y + down <= height
    if not inside or (x | y | across | down) % 2 or len(message.planes) != across * down * 3 // 2:
        raise WireError(f"the head sent {len(message.planes)} bytes for the box {message.box}")
    box = MouthBox(x, y, across, down)
    return MouthPatch(message.generation, message.epoch, message.tick, message.base, box, message.planes)
