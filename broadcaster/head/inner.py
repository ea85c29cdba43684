"""The inside of the mouth: teeth and tongue between parted lips, shaded. One instance per engine, its thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.head.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.ports import FacePack

    Array = NDArray[np.float64]
    Floats = NDArray[np.float32]

CAVITY: Final = (36.0, 122.0, 146.0)
"""Y, U, V of the throat: a dark red."""

LOWER_TEETH_DROP: Final = 0.85
"""Lower teeth and tongue lie behind the lip and nearer to the jaw's hinge, so they drop less than it."""


class InnerMouth:
    """Draws the inner mouth of one avatar into rows and columns of its mouth box."""

    def __init__(self, avatar: FacePack, width: float) -> None:
        self._width = width
        box = avatar.mouth_box
        self._parts = []
        for name in ("lower", "upper"):
            y, u, v, alpha = avatar.inner_mouth(name)
            cv2 = opencv()
            full = (box.width, box.height)
            chroma = [cv2.resize(p, full, interpolation=cv2.INTER_LINEAR) for p in (u, v)]
            self._parts.append(cv2.merge([y, *chroma, alpha]))

    def draw(
        self, x0: int, x1: int, y0: int, y1: int, top: Floats, bottom: Floats, affine: Array, drop: Array
    ) -> Floats:
        """Y, U, V as float32 (y1 - y0, x1 - x0, 3) for the box's pixels x0..x1, y0..y1.

        `top` and `bottom` are the lips' inner edges in each column (box pixels); `affine` (2, 3) takes the box at
        rest to the box of this frame and `drop` (2,) is how far the lower teeth go down with the jaw.
        """
        cv2 = opencv()
        size = (x1 - x0, y1 - y0)
        colour = np.empty((size[1], size[0], 3), dtype=np.float32)
        colour[:] = CAVITY
        for part, moved in zip(self._parts, (drop, np.zeros(2)), strict=True):
            matrix = affine.copy()
            matrix[:, 2] += moved - (x0, y0)
            drawn = cv2.warpAffine(part, matrix, size, flags=cv2.INTER_LINEAR)
            alpha = drawn[:, :, 3:].astype(np.float32) * (1 / 255)
            colour += (drawn[:, :, :3] - colour) * alpha
        shade = self._shade(y0, y1, top, bottom)
        colour[:, :, 0] = 16.0 + (colour[:, :, 0] - 16.0) * shade
        colour[:, :, 1:] = 128.0 + (colour[:, :, 1:] - 128.0) * shade[:, :, None]
        return colour

    def _shade(self, y0: int, y1: int, top: Floats, bottom: Floats) -> Floats:
        """Darker under the upper lip, towards the corners and in a narrow gap."""
        rows = np.arange(y0, y1, dtype=np.float32)[:, None]
        below = np.clip((rows - top) / (0.09 * self._width), 0.0, 1.0)
        above = np.clip((bottom - rows) / (0.05 * self._width), 0.0, 1.0)
        gap = np.clip((bottom - top) / (0.14 * self._width), 0.0, 1.0)
        return np.asarray((0.55 + 0.45 * below) * (0.8 + 0.2 * above) * (0.65 + 0.35 * gap), dtype=np.float32)
