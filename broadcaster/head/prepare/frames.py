"""One decoded frame as a picture: its colours, how it is to be turned, its size. PyAV and OpenCV, any thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from broadcaster.head.prepare.tonemap import Kind, to_bt709

if TYPE_CHECKING:
    import av

    from broadcaster.head.prepare.reading import VideoFacts

Bgr = NDArray[np.uint8]
"""(height, width, 3), B, G, R of BT.709 in full range."""

I420 = NDArray[np.uint8]
"""(3 / 2 height, width): Y, and below it U and V, as PyAV lays them out."""

_PQ, _HLG, _BT2020 = 16, 18, 9
"""AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67; AVCOL_PRI_BT2020 (which is AVCOL_SPC_BT2020_NCL as well)."""


def shown(frame: av.VideoFrame, facts: VideoFacts, exact: bool) -> Bgr:
    """The frame as a picture of the video: upright, of its size, BT.709. Not `exact`: colours off by some steps."""
    width, height = facts.size if facts.turns % 2 == 0 else facts.size[::-1]
    if facts.interlaced and frame.interlaced_frame:
        plain = _as_rgb(frame, None, facts.kind, exact)
        plain = _resized(plain[::2], (width, height))
    elif _even_cut(frame, (width, height)):
        plain = _as_rgb(frame, None, facts.kind, exact)[:height, :width]
    else:
        plain = _as_rgb(frame, (width, height), facts.kind, exact)
    bgr = to_bt709(plain, facts.kind) if facts.kind is not None else plain
    if facts.mirrored:
        bgr = bgr[:, ::-1]
    return np.ascontiguousarray(np.rot90(bgr, -facts.turns), dtype=np.uint8)


def as_i420(frame: av.VideoFrame, facts: VideoFacts) -> I420:
    """The same as 4:2:0 of BT.709, limited range: untouched where the frame is that already."""
    from av.video.reformatter import ColorRange

    untouched = (
        (frame.format.name, frame.width, frame.height) == ("yuv420p", *facts.size)
        and matrix_of(frame) == 1
        and frame.color_range != ColorRange.JPEG
        and facts.kind is None
        and not (facts.turns or facts.mirrored or (facts.interlaced and frame.interlaced_frame))
    )
    ready = frame if untouched else limited(shown(frame, facts, exact=True))
    return np.asarray(ready.to_ndarray(), dtype=np.uint8)


def limited(bgr: Bgr) -> av.VideoFrame:
    """A picture as 4:2:0 of BT.709, limited range."""
    import av
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    return av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        threads=1,
    )


def display_of(frame: av.VideoFrame) -> tuple[int, bool]:
    """Quarter turns clockwise and mirroring that the display matrix asks for."""
    entries: Any = frame.side_data
    for data in entries:
        if getattr(data.type, "name", "") == "DISPLAYMATRIX":
            a, b, _, c, d = (float(value) for value in np.frombuffer(bytes(data), dtype=np.int32)[:5])
            mirrored = a * d - b * c < 0
            if mirrored:  # mirrored first, then turned
                a, b = -a, -b
            return round(math.degrees(math.atan2(b, a)) / 90) % 4, mirrored
    return 0, False


def kind_of(frame: av.VideoFrame) -> Kind | None:
    if frame.color_trc == _PQ:
        return "PQ"
    if frame.color_trc == _HLG:
        return "HLG"
    return "BT.2020" if frame.color_primaries == _BT2020 else None


def matrix_of(frame: av.VideoFrame) -> int:
    """PyAV's Colorspace of the frame's Y, U and V; where it is not said: BT.601 for SD, else BT.709."""
    known = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
    said = known.get(int(frame.colorspace))
    if said is not None:
        return said
    return 5 if min(frame.width, frame.height) <= 576 else 1


def _even_cut(frame: av.VideoFrame, size: tuple[int, int]) -> bool:
    """Whether the picture is as large as wanted but for an odd row or column."""
    return 0 <= frame.width - size[0] <= 1 and 0 <= frame.height - size[1] <= 1


def _as_rgb(frame: av.VideoFrame, size: tuple[int, int] | None, kind: Kind | None, exact: bool) -> Any:
    """The frame in full range: B, G, R of 8 bits, or R, G, B of 16 bits where it is to be mapped."""
    from av.video.reformatter import ColorRange, Interpolation

    width, height = size or (frame.width, frame.height)
    rgb = frame.format.is_rgb
    full = rgb or frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    careful = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    converted = frame.reformat(
        width,
        height,
        "bgr24" if kind is None else "rgb48le",
        src_colorspace=None if rgb else matrix_of(frame),
        dst_colorspace=None if rgb else matrix_of(frame),
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC | careful if exact else Interpolation.BICUBIC,
        threads=1,
    )
    return converted.to_ndarray()


def _resized(picture: Any, size: tuple[int, int]) -> Any:
    import cv2

    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
