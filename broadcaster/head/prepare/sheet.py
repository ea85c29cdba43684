"""The contact sheet: pictures of an avatar with mesh, crop and mask drawn in, and the seam side by side. OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bgr = NDArray[np.uint8]

TILE: Final = 400
"""Pixels of a tile's longer side."""

COLUMNS: Final = 4

MESH_COLOUR, BOX_COLOUR, LIPS_COLOUR, MASK_COLOUR = (90, 220, 90), (60, 200, 255), (80, 80, 255), (255, 160, 40)
"""B, G, R."""


Window = tuple[int, int, int, int]
"""left, top, right, bottom of what a tile shows."""


def window_of(boxes: NDArray[np.int32], size: tuple[int, int]) -> Window:
    """The part of the picture, in its own shape, that holds all boxes and half a box around them."""
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    grown = min(1.0, max((right - left) * 2.0 / size[0], (bottom - top) * 1.6 / size[1]))
    width, height = round(size[0] * grown), round(size[1] * grown)
    x = min(max(0, int(left + right - width) // 2), size[0] - width)
    y = min(max(0, int(top + bottom - height) // 2), size[1] - height)
    return x, y, x + width, y + height


def drawn(
    picture: Bgr,
    mesh: NDArray[np.float32],
    box: Sequence[int],
    mask: NDArray[np.uint8],
    window: Window,
    caption: str,
) -> Bgr:
    """A tile: the picture's window with the mesh's points, the lips' line, the crop's box and the mask as a tint."""
    import cv2

    shown = picture.copy()
    left, top, right, bottom = (int(edge) for edge in box)
    large = cv2.resize(mask, (max(1, right - left), max(1, bottom - top)), interpolation=cv2.INTER_LINEAR)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, shown.shape[1]), min(bottom, shown.shape[0])
    if x1 > x0 and y1 > y0:
        alpha = large[y0 - top : y1 - top, x0 - left : x1 - left, None].astype(np.float32) / 255 * 0.45
        region = shown[y0:y1, x0:x1]
        region[:] = np.rint(region + (np.array(MASK_COLOUR, dtype=np.float32) - region) * alpha).astype(np.uint8)
    scale = max(window[2] - window[0], window[3] - window[1]) / TILE
    thick, dot = max(1, round(scale)), max(1, round(0.6 * scale))
    for point in mesh[::2]:
        cv2.circle(shown, _whole(point), dot, MESH_COLOUR, -1, cv2.LINE_AA)
    lips = mesh[list(topology.LIPS_OUTER)].round().astype(np.int32)
    cv2.polylines(shown, [lips], True, LIPS_COLOUR, thick, cv2.LINE_AA)
    cv2.rectangle(shown, (left, top), (right - 1, bottom - 1), BOX_COLOUR, thick)
    cut = shown[window[1] : window[3], window[0] : window[2]]
    return tile(np.asarray(cv2.resize(cut, (shown.shape[1], shown.shape[0])), dtype=np.uint8), caption)


def tile(picture: Bgr, caption: str) -> Bgr:
    """The picture scaled to a tile with a caption (ASCII) at its lower edge."""
    import cv2

    scale = min(1.0, TILE / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    small[-22:] = (small[-22:] * 0.35).astype(np.uint8)
    cv2.putText(small, caption, (6, small.shape[0] - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1, cv2.LINE_AA)
    return np.asarray(small, dtype=np.uint8)


def difference(one: Bgr, other: Bgr) -> Bgr:
    """How far two pictures differ, four times as strong, on grey."""
    gap = 128 + 4 * (one.astype(np.int16) - other.astype(np.int16))
    return np.clip(gap, 0, 255).astype(np.uint8)


def sheet(tiles: Sequence[Bgr]) -> bytes:
    """A PNG of tiles of one size, COLUMNS in a row."""
    import cv2

    height, width = tiles[0].shape[:2]
    blank = np.full_like(tiles[0], 32)
    padded = [*tiles, *[blank] * (-len(tiles) % COLUMNS)]
    rows = [
        np.hstack([cv2.copyMakeBorder(each, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(32, 32, 32)) for each in part])
        for part in (padded[k : k + COLUMNS] for k in range(0, len(padded), COLUMNS))
    ]
    done, data = cv2.imencode(".png", np.vstack(rows))
    assert done, f"{width}x{height} tiles make a PNG"
    return data.tobytes()


def _whole(point: NDArray[np.float32]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
