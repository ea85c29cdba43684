"""Any video file as upright BGR pictures at a constant rate, one at a time. PyAV, blocking; runs in the command.

Nothing is kept but the picture in hand, so a file of any length costs the same memory. Picture `k` is what the video
shows at k times `step` from its first frame (the nearest frame by time stamp): the same picture wherever reading
began, so work can be taken up again in the middle.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from broadcaster.errors import AssetError
from broadcaster.head.prepare.frames import I420, Bgr, as_i420, display_of, kind_of, matrix_of, shown

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from broadcaster.head.prepare.tonemap import Kind

FORMATS: Final = (
    "matroska,webm,mov,mp4,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,"
    "h264,hevc,gif,mxf,ivf,dv,nut,rm,yuv4mpegpipe"
)
"""Containers that hold their own pictures. Playlists and the like, which name other files, are none."""

LEAST_RATE: Final = 15
"""Below this a face moves in steps, and a mouth of 25 pictures a second looks pasted on."""

MOST_RATE: Final = 30
"""Faster videos are read at half, a third, ... of their rate, unless another is asked for."""

SHORTEST_S: Final = 2.0
"""A shorter loop is seen to repeat at once."""

LEAST_SIDE: Final = 240
"""A face of 100 pixels fills most of a smaller picture."""

MEASURED_PACKETS: Final = 300
"""Time stamps looked at to find the real rate: ten seconds of a common video."""

RUN_UP: Final = Fraction(1, 5)
"""Seconds before the wanted picture that reading begins at: the frame before it may be the nearest one."""

NEAR_WHOLE: Final = 0.005
"""A rate within 0.5 % of a whole number (29.97, 23.976) is played at it, every frame once."""

_REMEDY: Final = "convert it to H.264 in MP4 and try again"


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What was found about a file before its pictures are read."""

    codec: str
    coded: tuple[int, int]
    """Width and height as they are stored."""
    size: tuple[int, int]
    """Width and height of the pictures that come out: upright, square pixels, even, scaled down if too large."""
    rate: float
    """Frames per second of the file."""
    fps: int
    """Pictures per second that come out."""
    step: Fraction
    """Seconds of the file from picture to picture."""
    seconds: float | None
    """None where the file does not say."""
    turns: int
    """Quarter turns clockwise that bring it upright."""
    mirrored: bool
    kind: Kind | None
    """HDR or wide gamut, to be mapped to BT.709."""
    interlaced: bool
    notes: tuple[str, ...] = ()
    """What is converted, for the report."""


@dataclass(slots=True)
class Video:
    """An opened file. `pictures` may be called again and again; every call opens the file anew."""

    path: Path
    facts: VideoFacts
    faults: int = field(default=0, init=False)
    """Packets that could not be decoded, in the last reading."""

    @property
    def expected(self) -> int | None:
        """How many pictures there will be, by what the file says of its length."""
        seconds = self.facts.seconds
        return None if seconds is None else max(1, int(seconds / float(self.facts.step)))

    def pictures(self, first: int = 0, last: int | None = None, *, exact: bool = True) -> Iterator[tuple[int, Bgr]]:
        """(number, picture) for numbers `first` to `last` (inclusive; None: to the end). Raises AssetError.

        Not `exact`: colours may be off by some steps at edges, which costs a twentieth of the time.
        """
        return self._read(first, last, lambda frame: shown(frame, self.facts, exact))

    def planes(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, I420]]:
        """The same pictures as the clip of an avatar stores them (`frames.as_i420`)."""
        return self._read(first, last, lambda frame: as_i420(frame, self.facts))

    def _read(
        self, first: int, last: int | None, convert: Callable[[av.VideoFrame], Any]
    ) -> Iterator[tuple[int, Any]]:
        import av.error

        self.faults = 0
        try:
            for seeking in (True, False) if first > 0 else (False,):
                with _open(self.path) as container:
                    stream = container.streams.video[0]
                    stream.thread_type = "AUTO"
                    frames = self._frames(container, stream, first if seeking else 0)
                    held = next(frames, None)
                    if seeking and (held is None or held[0] > first * self.facts.step):
                        continue  # no keyframe was found before it, as in a stream that was recorded
                    if held is not None:
                        yield from self._sampled(held, frames, first, last, convert)
                    return
        except (av.error.FFmpegError, OSError) as err:
            raise AssetError(f"{self.path}: cannot be read further ({_reason(err)}) -> {_REMEDY}") from err

    def _sampled(
        self,
        held: tuple[Fraction, av.VideoFrame],
        frames: Iterator[tuple[Fraction, av.VideoFrame]],
        first: int,
        last: int | None,
        convert: Callable[[av.VideoFrame], Any],
    ) -> Iterator[tuple[int, Any]]:
        """Picks for each number the frame nearest in time; the others are never converted."""
        step = self.facts.step
        number = first
        for following in itertools.chain(frames, [None]):
            until = held[0] + step / 2 if following is None else (held[0] + following[0]) / 2
            picture = None
            while number * step < until or (following is None and number * step == held[0]):
                if last is not None and number > last:
                    return
                if picture is None:
                    picture = convert(held[1])
                yield number, picture
                number += 1
            if following is None:
                return
            held = following

    def _frames(
        self, container: InputContainer, stream: VideoStream, first: int
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """(seconds from the first frame, frame), growing in time, from a little before picture `first`."""
        import av.error

        base = stream.time_base or Fraction(1, 1000)
        begin = _first_time(self.path, stream, base)
        wanted = begin + first * self.facts.step
        if first > 0:
            with contextlib.suppress(av.error.FFmpegError):  # some cannot: they are read from their beginning
                container.seek(max(0, math.floor((wanted - RUN_UP) / base)), stream=stream, backward=True)
        nominal, latest = Fraction(1) / Fraction(self.facts.rate).limit_denominator(1001), None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.InvalidDataError:
                self.faults += 1
                return  # the rest of the container cannot be taken apart
            try:
                decoded = packet.decode()
            except (av.error.InvalidDataError, av.error.UndefinedError, ValueError):
                self.faults += 1
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    self.faults += 1
                    continue
                if frame.pts is not None:
                    at = frame.pts * base
                else:
                    at = begin if latest is None else latest + nominal
                if latest is not None and at <= latest:
                    continue
                latest = at
                if at >= wanted - RUN_UP:
                    yield at - begin, frame


def open_video(path: Path, fps: int | None = None, max_height: int = 1080) -> Video:
    """Looks at a video file and decides how it is read. Raises AssetError: what is wrong, and what to do.

    `max_height` bounds the shorter side of the pictures.
    """
    import av
    import av.error

    _refuse_what_is_no_file(path)
    try:
        with _open(path) as container:
            stream = _stream_of(container, path)
            rate = _rate_of(container, stream)
            seconds = _seconds_of(container, stream)
        with _open(path) as container:
            stream = _stream_of(container, path)
            frame = _first_frame(container, stream, path)
            facts = _facts(path, stream, frame, rate, seconds, fps, max_height)
    except (av.error.FFmpegError, OSError, ValueError) as err:
        hint = "it may be a partial copy or download" if path.suffix.lower() in (".mp4", ".mov", ".m4v") else _REMEDY
        raise AssetError(f"{path}: not a video that can be read ({_reason(err)}) -> {hint}") from err
    return Video(path, facts)


def _refuse_what_is_no_file(path: Path) -> None:
    if path.is_dir():
        raise AssetError(f"{path}: a folder -> name one video or picture file in it")
    if not path.exists():
        raise AssetError(f"{path}: there is no such file -> check the path")
    if not path.is_file():
        raise AssetError(f"{path}: not an ordinary file -> copy it to one first")
    if path.stat().st_size == 0:
        raise AssetError(f"{path}: empty -> copy the file again")


def _open(path: Path) -> InputContainer:
    import av

    limits = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    return av.open(str(path), mode="r", metadata_errors="ignore", options=limits)


def _stream_of(container: InputContainer, path: Path) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & _attached_picture()]
    if not moving:
        what = "only sound in it" if container.streams.audio else "no pictures in it"
        raise AssetError(f"{path}: there is {what} -> give a video of the face")
    stream = moving[0]
    tag = str(getattr(stream.codec_context, "codec_tag", ""))
    if tag in ("encv", "drmi"):
        raise AssetError(f"{path}: the video is encrypted (DRM) -> use a recording of your own, without protection")
    if tag in ("dvh1", "dvhe", "dva1", "dvav"):
        raise AssetError(
            f"{path}: Dolby Vision without an ordinary layer cannot be converted -> export it as SDR and try again"
        )
    stream.thread_type = "AUTO"
    return stream


def _attached_picture() -> Any:
    import av

    return av.stream.Disposition.attached_pic


def _rate_of(container: InputContainer, stream: VideoStream) -> Fraction:
    """Frames per second: what the container says, unless its time stamps say otherwise (screen recorders)."""
    stamps = []
    for packet in itertools.islice(container.demux(stream), MEASURED_PACKETS):
        if packet.pts is not None and packet.time_base:
            stamps.append(packet.pts * packet.time_base)
    gaps = [b - a for a, b in itertools.pairwise(sorted(set(stamps))) if b > a]
    said = next((Fraction(r) for r in (stream.average_rate, stream.guessed_rate, stream.base_rate) if r), None)
    if len(gaps) < 8:
        return said or Fraction(25)
    measured = Fraction(len(gaps)) / sum(gaps)
    usual = 1 / statistics.median(gaps)
    if said is not None and abs(said / usual - 1) < Fraction(3, 100) and measured > said * Fraction(9, 10):
        return said
    return measured.limit_denominator(1001)


def _seconds_of(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    import av.error

    faults = 0
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                if not frame.is_corrupt:
                    return frame
        except (av.error.FFmpegError, ValueError):
            faults += 1
        if faults > 500:
            break
    codec = getattr(stream.codec_context, "name", "unknown codec")
    raise AssetError(f"{path}: no picture of it can be decoded ({codec}; encrypted or damaged?) -> {_REMEDY}")


def _first_time(path: Path, stream: VideoStream, base: Fraction) -> Fraction:
    """Time stamp of the first frame, from the container: a frame after a seek cannot tell it."""
    return Fraction(0) if stream.start_time is None else stream.start_time * base


def _facts(
    path: Path,
    stream: VideoStream,
    frame: av.VideoFrame,
    rate: Fraction,
    seconds: float | None,
    fps: int | None,
    max_height: int,
) -> VideoFacts:
    notes: list[str] = []
    if rate < Fraction(29, 2):
        raise AssetError(
            f"{path}: {float(rate):.3g} frames per second, at least {LEAST_RATE} are needed -> "
            "record it at 25 or more"
        )
    if seconds is not None and seconds < SHORTEST_S:
        raise AssetError(
            f"{path}: {seconds:.1f} s long, at least {SHORTEST_S:g} s are needed (10 to 60 s are best) -> "
            "record a longer one"
        )
    turns, mirrored = display_of(frame)
    width, height = _square(frame.width, frame.height, stream.sample_aspect_ratio)
    if turns % 2:
        width, height = height, width
    if min(width, height) < LEAST_SIDE:
        raise AssetError(f"{path}: {width}x{height} is too small for a face -> use at least 640x360")
    scale = min(1.0, max_height / min(width, height), 2 * max_height / max(width, height))
    size = (2 * int(width * scale / 2 + 1e-9), 2 * int(height * scale / 2 + 1e-9))
    label, step, said = _clock(rate, fps)
    notes += [f"turned by {90 * turns} degrees"] * bool(turns) + ["mirrored back"] * mirrored
    if stream.sample_aspect_ratio not in (None, 0, 1):
        notes.append(f"pixels of {stream.sample_aspect_ratio} made square")
    if scale < 1.0:
        notes.append(f"scaled down from {width}x{height} to {size[0]}x{size[1]}")
    elif size != (width, height):
        notes.append(f"cut from {width}x{height} to the even {size[0]}x{size[1]}")
    notes += said
    kind = kind_of(frame)
    if kind is not None:
        how = "wide gamut converted" if kind == "BT.2020" else "HDR tone-mapped"
        notes.append(
            f"{kind}: {how} to BT.709 (see docs/face.md); bright parts may look flatter than on an HDR screen"
        )
    elif not frame.format.is_rgb and matrix_of(frame) != 1:
        notes.append("colours of BT.601 converted to BT.709")
    if frame.interlaced_frame:
        notes.append("interlaced: one field of each frame is used, at half the vertical detail")
    return VideoFacts(
        codec=stream.codec_context.name,
        coded=(frame.width, frame.height),
        size=size,
        rate=round(float(rate), 3),
        fps=label,
        step=step,
        seconds=seconds,
        turns=turns,
        mirrored=mirrored,
        kind=kind,
        interlaced=bool(frame.interlaced_frame),
        notes=tuple(notes),
    )


def _clock(rate: Fraction, fps: int | None) -> tuple[int, Fraction, list[str]]:
    """(pictures per second, seconds of the file between them, what is to be said about it)."""
    if fps is not None:
        same = abs(rate / fps - 1) <= NEAR_WHOLE
        return fps, 1 / rate if same else Fraction(1, fps), [] if same else [f"{float(rate):.3g} to {fps} fps"]
    divided = rate / max(1, math.ceil(rate / (MOST_RATE * (1 + NEAR_WHOLE))))
    whole = max(LEAST_RATE, round(divided))
    if abs(divided / whole - 1) <= NEAR_WHOLE:
        said = [] if divided == rate else [f"{float(rate):.3g} frames per second read as {whole}"]
        return whole, 1 / divided, said
    return whole, Fraction(1, whole), [f"{float(rate):.4g} frames per second brought to a constant {whole}"]


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels: the side whose pixels are too few is stretched."""
    if not aspect or aspect == 1 or not Fraction(1, 4) < aspect < 4:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _reason(err: Exception) -> str:
    return getattr(err, "strerror", None) or str(err) or type(err).__name__
