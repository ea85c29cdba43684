"""A real H.264 and AAC stream, encoded once and replayed for ever as the encoder would hand it to the fan-out.

320x180 at 25 fps, key frame every 2 s; a flash of 2 ticks and a 1 kHz beep of 80 ms at the start of every second.
The recording is 8 s long because that is a whole number of GOPs and of AAC frames (375).
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from broadcaster.media import EncodedPacket, StreamFormat

FPS = 25
RATE = 48_000
TICKS = 200
FLASH_TICKS = 2
SAMPLES_PER_TICK = RATE // FPS
GLOBAL_HEADER = 1 << 22
AIGC = '{"Label":"1","ContentProducer":"tests"}'


@dataclass(frozen=True)
class Recording:
    master: OutputContainer
    video: VideoStream
    audio: AudioStream
    format: StreamFormat
    packets: tuple[EncodedPacket, ...]
    """In the order in which an encoder emits them: of each tick first the sound, then the picture."""


def recording(bitrate: int = 400_000) -> Recording:
    return _recorded(bitrate)


@functools.cache
def _recorded(bitrate: int) -> Recording:
    master = av.open("/dev/null", "w", format="null")
    video = master.add_stream("libx264", rate=FPS)
    assert isinstance(video, VideoStream)
    video.width, video.height, video.pix_fmt, video.bit_rate = 320, 180, "yuv420p", bitrate
    video.codec_context.gop_size = 50
    video.codec_context.flags |= GLOBAL_HEADER
    kbps = str(bitrate // 1000)
    video.options = {
        "preset": "ultrafast", "tune": "zerolatency", "bf": "0", "sc_threshold": "0", "threads": "1",
        "x264-params": f"keyint=50:min-keyint=50:vbv-maxrate={kbps}:vbv-bufsize={kbps}:nal-hrd=cbr:force-cfr=1",
    }  # fmt: skip
    audio = master.add_stream("aac", rate=RATE)
    assert isinstance(audio, AudioStream)
    audio.layout, audio.bit_rate = "stereo", 128_000
    audio.codec_context.flags |= GLOBAL_HEADER
    master.start_encoding()
    packets = list(_encode(video, audio))
    form = StreamFormat(
        width=320, height=180, fps=FPS,
        video_extradata=bytes(video.codec_context.extradata or b""),
        audio_extradata=bytes(audio.codec_context.extradata or b""),
        video_bitrate=bitrate, audio_bitrate=128_000, metadata={"AIGC": AIGC},
    )  # fmt: skip
    return Recording(master, video, audio, form, tuple(packets))


def _encode(video: VideoStream, audio: AudioStream) -> Iterator[EncodedPacket]:
    wave = np.sin(2 * np.pi * 1000 * np.arange(SAMPLES_PER_TICK) / RATE).astype(np.float32) * 0.5
    for tick in range(TICKS + 5):
        on = tick % FPS < FLASH_TICKS
        block = np.stack([wave, wave]) if on else np.zeros((2, SAMPLES_PER_TICK), np.float32)
        sound = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
        sound.pts, sound.sample_rate, sound.time_base = tick * SAMPLES_PER_TICK, RATE, Fraction(1, RATE)
        for packet in audio.encode(sound):
            assert packet.pts is not None
            if packet.pts < TICKS * SAMPLES_PER_TICK:
                yield EncodedPacket("audio", packet.pts, 1024, True, bytes(packet), 0)
        if tick >= TICKS:
            continue
        picture = av.VideoFrame.from_ndarray(np.full((270, 320), 235 if on else 16, np.uint8), "yuv420p")
        if not on:
            picture.planes[0].update(_noise(tick))
        picture.pts, picture.time_base = tick, Fraction(1, FPS)
        for packet in video.encode(picture):
            assert packet.pts is not None
            yield EncodedPacket("video", packet.pts, 1, packet.is_keyframe, bytes(packet), 0)


def _noise(tick: int) -> bytes:
    """Dark noise, so that there are bits to send."""
    rng = np.random.default_rng(tick)
    return rng.integers(16, 48, (180, 320), np.uint8).tobytes()


def packets(first_loop: int = 0, loops: int | None = None, bitrate: int = 400_000) -> Iterator[EncodedPacket]:
    """The recording over and over, pts going on. The priming packet (pts -1024) comes once, at the start."""
    source = recording(bitrate)
    loop = first_loop
    while loops is None or loop < first_loop + loops:
        for packet in source.packets:
            if packet.pts < 0 and loop > 0:
                continue
            step = TICKS if packet.kind == "video" else TICKS * SAMPLES_PER_TICK
            yield replace(packet, pts=packet.pts + loop * step)
        loop += 1


class OnAir:
    """A thread that hands the stream to `put` in real time, times `speed`, from `first_loop` on."""

    def __init__(
        self, put: Callable[[EncodedPacket], None], *, speed: float = 1.0, first_loop: int = 0, bitrate: int = 400_000
    ) -> None:
        self._put = put
        self._speed = speed
        self._packets = packets(first_loop, bitrate=bitrate)
        self._stop = threading.Event()
        self.tick = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> OnAir:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        shown = 0
        for packet in self._packets:
            self._put(replace(packet, wall_ns=time.time_ns()))
            if packet.kind == "video":
                self.tick = packet.pts
                shown += 1
                if self._stop.wait(max(0.0, began + shown / FPS / self._speed - time.monotonic())):
                    return
