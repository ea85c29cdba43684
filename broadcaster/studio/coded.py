"""Base frames as a file of H.264 with short groups of pictures: written in set-up, read in order or from anywhere.

Used where raw pictures would take more disk than they may (see `base_frames`), and to read clips. PyAV is imported
only when that is so. A reader belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.types import Plane

if TYPE_CHECKING:
    import av

GROUP: Final = 12
"""A picture in 12 is a keyframe: from anywhere at most 12 pictures are decoded before the wanted one (50 ms at
1080p)."""

QUALITY: Final = "16"
"""x264's rate factor: what is lost is far below what the encoder of the air loses."""

LEAST_KBPS: Final = 6_000
"""However long a loop is: with less, the presenter would look worse than the stream."""

BITS_PER_PIXEL: Final = 0.3
"""15 Mbit/s at 1080p: what a noisy camera asks for beyond it costs CPU on air (37 Mbit/s: three times that of 9)."""

Picture = tuple[Plane, Plane, Plane]


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What a video file says about itself, pixels and pictures per second."""

    width: int
    height: int
    rate: Fraction


def clip_facts(path: Path) -> ClipFacts:
    """Raises AssetError for a file without a picture that an avatar may have (8 bits, 4:2:0, limited, even size)."""
    container = _opened(path)
    with container:
        stream = container.streams.video[0]
        return _checked(path, stream)


def count_pictures(path: Path) -> int:
    """Pictures in a video file, by its packets. Raises AssetError where the container is damaged."""
    import av

    container = _opened(path)
    with container:
        try:
            return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)
        except av.error.FFmpegError as err:
            raise AssetError(f"{path}: damaged: {err.strerror}; prepare the avatar again") from err


def pictures_of(path: Path) -> Iterator[Picture]:
    """Every picture of a video file, in order: Y (h, w), U and V (h/2, w/2), valid while they are referenced.

    Raises AssetError where the file is damaged.
    """
    import av

    container = _opened(path)
    with container:
        stream = container.streams.video[0]
        facts = _checked(path, stream)
        stream.thread_type = "AUTO"
        stream.codec_context.options = _STRICT
        try:
            for number, frame in enumerate(container.decode(stream)):
                picture = None if frame.is_corrupt else planes_of(frame, facts.width, facts.height)
                if picture is None:
                    raise AssetError(f"{path}: damaged at picture {number}; prepare the avatar again")
                yield picture
        except av.error.FFmpegError as err:
            raise AssetError(f"{path}: damaged: {err.strerror}; prepare the avatar again") from err


def rate_limit(width: int, height: int, fps: int) -> int:
    """kbit/s that pictures of that size may take, so that decoding them stays cheap."""
    return max(LEAST_KBPS, round(BITS_PER_PIXEL * width * height * fps / 1000))


class CodedWriter:
    """Writes pictures of one size as H.264 (GROUP, no B pictures) that takes at most `most` bytes for `frames`, but
    never less than LEAST_KBPS. Raises AssetError; what is half written then is the caller's to remove."""

    def __init__(self, path: Path, width: int, height: int, fps: int, frames: int, most: int) -> None:
        import av

        self._path = path
        self._size = (width, height)
        self._container = av.open(str(path), "w", format="matroska")
        affordable = int(most * 8 * 0.95 / 1000 / max(frames / fps, 1.0))
        limit = max(min(affordable, rate_limit(width, height, fps)), LEAST_KBPS)
        options = {
            "preset": "veryfast", "crf": QUALITY, "g": str(GROUP), "bf": "0", "profile": "high",
            "maxrate": f"{limit}k", "bufsize": f"{limit}k",
            "x264-params": f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:open-gop=0",
        }  # fmt: skip
        stream = self._container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        context = stream.codec_context
        context.time_base = Fraction(1, fps)
        context.color_range, context.colorspace = 1, 1  # MPEG (limited), BT.709: FFmpeg's numbers
        context.color_primaries = context.color_trc = 1
        self._stream = stream
        self._base = Fraction(1, fps)
        self._next = 0

    def add(self, picture: Picture) -> None:
        import av

        frame = av.VideoFrame(*self._size, "yuv420p")
        for plane, data in zip(frame.planes, picture, strict=True):
            rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
            rows[:, : plane.width] = data
        frame.pts, frame.time_base = self._next, self._base
        self._next += 1
        self._put(frame)

    def close(self) -> None:
        self._put(None)
        self._container.close()

    def _put(self, frame: av.VideoFrame | None) -> None:
        import av

        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except av.error.FFmpegError as err:
            raise AssetError(f"{self._path}: cannot be written: {err.strerror}") from err


class CodedReader:
    """Decodes any picture of a file; cheapest in order. Damage costs the rest of a group and is no error here."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path = path
        self._size = (width, height)
        self._container: Any = None
        self._packets: Iterator[Any] = iter(())
        self._pending: tuple[int, Any] | None = None
        self._next = 0

    def read(self, index: int) -> Picture | None:
        """Picture `index`, or None when it is damaged or not there. Raises AssetError for a file that is gone."""
        import av

        if self._container is None:
            self._open()
            self._seek(index)
        elif index < self._next or index // GROUP > self._next // GROUP:
            self._seek(index)
        try:
            while True:
                number, frame = self._frame()
                if number < index:
                    continue
                if number > index:
                    self._pending = (number, frame)
                    return None
                return planes_of(frame, *self._size)
        except (EOFError, av.error.FFmpegError):
            self._next = 1 << 60  # whatever is wanted next begins with a seek
            return None

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self) -> None:
        self._container = _opened(self._path)
        stream = self._container.streams.video[0]
        context = stream.codec_context
        context.thread_count, context.thread_type = 1, "NONE"
        context.options = _STRICT
        self._stream = stream
        self._origin = stream.start_time or 0
        self._per_picture = Fraction(1) / (stream.average_rate * stream.time_base)

    def _seek(self, index: int) -> None:
        """To the keyframe before `index`. A seek that fails shows in the first packet."""
        import av

        self._pending, self._damaged = None, False
        at = self._origin + round(index * self._per_picture)
        try:
            self._container.seek(at, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            self._packets = iter(())
        else:
            self._packets = self._container.demux(self._stream)

    def _frame(self) -> tuple[int, Any]:
        """The next picture that can be decoded, and its number. Raises EOFError at the end, FFmpegError."""
        import av

        if self._pending is not None:
            found, self._pending = self._pending, None
            self._next = found[0] + 1
            return found
        for packet in self._packets:
            if self._damaged and not packet.is_keyframe:
                continue
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                frames = []
                self._damaged = True
                self._stream.codec_context.flush_buffers()
                continue
            self._damaged = any(frame.is_corrupt for frame in frames)
            if self._damaged or not frames:
                continue
            numbered = [(self._number(frame), frame) for frame in frames]
            if len(numbered) > 1:  # only the flush at the end of the file gives two
                self._pending = numbered[1]
            self._next = numbered[0][0] + 1
            return numbered[0]
        raise EOFError

    def _number(self, frame: Any) -> int:
        number: int = round((frame.pts - self._origin) / self._per_picture)
        return number


_STRICT: Final = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""A damaged picture is an error, not a guess."""


def planes_of(frame: Any, width: int, height: int) -> Picture | None:
    """Read-only views of a decoded picture, which keep it alive; None when it is not of that size, 8-bit 4:2:0."""
    if (frame.width, frame.height) != (width, height) or frame.format.name != "yuv420p":
        return None
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
        rows.flags.writeable = False
        views.append(rows[:, : plane.width])
    return views[0], views[1], views[2]


def _opened(path: Path) -> Any:
    import av

    try:
        container = av.open(str(path))
    except FileNotFoundError as err:
        raise AssetError(f"{path}: missing; prepare the avatar again with `broadcaster avatar prepare`") from err
    except (av.error.FFmpegError, OSError) as err:
        raise AssetError(f"{path}: not a video that can be read ({err.strerror}); prepare the avatar again") from err
    if not container.streams.video:
        container.close()
        raise AssetError(f"{path}: holds no picture; prepare the avatar again")
    return container


def _checked(path: Path, stream: Any) -> ClipFacts:
    context = stream.codec_context
    if context.pix_fmt != "yuv420p" or context.width % 2 or context.height % 2 or not stream.average_rate:
        raise AssetError(
            f"{path}: {context.width}x{context.height} {context.pix_fmt}; must be 8-bit 4:2:0 of even size and "
            "constant rate: prepare the avatar again with `broadcaster avatar prepare`"
        )
    return ClipFacts(context.width, context.height, Fraction(stream.average_rate))
