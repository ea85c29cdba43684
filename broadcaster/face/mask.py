"""How much of a generated face is shown: the lower face, its edge blurred. Pure drawing, any thread; OpenCV lazily.

Upstream parses the face with a network, keeps the rows below the middle of the crop and blurs the edge
(`musetalk/utils/blending.py`). Here the mesh says where the lower face is: a polygon along the jaw, blurred by the
same kernel, and faded to nothing within a few cells of the middle and of the box's edge, so that no seam can show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mesh = NDArray[np.float32]

MASK_SIZE: Final = 64
"""Cells along each side of a mask; it is stretched over the box."""

FINE: Final = 256
"""The polygon is drawn and blurred at this size: then the blur's kernel is what upstream's is for a box of 256."""

BLUR: Final = 39
"""int(0.1 * side // 2 * 2) + 1 for side = 2 * int(256 // 2 * 1.5): upstream's square around a box of this size."""

SHIFT: Final = 6
"""Binary places of a polygon's corners: a 64th of a fine cell, so that the mask moves as smoothly as the mesh."""

FADE: Final = 4
"""Cells over which the mask fades in at the box's middle and at its edges."""

NECK: Final = 0.12
"""How far below the jaw mask "neck" reaches, in face heights (forehead to chin)."""

CHIN: Final = 0.03
"""The same for mask "jaw": a chin moves down a little when a mouth opens."""

INSET: Final = 0.05
"""How far the mask stays off the outline of the cheeks, as a share of the face's half width: upstream erodes the
cheeks as well, and behind the outline there is hair or background that no engine should repaint."""

_JAW: Final = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)


def mask_of(mesh: Mesh, box: tuple[int, int, int, int], mouth: Mouth, start: float = 0.5) -> NDArray[np.uint8]:
    """uint8 (64, 64) over `box`: 255 where only the generated face shows. 0 along the edges and above `start`, a share
    of the box's height: the middle, as MuseTalk has it, where nothing is said."""
    import cv2

    left, top, right, bottom = box
    points = np.asarray(mesh, dtype=np.float64)
    jaw = points[list(_JAW)]
    down = points[topology.CHIN] - points[topology.FOREHEAD]
    reach = NECK if mouth.mask == "neck" else CHIN
    depth = np.sin(np.linspace(0.0, np.pi, len(jaw)))[:, None]
    middle = (jaw[0] + jaw[-1]) / 2
    polygon = jaw + reach * depth * down - INSET * (1.0 - depth) * (jaw - middle)
    cells = (polygon - (left, top)) * (FINE / np.array([right - left, bottom - top])) - 0.5
    ears = cells[[-1, 0]] - (0.0, float(FINE))
    corners = np.rint(np.vstack([cells, ears]) * (1 << SHIFT)).astype(np.int32)
    fine = np.zeros((FINE, FINE), dtype=np.uint8)
    cv2.fillPoly(fine, [corners], 255, lineType=cv2.LINE_AA, shift=SHIFT)
    fine[: round(start * FINE)] = 0
    blurred = cv2.GaussianBlur(fine.astype(np.float32), (BLUR, BLUR), 0, borderType=cv2.BORDER_REPLICATE)
    coarse = cv2.resize(blurred, (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(coarse * _fading(start)), dtype=np.uint8)


def _fading(start: float) -> NDArray[np.float32]:
    """(64, 64) in 0..1: 0 above `start` and in the outermost cells, 1 from FADE cells on."""
    steps = np.arange(MASK_SIZE, dtype=np.float64)
    sides = np.clip(np.minimum(steps, MASK_SIZE - 1 - steps) / FADE, 0.0, 1.0)
    rows = np.minimum(np.clip((steps - start * MASK_SIZE + 1) / FADE, 0.0, 1.0), sides)
    smooth = [t * t * (3.0 - 2.0 * t) for t in (rows, sides)]
    return np.outer(smooth[0], smooth[1]).astype(np.float32)
