"""The tick loop: the whole idea of the program. Runs in playout's main thread, on its own.

Every tick has one picture and exactly one tick of sound, whatever happens upstream. An overrun shows the last
picture again; an encoder that fails is replaced; PTS go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Generic, Protocol, TypeVar

import av

from broadcaster.errors import EncoderError
from broadcaster.playout.clock import Clock, Tick
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.packets import EncodedPacket
from broadcaster.playout.talk import Talk
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.mixer import Mixer
from broadcaster.telemetry.timing import Timing
from broadcaster.types import samples_at

log = logging.getLogger(__name__)

M = TypeVar("M")


class PacketSink(Protocol):
    """Where encoded packets go. `put` must not block on air; `restart` follows a new video encoder."""

    def put(self, packet: EncodedPacket) -> None: ...


class TickLoop(Generic[M]):
    def __init__(
        self,
        clock: Clock[M],
        talk: Talk,
        compositor: Compositor,
        mixer: Mixer,
        encoder: Encoder,
        packets: PacketSink,
        on_new_encoder: Callable[[], None],
        fps: int,
    ) -> None:
        self.tick = 0
        self.timing = Timing()
        self._clock = clock
        self._talk = talk
        self._compositor = compositor
        self._mixer = mixer
        self._encoder = encoder
        self._packets = packets
        self._on_new_encoder = on_new_encoder
        self._fps = fps
        self._last: av.VideoFrame | None = None

    def run(self, stop: Event, on_message: Callable[[M], None], after_tick: Callable[[Tick], None]) -> None:
        for tick in self._clock.ticks(stop, on_message):
            started = time.monotonic_ns()
            self._one(tick)
            self.tick = tick.number
            self.timing.add(time.monotonic_ns() - started, tick.lateness_ns)
            after_tick(tick)

    def _one(self, tick: Tick) -> None:
        n = tick.number
        mouth = self._talk.pull(n)
        sound = self._mixer.mix(n, self._talk.take(n))
        if tick.hold and self._last is not None:
            frame = self._last
        elif mouth is None:
            frame = self._compositor.compose(n)
        else:
            frame = self._compositor.compose(n, mouth.patch, mouth.gain)
        self._last = frame
        for packet in self._encoder.audio.encode(sound, samples_at(n, self._fps)):
            self._packets.put(packet)
        for packet in self._encode(frame, n):
            self._packets.put(packet)

    def _encode(self, frame: av.VideoFrame, n: int) -> list[EncodedPacket]:
        try:
            return self._encoder.video.encode(frame, n)
        except EncoderError as err:
            log.error("the video encoder failed and is replaced", extra={"error": str(err)})
        self._encoder.replace_video()
        self._on_new_encoder()
        return self._encoder.video.encode(frame, n)
