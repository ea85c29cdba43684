"""Pictures that tell their number, to see which of a video's are read, and a quick way to write many of them.

`synthetic.write_video` is for videos whose colours matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange
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


def write_numbered(
    path: Path,
    count: int,
    fps: Fraction | int = 25,
    *,
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Sequence[float] | None = None,
    numbers: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of `numbered` pictures 0, 1, 2, ... (or `numbers`); `times`: seconds of each."""
    base = Fraction(1, 90_000)
    with av.open(str(path), "w") as container:
        chosen = {"preset": "ultrafast", "crf": "20"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=fps, options=chosen | (options or {}))
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.time_base = base
        stream.codec_context.color_range = ColorRange.JPEG if pixel_format.startswith("yuvj") else ColorRange.MPEG
        for index, number in enumerate(range(count) if numbers is None else numbers):
            grey = np.ascontiguousarray(numbered(number, *size)[:, :, 0])
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format=pixel_format, threads=1)
            at = (
                Fraction(index) / Fraction(fps) if times is None else Fraction(times[index]).limit_denominator(90_000)
            )
            frame.pts, frame.time_base = round(at / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@cache
def mesh_of_host(folder: Path) -> NDArray[np.float32]:
    """(468, 2): the shipped presenter's mesh in its still."""
    points = json.loads((folder / "landmarks.json").read_bytes())["mesh"]
    return np.asarray(points, dtype=np.float32)
