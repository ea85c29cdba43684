"""A test card on a preview socket: real H.264 and AAC through the real preview sink, in threads of the test.

Each picture carries its tick number as 16 black or white bars, so that a page can be asked what it really shows.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from broadcaster.media import FORMAT, TEMPLATES, EncodedPacket, StreamFormat, pack_blob, pack_head
from broadcaster.redact import Redactor
from sinks.packets import PacketReader
from sinks.preview import PreviewSink
from sinks.report import Report

WIDTH, HEIGHT, FPS, GOP = 320, 180, 25, 50
BITS = 16
BAR = WIDTH // BITS
GLOBAL_HEADER = 1 << 22


class TestCard:
    """`start` puts a new stream (from timestamp 0) on `path`, `stop` ends it as a sink child's death would."""

    __test__ = False

    def __init__(self, path: Path, *, width: int = WIDTH, height: int = HEIGHT, speed: int = 1) -> None:
        self._path = path
        self._width = width
        self._height = height
        self._speed = speed
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._first = 0
        self.tick = 0
        """Number of the newest picture that left the encoder."""

    def start(self) -> None:
        self._stop = threading.Event()
        reading, writing = os.pipe()
        ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._encode, args=(writing, self._stop)),
            threading.Thread(target=self._serve, args=(reading, ready, self._stop)),
        ]
        for thread in self._threads:
            thread.start()
        assert ready.wait(10), "the preview sink did not listen"

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def __enter__(self) -> TestCard:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, reading: int, ready: threading.Event, stop: threading.Event) -> None:
        null = os.open(os.devnull, os.O_WRONLY)

        class Told(Report):
            def __call__(self, event: str) -> None:
                if event == "live":
                    ready.set()

        try:
            reader = PacketReader(reading)
            PreviewSink({"socket": str(self._path)}, Told(null, Redactor([]))).run(reader, stop)
        finally:
            os.close(null)
            os.close(reading)
            self._path.unlink(missing_ok=True)

    def _encode(self, writing: int, stop: threading.Event) -> None:
        video, audio = self._encoders()
        form = StreamFormat(
            self._width, self._height, FPS, bytes(video.extradata), bytes(audio.extradata), 300_000, 64_000, {}
        )
        os.write(writing, pack_blob(FORMAT, form.to_json()) + pack_blob(TEMPLATES, b"unused"))
        begun = time.monotonic()
        tick = 0
        try:
            while not stop.is_set():
                for packet in (*self._sound(audio, tick), *self._picture(video, tick)):
                    os.write(writing, pack_head(packet) + packet.data)
                self.tick = self._first + tick
                tick += 1
                time.sleep(max(0.0, begun + tick / (FPS * self._speed) - time.monotonic()))
        except BrokenPipeError:
            pass  # the sink ended first
        finally:
            os.close(writing)
            self._first += tick

    def _encoders(self) -> tuple[Any, Any]:
        video: Any = av.CodecContext.create("libx264", "w")
        video.width, video.height, video.pix_fmt = self._width, self._height, "yuv420p"
        video.framerate, video.gop_size, video.thread_count = FPS, GOP, 1
        video.flags |= GLOBAL_HEADER
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28", "x264-params": "scenecut=0"}
        audio: Any = av.CodecContext.create("aac", "w")
        audio.sample_rate, audio.layout, audio.format = 48_000, "stereo", "fltp"
        audio.flags |= GLOBAL_HEADER
        video.open()
        audio.open()
        return video, audio

    def _picture(self, video: Any, tick: int) -> list[EncodedPacket]:
        luma = np.full((self._height, self._width), 90, np.uint8)
        number = self._first + tick
        bar = self._width // BITS
        for bit in range(BITS):
            luma[: self._height // 3, bit * bar : (bit + 1) * bar] = 235 if number >> bit & 1 else 16
        sweep = tick * 4 % self._width
        luma[self._height // 2 :, sweep : sweep + 12] = 220
        planes = np.full((self._height * 3 // 2, self._width), 128, np.uint8)
        planes[: self._height] = luma
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = tick
        return [
            EncodedPacket("video", packet.pts, 1, packet.is_keyframe, bytes(packet), time.time_ns())
            for packet in video.encode(frame)
        ]

    def _sound(self, audio: Any, tick: int) -> list[EncodedPacket]:
        per_tick = 48_000 // FPS
        at = np.arange(tick * per_tick, (tick + 1) * per_tick)
        tone = (0.1 * np.sin(2 * np.pi * 440 / 48_000 * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        frame.pts = tick * per_tick
        return [
            EncodedPacket("audio", packet.pts, 1024, True, bytes(packet), time.time_ns())
            for packet in audio.encode(frame)
            if packet.pts is not None and packet.pts >= 0
        ]
