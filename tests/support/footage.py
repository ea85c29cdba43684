"""Small video files of every kind that people have: sizes, rates, pixel formats, rotation, HDR, damage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

Bgr = NDArray[np.uint8]


def numbered(number: int, width: int = 320, height: int = 240) -> Bgr:
    """A grey picture that tells its number: 8 bright or dark columns; its top left quarter is lighter."""
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    picture[: height // 2, : width // 2] = 130
    for bit in range(8):
        left = bit * width // 8
        picture[height // 2 + 20 :, left : left + width // 8] = 230 if number >> bit & 1 else 25
    return picture


def number_of(picture: Bgr) -> int:
    """What `numbered` wrote."""
    height, width = picture.shape[:2]
    row = picture[height * 3 // 4, :, 1]
    return sum(int(row[(2 * bit + 1) * width // 16] > 128) << bit for bit in range(8))


def write(
    path: Path,
    pictures: Iterable[Bgr],
    *,
    fps: Fraction | int = 25,
    stamps: Callable[[int], int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    hflip: bool = False,
    aspect: Fraction | None = None,
    full_range: bool = False,
    matrix: Colorspace = Colorspace.ITU709,
    trc: int | None = None,
    primaries: int | None = None,
    gop: int = 50,
    sound: bool = False,
) -> Path:
    """Encodes the pictures. `stamps`: picture number -> milliseconds, for a variable rate."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        context = stream.codec_context
        first = True
        for number, picture in enumerate(pictures):
            if first:
                context.width, context.height, context.pix_fmt = picture.shape[1], picture.shape[0], pix_fmt
                context.gop_size = gop
                context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
                context.colorspace = matrix
                if trc is not None:
                    context.color_trc = trc
                if primaries is not None:
                    context.color_primaries = primaries
                if stamps is not None:
                    context.time_base = Fraction(1, 1000)
                if aspect is not None:
                    context.sample_aspect_ratio = aspect
                if codec.startswith("libx26"):
                    context.options = {"preset": "ultrafast", "crf": "12"}
                if rotation or hflip:
                    stream.set_display_rotation(rotation, hflip)
                first = False
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame = frame.reformat(
                format=pix_fmt,
                dst_colorspace=matrix,
                dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
                threads=1,
            )
            frame.pts = number if stamps is None else stamps(number)
            frame.time_base = Fraction(1, 1000) if stamps is not None else 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            _tone(container)
    return path


def only_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        _tone(container)
    return path


def _tone(container: Any) -> None:
    stream = container.add_stream("aac", rate=48_000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000 * 3), dtype=np.float32), format="fltp", layout="mono")
    frame.sample_rate = 48_000
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
