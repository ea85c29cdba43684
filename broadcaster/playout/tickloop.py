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
import numpy as np
from numpy.typing import NDArray

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
        self.faults = 0
        """Messages and ticks that raised: each is a bug, logged with its trace; the air went on."""
        self.timing = Timing()
        self._clock = clock
        self._talk = talk
        self.compositor = compositor
        self._mixer = mixer
        self._encoder = encoder
        self._packets = packets
        self._on_new_encoder = on_new_encoder
        self._fps = fps
        self._last: av.VideoFrame | None = None

    def run(self, stop: Event, on_message: Callable[[M], None], after_tick: Callable[[Tick], None]) -> None:
        for tick in self._clock.ticks(stop, self._guarded(on_message)):
            started = time.monotonic_ns()
            self._one(tick)
            self.tick = tick.number
            self.timing.add(time.monotonic_ns() - started, tick.lateness_ns)
            after_tick(tick)

    def _one(self, tick: Tick) -> None:
        n = tick.number
        try:
            frame, sound = self._compose(tick)
        except Exception:
            # Whatever a peer has sent or a bug has left in the talk state must not darken the picture.
            log.exception("a tick could not be composed: idle picture, speech dropped", extra={"tick": n})
            self.faults += 1
            self._talk.reset()
            frame, sound = self.compositor.compose(n), self._mixer.mix(n, None)
        self._last = frame
        for packet in self._encoder.audio.encode(sound, samples_at(n, self._fps)):
            self._packets.put(packet)
        for packet in self._encode(frame, n):
            self._packets.put(packet)

    def _compose(self, tick: Tick) -> tuple[av.VideoFrame, NDArray[np.float32]]:
        n = tick.number
        mouth = self._talk.pull(n)
        sound = self._mixer.mix(n, self._talk.take(n))
        if tick.hold and self._last is not None:
            return self._last, sound
        if mouth is None:
            return self.compositor.compose(n), sound
        return self.compositor.compose(n, mouth.patch, mouth.gain), sound

    def _guarded(self, on_message: Callable[[M], None]) -> Callable[[M], None]:
        def handle(message: M) -> None:
            try:
                on_message(message)
            except Exception:
                log.exception("a message could not be handled", extra={"kind": type(message).__name__})
                self.faults += 1

        return handle

    def _encode(self, frame: av.VideoFrame, n: int) -> list[EncodedPacket]:
        try:
            return self._encoder.video.encode(frame, n)
        except EncoderError as err:
            log.error("the video encoder failed and is replaced", extra={"error": str(err)})
        self._encoder.replace_video()
        self._on_new_encoder()
        return self._encoder.video.encode(frame, n)
