"""What was received of a stream: packets as they came, decoded afterwards, and the questions tests ask of them."""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

AAC_FRAME = 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Received:
    """One packet. Times are milliseconds on the stream's clock; `arrived_ns` is time.monotonic_ns."""

    kind: str  # "video" or "audio"
    pts_ms: float
    key: bool
    arrived_ns: int
    data: bytes


@dataclass(slots=True)
class Capture:
    packets: list[Received] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    video_extradata: bytes = b""
    audio_extradata: bytes = b""
    sample_rate: int = 48_000
    width: int = 0
    height: int = 0

    def of(self, kind: str) -> list[Received]:
        return [packet for packet in self.packets if packet.kind == kind]

    @property
    def video(self) -> list[Received]:
        return self.of("video")

    @property
    def audio(self) -> list[Received]:
        return self.of("audio")

    def ticks(self, fps: int) -> list[int]:
        """Tick number of every video packet, from the stream's own zero."""
        return [round(packet.pts_ms * fps / 1000) for packet in self.video]

    def video_gaps(self, fps: int) -> list[tuple[int, int]]:
        """(index, step) of every video packet that does not follow its predecessor by exactly one tick."""
        ticks = self.ticks(fps)
        return [(i, b - a) for i, (a, b) in enumerate(itertools.pairwise(ticks), 1) if b - a != 1]

    def audio_gaps(self, tolerance_ms: float = 1.1) -> list[tuple[int, float]]:
        """(index, step in ms) of every sound packet that is not one AAC frame after the one before."""
        step = AAC_FRAME * 1000 / self.sample_rate
        times = [packet.pts_ms for packet in self.audio]
        pairs = enumerate(itertools.pairwise(times), 1)
        return [(i, b - a) for i, (a, b) in pairs if abs(b - a - step) > tolerance_ms]

    def audio_drift_ms(self) -> float:
        """How far the sound's timestamps have left their own sample count, at worst."""
        step = AAC_FRAME * 1000 / self.sample_rate
        times = [packet.pts_ms for packet in self.audio]
        return max((abs(t - times[0] - i * step) for i, t in enumerate(times)), default=0.0)

    def keyframe_ticks(self, fps: int) -> list[int]:
        return [tick for tick, packet in zip(self.ticks(fps), self.video, strict=True) if packet.key]

    def end_skew_ms(self) -> float:
        """End of the picture less the end of the sound."""
        video, audio = self.video, self.audio
        picture = video[-1].pts_ms + (video[-1].pts_ms - video[0].pts_ms) / max(1, len(video) - 1)
        return picture - (audio[-1].pts_ms + AAC_FRAME * 1000 / self.sample_rate)

    def lead_ms(self, begin: float = 0.0, end: float = 1.0) -> float:
        """How far the picture runs before the sound in the order of sending: the median, between two fractions."""
        newest = None
        leads = []
        for packet in self.packets[int(len(self.packets) * begin) : int(len(self.packets) * end)]:
            if packet.kind == "audio":
                newest = packet.pts_ms
            elif newest is not None:
                leads.append(packet.pts_ms - newest)
        return statistics.median(leads)

    def frames(self, look: Callable[[VideoFrame], T]) -> list[tuple[float, T]]:
        """Decodes the picture: (pts in ms, look(frame)) for each frame, in order."""
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata = self.video_extradata
        seen: list[tuple[float, T]] = []
        times: list[float] = []
        for data in [*self.video, None]:
            packet = None
            if data is not None:
                packet = av.Packet(data.data)
                packet.pts = packet.dts = len(times)
                times.append(data.pts_ms)
            for frame in decoder.decode(packet):
                assert isinstance(frame, VideoFrame)
                assert frame.pts is not None
                seen.append((times[frame.pts], look(frame)))
        return seen

    def luma(self, box: tuple[int, int, int, int] | None = None) -> list[tuple[float, NDArray[np.uint8]]]:
        """(pts in ms, copy of the luma plane or of its box x, y, width, height) of each frame."""
        return self.frames(lambda frame: _luma(frame, box))

    def sound(self) -> Sound:
        """Decodes the sound to mono floats; its clock starts at the first packet's timestamp."""
        return Sound(self.audio[0].pts_ms, np.concatenate([*self._pcm()]), self.sample_rate)

    def _pcm(self) -> Iterator[NDArray[np.float32]]:
        decoder = av.CodecContext.create("aac", "r")
        decoder.extradata = self.audio_extradata
        for data in [*self.audio, None]:
            for frame in decoder.decode(None if data is None else av.Packet(data.data)):
                assert isinstance(frame, AudioFrame)
                yield frame.to_ndarray().mean(axis=0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded mono sound, floats in -1..1; `start_ms` is the stream time of sample 0."""

    start_ms: float
    samples: NDArray[np.float32]
    rate: int

    def time_ms(self, sample: int) -> float:
        return self.start_ms + sample * 1000 / self.rate

    def onsets(self, *, above_dbfs: float = -50.0, quiet_ms: float = 100.0) -> list[int]:
        """First sample above the level after at least `quiet_ms` below it, each time it happens."""
        loud = np.flatnonzero(np.abs(self.samples) > 10 ** (above_dbfs / 20))
        if loud.size == 0:
            return []
        breaks = np.flatnonzero(np.diff(loud) > quiet_ms * self.rate / 1000) + 1
        return [int(loud[i]) for i in (0, *breaks)]

    def level_dbfs(self, window_ms: float = 10.0) -> NDArray[np.float64]:
        """RMS level of consecutive windows."""
        size = int(self.rate * window_ms / 1000)
        blocks = self.samples[: len(self.samples) // size * size].reshape(-1, size).astype(np.float64)
        return np.asarray(20 * np.log10(np.sqrt((blocks**2).mean(axis=1)) + 1e-9))

    def clicks(self, jump: float = 0.5) -> list[int]:
        """Samples at which the wave jumps by more than `jump` of full scale."""
        return [int(i) for i in np.flatnonzero(np.abs(np.diff(self.samples)) > jump)]


def flashes(luma: list[tuple[float, NDArray[np.uint8]]], rise: float = 40.0) -> list[float]:
    """Times in ms of the frames whose mean is brighter by `rise` than the one before."""
    means = [(when, float(plane.mean())) for when, plane in luma]
    return [b[0] for a, b in itertools.pairwise(means) if b[1] - a[1] > rise]


def offsets_ms(flash_ms: list[float], beep_ms: list[float], window_ms: float = 300.0) -> list[float]:
    """Beep less flash for each flash that has a beep within `window_ms`."""
    beeps = sorted(beep_ms)
    found = []
    for flash in flash_ms:
        at = bisect.bisect_left(beeps, flash)
        near = [beep - flash for beep in beeps[max(0, at - 1) : at + 1] if abs(beep - flash) <= window_ms]
        if near:
            found.append(min(near, key=abs))
    return found


def read_file(path: Path | str) -> Capture:
    """All packets of a recording."""
    capture = Capture()
    with av.open(str(path)) as container:
        describe(container, capture)
        for packet in container.demux():
            note(packet, capture, 0)
    return capture


def describe(container: av.container.InputContainer, capture: Capture) -> None:
    capture.metadata = {str(key): str(value) for key, value in container.metadata.items()}
    for picture in container.streams.video:
        capture.video_extradata = bytes(picture.codec_context.extradata or b"")
        capture.width, capture.height = picture.codec_context.width, picture.codec_context.height
    for sound in container.streams.audio:
        capture.audio_extradata = bytes(sound.codec_context.extradata or b"")
        capture.sample_rate = sound.codec_context.sample_rate


def note(packet: av.Packet[Any], capture: Capture, arrived_ns: int) -> Received | None:
    """Appends a demuxed packet; None for the empty one at the end."""
    if packet.size == 0 or packet.pts is None or packet.stream.type not in ("video", "audio"):
        return None
    assert packet.time_base is not None
    received = Received(
        packet.stream.type, float(packet.pts * packet.time_base * 1000), packet.is_keyframe, arrived_ns, bytes(packet)
    )
    capture.packets.append(received)
    return received


def _luma(frame: VideoFrame, box: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
    if box is not None:
        x, y, width, height = box
        rows = rows[y : y + height, x : x + width]
    copy: NDArray[np.uint8] = rows.copy()
    return copy
