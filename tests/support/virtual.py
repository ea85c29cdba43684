"""The stream in virtual time: the real clock on invented nanoseconds, the real framing, rebasing and FLV muxer.

A `Wire` is one connection of an rtmp sink without its network: what the muxer writes is read back tag by tag and
held against the counters, so that not one timestamp of a run goes unseen.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event
from typing import Any

import av
import numpy as np

from broadcaster.config import Aigc, Audio, Video
from broadcaster.media import AUDIO_RATE, EncodedPacket, pack_head
from broadcaster.playout.clock import ClockCounters, RealClock
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.packets import preamble
from sinks.packets import Muxer, PacketReader, Rebase
from sinks.rtmp import FLV_OPTIONS
from tests.support.flv import AUDIO, VIDEO, FlvReader, Tag

AAC_FRAME = 1024
GOP_S = 2
DAY_MS = 86_400_000


class VirtualTime:
    """Monotonic and wall time that pass only when somebody waits. `Inbox` is a queue that waits in it."""

    def __init__(self, wall_ns: int = 0) -> None:
        self.now_ns = 0
        self._wall_offset = wall_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self._wall_offset

    def inbox(self) -> Queue[Any]:
        time = self

        class Inbox(Queue[Any]):
            def get(self, block: bool = True, timeout: float | None = None) -> Any:
                # The clock comes back with what is left, so rounding to seconds and back loses nothing.
                time.now_ns += max(1, round((timeout or 0) * 1e9))
                raise Empty

            def get_nowait(self) -> Any:
                raise Empty

        return Inbox()


class Materials:
    """Real encoded packets, small ones, to be sent again and again under other timestamps."""

    def __init__(self, fps: int = 25) -> None:
        self.fps = fps
        encoder = Encoder(
            Video.model_validate({"width": 160, "height": 160, "fps": fps, "bitrate_kbps": 200, "encoder": "x264"}),
            Audio(),
            Aigc(),
        )
        grey = av.VideoFrame.from_ndarray(np.full((240, 160), 128, np.uint8), "yuv420p")
        pictures = [packet for tick in range(2) for packet in encoder.video.encode(grey, tick)]
        silence = np.zeros((2, 8 * AAC_FRAME), np.float32)
        self.key, self.inter = (packet.data for packet in pictures)
        self.sound = encoder.audio.encode(silence, 0)[-1].data
        self.preamble = preamble(encoder.format(), encoder.video.stream, encoder.audio.stream)
        encoder.close()

    def picture(self, tick: int, wall_ns: int = 0) -> EncodedPacket:
        key = tick % (GOP_S * self.fps) == 0
        return EncodedPacket("video", tick, 1, key, self.key if key else self.inter, wall_ns)

    def sounds(self, tick: int, wall_ns: int = 0) -> Iterator[EncodedPacket]:
        """The AAC frames that are complete at the end of `tick` and were not before, the encoder's delay included."""
        rate = AUDIO_RATE // self.fps
        for number in range(tick * rate // AAC_FRAME, (tick + 1) * rate // AAC_FRAME):
            yield EncodedPacket("audio", (number - 1) * AAC_FRAME, AAC_FRAME, True, self.sound, wall_ns)


@dataclass(frozen=True, slots=True)
class Fault:
    what: str
    tag: Tag
    expected_ms: float


class Wire:
    """One connection. `send` what the fan-out would, `close`, then `faults` must be empty."""

    def __init__(self, materials: Materials) -> None:
        self.fps = materials.fps
        self.faults: list[Fault] = []
        self.pictures = 0
        self.sounds = 0
        self.last_ms = -1
        self.first: dict[int, int] = {}
        """Time of the first tag of each kind."""
        self._expected: dict[int, deque[int]] = {VIDEO: deque(), AUDIO: deque()}
        pipe_out, self._pipe_in = os.pipe()
        os.write(self._pipe_in, materials.preamble)
        self._reader = PacketReader(pipe_out)
        self._pipe_out = pipe_out
        flv_out, flv_in = os.pipe()
        self._flv = flv_in
        self._thread = threading.Thread(target=self._read, args=(flv_out,), daemon=True)
        self._thread.start()
        self._muxer = Muxer(f"pipe:{flv_in}", "flv", self._reader, FLV_OPTIONS)
        self._rebase = Rebase(self.fps)
        self._first_tick: int | None = None
        self._batch = bytearray()

    def send(self, packet: EncodedPacket) -> None:
        if packet.kind == "video" and self._first_tick is None and packet.keyframe:
            self._first_tick = packet.pts
        self._batch += pack_head(packet) + packet.data
        if len(self._batch) > 16_384:
            self.flush()

    def flush(self) -> None:
        os.write(self._pipe_in, self._batch)
        self._batch.clear()
        for packet in self._reader.read() or []:
            pts = self._rebase.pts(packet)
            if pts is None:
                continue
            assert self._first_tick is not None
            # Expected from the channel's own counters, not from what the rebasing made of them.
            if packet.kind == "video":
                self._expected[VIDEO].append((packet.pts - self._first_tick) * 1000 * AUDIO_RATE // self.fps)
            else:
                self._expected[AUDIO].append(packet.pts * 1000 - self._first_tick * AUDIO_RATE * 1000 // self.fps)
            self._muxer.write(packet, pts)

    def close(self) -> None:
        if self._batch:
            self.flush()
        self._muxer.close()
        os.close(self._flv)
        self._thread.join()
        os.close(self._pipe_in)
        os.close(self._pipe_out)
        left = {kind: len(expected) for kind, expected in self._expected.items() if expected}
        assert not left, f"never written: {left}"

    def _read(self, fd: int) -> None:
        flv = FlvReader()
        while data := os.read(fd, 65_536):
            flv.write(data)
            for tag in flv.tags():
                if tag.kind in self._expected and not tag.config:
                    self._check(tag)
        os.close(fd)

    def _check(self, tag: Tag) -> None:
        expected = self._expected[tag.kind].popleft() / AUDIO_RATE
        if abs(tag.time_ms - expected) > 0.5:
            self.faults.append(Fault("not where the counters say", tag, expected))
        if tag.time_ms < self.last_ms:
            self.faults.append(Fault("goes back", tag, expected))
        self.last_ms = tag.time_ms
        self.first.setdefault(tag.kind, tag.time_ms)
        if tag.kind == VIDEO:
            if tag.key is not (self.pictures % (GOP_S * self.fps) == 0):
                self.faults.append(Fault("a key frame at the wrong place", tag, expected))
            self.pictures += 1
        else:
            self.sounds += 1


class TickSource:
    """The real clock on virtual time. `wall_ns` of each packet is the virtual wall clock."""

    def __init__(self, time: VirtualTime, fps: int, first_tick: int) -> None:
        self._time = time
        self._clock: RealClock[Any] = RealClock(fps, time.inbox(), first_tick, time.monotonic_ns)
        self._ticks = self._clock.ticks(Event(), lambda _: None)

    @property
    def counters(self) -> ClockCounters:
        return self._clock.counters

    def send(self, materials: Materials, wires: list[Wire], count: int) -> list[int]:
        """Sends the next `count` ticks down every wire; the numbers of the ticks."""
        numbers: list[int] = []
        for number, packets in self.packets(materials, count):
            for packet in packets:
                for wire in wires:
                    wire.send(packet)
            numbers.append(number)
        return numbers

    def packets(self, materials: Materials, count: int) -> Iterator[tuple[int, list[EncodedPacket]]]:
        """(number, packets in playout's order) of the next `count` ticks."""
        for tick in itertools.islice(self._ticks, count):
            wall = self._time.wall_ns()
            yield tick.number, [*materials.sounds(tick.number, wall), materials.picture(tick.number, wall)]


@contextmanager
def feed(materials: Materials, packets: Iterable[EncodedPacket]) -> Iterator[int]:
    """A pipe with the preamble and `packets` in it, written by a thread: what a sink child reads."""
    out, into = os.pipe()

    def write() -> None:
        with open(into, "wb", buffering=65_536) as pipe, suppress(BrokenPipeError):  # noqa: PTH123
            pipe.write(materials.preamble)
            for packet in packets:
                pipe.write(pack_head(packet) + packet.data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield out
    finally:
        os.close(out)
        writer.join()
