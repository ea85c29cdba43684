"""A video of a head whose truth is known: the shipped presenter, moved far more than its idle loop moves it.

The head sways, nods, turns a little, comes nearer, blinks and may speak; every picture's affine, eyes and mouth are
known exactly. `MovingHead` makes the pictures, `write_video` writes them with any rate, rotation, pixel format and
colour tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from broadcaster.studio.avatar_loop import IdleLoop, _pasted, _smooth
from broadcaster.studio.avatar_source import load_source

HOST = Path(__file__).parents[2] / "avatars" / "host"

CAVITY = (30, 24, 58)
"""B, G, R of an open mouth's inside."""

Image = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """How a head moves. Lengths in face widths, angles in degrees; everything returns after `period` seconds."""

    period: float = 4.0
    sway: float = 0.10
    """To each side."""
    nod: float = 0.04
    """Up and down."""
    tilt: float = 2.5
    """Degrees to each side, about the neck."""
    turn: float = 14.0
    """Degrees: the face grows narrower by the cosine, as if it turned away."""
    nearer: float = 0.05
    """How much larger the head becomes."""
    blinks: tuple[float, ...] = (0.9, 2.6)
    """Seconds of each period at which the eyes are shut."""
    speech: tuple[tuple[float, float], ...] = ()
    """Stretches (from, to) in seconds of the video in which the mouth moves."""
    noise: float = 0.0
    """The camera's, standard deviation in steps of 8 bits."""


class MovingHead:
    """Pictures (height, width, 3), BGR uint8, by number; the head at rest is the presenter's still.

    `motion` and `landmarks` are as in a pack: `motion[i]` (2, 3) takes `landmarks` (at rest, picture pixels) to where
    they are in picture i, except the lower lip of an open mouth and the lids of shut eyes.
    """

    def __init__(
        self, width: int = 640, height: int = 360, fps: float = 25, seconds: float = 4.0, motion: Motion | None = None
    ) -> None:
        self.width, self.height, self.fps = width, height, fps
        self.frames = round(seconds * fps)
        self.told = motion or Motion()
        loop = _loop(width, height)
        self.landmarks = loop.landmarks
        self.face = loop.face
        self.seconds = np.arange(self.frames) / fps
        self.motion = np.stack([self._affine(at, loop.landmarks["neck"][0]) for at in self.seconds])
        self.closure = np.array([_closure(at, self.told) for at in self.seconds])
        """0 open .. 1 shut."""
        self.openness = np.array([_openness(at, self.told.speech) for at in self.seconds])
        """The gap between the lips in mouth widths."""
        self._stages = _stages(width, height)
        self._head = loop._head
        line = self.landmarks["lip_line"]
        self.mouth = float(np.hypot(*(line[-1] - line[0])))
        """Width of the mouth at rest, pixels."""

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Image]:
        return map(self.frame, range(self.frames))

    def points(self, name: str, index: int) -> Points:
        """A landmark set where it is in picture `index`."""
        affine = self.motion[index]
        return np.asarray(self.landmarks[name] @ affine[:, :2].T + affine[:, 2])

    def frame(self, index: int) -> Image:
        stage = round(self.closure[index] * (len(self._stages) - 1))
        picture = self._spoken(self._stages[stage], float(self.openness[index]))
        back = cv2.invertAffineTransform(self.motion[index])
        columns, rows = self._head.shape[1], self._head.shape[0]
        x = ((np.arange(columns) + 0.5) * (self.width / columns) - 0.5)[None, :]
        y = ((np.arange(rows) + 0.5) * (self.height / rows) - 0.5)[:, None]
        fields = [
            self._head * (back[0, 0] * x + back[0, 1] * y + back[0, 2] - x),
            self._head * (back[1, 0] * x + back[1, 1] * y + back[1, 2] - y),
        ]
        size = (self.width, self.height)
        dx, dy = (cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) for field in fields)
        dx += np.arange(self.width, dtype=np.float32)[None, :]
        dy += np.arange(self.height, dtype=np.float32)[:, None]
        moved = cv2.remap(picture, dx, dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if self.told.noise:
            grain = np.random.default_rng(index).normal(0.0, self.told.noise, moved.shape)
            moved = np.clip(np.rint(moved + grain), 0, 255).astype(np.uint8)
        return np.asarray(moved)

    def _affine(self, at: float, pivot: Points) -> Points:
        told, turn = self.told, 2 * np.pi * at / self.told.period
        angle = np.radians(told.tilt) * np.sin(turn + 0.4)
        yaw = np.radians(told.turn) * np.sin(turn)
        nearer = 1.0 + told.nearer * 0.5 * (1.0 - np.cos(turn))
        shift = self.face * np.array([told.sway * np.sin(turn), told.nod * np.sin(2 * turn + 0.3)])
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = nearer * rotation @ np.diag([np.cos(yaw), 1.0])
        return np.column_stack([linear, pivot + shift - linear @ pivot])

    def _spoken(self, still: Image, openness: float) -> Image:
        """The still with the lower lip and the chin pulled down and the gap filled with the mouth's inside."""
        if openness <= 0.0:
            return still
        line = self.landmarks["lip_line"]
        x0, x1 = int(line[0, 0]), int(np.ceil(line[-1, 0])) + 1
        y0, y1 = int(line[:, 1].min()) - 2, min(self.height, int(self.landmarks["chin"][0, 1] + 0.6 * self.mouth))
        x = np.arange(x0, x1, dtype=np.float64)
        y = np.arange(y0, y1, dtype=np.float64)[:, None]
        seam = np.interp(x, line[:, 0], line[:, 1])
        across = np.clip((x - (line[0, 0] + line[-1, 0]) / 2) / (self.mouth / 2), -1.0, 1.0)
        drop = openness * self.mouth * (1.0 - across**2)
        down = drop * (1.0 - _smooth(y, float(seam.mean()) + 0.25 * self.mouth, float(y1)))
        came = np.where(y >= seam, np.maximum(y - down, np.minimum(seam, y)), y)
        grid_x = np.broadcast_to(x, came.shape).astype(np.float32)
        part = cv2.remap(still, grid_x, came.astype(np.float32), cv2.INTER_CUBIC)
        inside = np.clip(y - seam + 0.5, 0, 1) * np.clip(seam + drop - y + 0.5, 0, 1)
        result = still.copy()
        result[y0:y1, x0:x1] = np.rint(part + (np.array(CAVITY) - part) * inside[..., None]).astype(np.uint8)
        return result


@cache
def _loop(width: int, height: int) -> IdleLoop:
    return IdleLoop(load_source(HOST), width, height, 25)


@cache
def _stages(width: int, height: int) -> list[Image]:
    """The presenter cut for the picture, eyes open to shut."""
    source = load_source(HOST)
    view = _loop(width, height).view
    still = source.still()
    stages = [still, *(_pasted(still, source.overlay(p, 3), p.x, p.y) for p in source.manifest.blink)]
    sigma = 0.5 * np.sqrt(max(1 / view.scale**2 - 1, 0.0))
    matrix = np.array([[view.scale, 0, 0], [0, view.scale, 0]])
    matrix[:, 2] = view.to_picture(np.zeros((1, 2)))[0]
    result = []
    for picture in stages:
        soft = cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.1 else picture
        result.append(
            cv2.warpAffine(soft, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )
    return result


def _closure(at: float, told: Motion) -> float:
    """Shut in 0.1 s, held for 0.05 s, open again in 0.17 s, as in the idle loop."""
    closure = 0.0
    for blink in told.blinks:
        since = (at - blink + told.period / 2) % told.period - told.period / 2
        closure = max(closure, 1.0 + since / 0.1 if since < 0.0 else 1.0 - max(0.0, since - 0.05) / 0.17)
    return closure


def _openness(at: float, speech: Sequence[tuple[float, float]]) -> float:
    """About four syllables a second, shut in between."""
    for start, end in speech:
        if start <= at < end:
            return float(0.25 * (0.5 - 0.5 * np.cos(2 * np.pi * 4.0 * (at - start))))
    return 0.0


def write_video(
    path: Path,
    pictures: Iterable[Image],
    fps: float | Fraction = 25,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    times: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    colours: tuple[str, str, str] = ("bt709", "bt709", "bt709"),
    full_range: bool = False,
    sound: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes BGR pictures (first decides the size) as a video; the container follows the suffix (.mp4, .mov, .mkv).

    `rotation`: 90, 180 or 270 degrees, by which a player must turn the pictures clockwise (.mp4 and .mov only).
    `times`: seconds of each picture, for a variable rate. `aspect`: width of a pixel over its height.
    `colours`: matrix, transfer and primaries as FFmpeg names them, written as tags and, for the matrix and the range,
    used for the conversion. `sound`: a quiet tone beside it.
    """
    rate = Fraction(fps).limit_denominator(1001)
    base = Fraction(1, 90_000)
    chosen = {"preset": "ultrafast", "crf": "16"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        chosen["x265-params"] = "log-level=error"
    with av.open(str(path), "w") as container:
        stream: Any = None
        tone: Any = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=chosen | (options or {}))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pixel_format
                stream.codec_context.time_base = base
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
                _tag(stream.codec_context, colours, full_range)
                if rotation:
                    stream.set_display_rotation(-rotation)
                if sound:
                    tone = container.add_stream("aac", rate=48_000, layout="mono")
            frame = _converted(picture, pixel_format, colours[0], full_range)
            at = Fraction(index) / rate if times is None else Fraction(times[index]).limit_denominator(90_000)
            frame.pts, frame.time_base = round(at / base), base
            container.mux(stream.encode(frame))
        assert stream is not None, "a video needs pictures"
        container.mux(stream.encode(None))
        if tone is not None:
            length = float(at) + 1 / float(rate)
            _write_tone(container, tone, length)
    return path


def write_sound(path: Path, seconds: float = 2.0) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        tone = container.add_stream("aac", rate=48_000, layout="mono")
        _write_tone(container, tone, seconds)
    return path


_MATRIX = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020nc": 9}
_TRANSFER = {"bt709": 1, "smpte170m": 6, "smpte2084": 16, "arib-std-b67": 18, "bt2020-10": 14}
_PRIMARIES = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020": 9}
_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
}
"""Numbers of ISO/IEC 23091-2, and the weights of red and blue in luma."""


def _tag(context: Any, colours: tuple[str, str, str], full_range: bool) -> None:
    context.colorspace = _MATRIX[colours[0]]
    context.color_trc = _TRANSFER[colours[1]]
    context.color_primaries = _PRIMARIES[colours[2]]
    context.color_range = 2 if full_range else 1


def _converted(picture: Image, pixel_format: str, matrix: str, full_range: bool) -> av.VideoFrame:
    """BGR to the wanted Y'CbCr by arithmetic of our own, so that the truth does not come from who is tested."""
    red, blue = _WEIGHTS[matrix]
    b, g, r = (picture[..., i].astype(np.float64) / 255 for i in range(3))
    luma = red * r + (1 - red - blue) * g + blue * b
    planes = [luma, (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))]
    deep = pixel_format.endswith("10le")
    top = 1023 if deep else 255
    step = (top + 1) / 256
    out = []
    for number, plane in enumerate(planes):
        if number and "420" in pixel_format:
            plane = (plane[0::2] + plane[1::2]) / 2
        if number and "444" not in pixel_format:
            plane = (plane[:, 0::2] + plane[:, 1::2]) / 2
        if full_range:
            value = plane * top + (0 if number == 0 else (top + 1) / 2)
        else:
            value = (16 + 219 * plane if number == 0 else 128 + 224 * plane) * step
        out.append(np.clip(np.rint(value), 0, top).astype("<u2" if deep else np.uint8))
    frame = av.VideoFrame(picture.shape[1], picture.shape[0], pixel_format)
    for plane, values in zip(frame.planes, out, strict=True):
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), dtype=values.dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    frame.colorspace = _MATRIX[matrix]
    frame.color_range = 2 if full_range else 1
    return frame


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    samples = np.sin(np.arange(round(seconds * 48_000)) * (2 * np.pi * 220 / 48_000)).astype(np.float32) * 0.1
    for at in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
