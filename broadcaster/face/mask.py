"""How much of a generated face is shown: the lower face, its edge soft. Pure arithmetic, any thread.

Upstream parses the face with a network, keeps the rows below the middle of the crop and blurs the edge by a Gaussian
(`musetalk/utils/blending.py`). Here the mesh says where the lower face is: a polygon along the jaw. What a Gaussian
makes of its edge follows from the distance to it, so the mask moves as smoothly as the mesh; and it fades to nothing
within a few cells of the middle and of the box's edge, so that no seam can show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mesh = NDArray[np.float32]
    Points = NDArray[np.float64]

MASK_SIZE: Final = 64
"""Cells along each side of a mask; it is stretched over the box."""

SOFT: Final = 1.55
"""Standard deviation of the edge, in cells. Upstream's kernel has int(0.1 * side // 2 * 2) + 1 = 39 pixels for the
square of side 384 around a box of 256, which OpenCV makes a Gaussian of 6.2 pixels."""

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
    """uint8 (64, 64) over `box`: 255 where only the generated face shows. 0 along the edges and above `start`, a
    share of the box's height: the middle, as MuseTalk has it, where nothing is said."""
    left, top, right, bottom = box
    points = np.asarray(mesh, dtype=np.float64)
    jaw = points[list(_JAW)]
    down = points[topology.CHIN] - points[topology.FOREHEAD]
    reach = NECK if mouth.mask == "neck" else CHIN
    depth = np.sin(np.linspace(0.0, np.pi, len(jaw)))[:, None]
    middle = (jaw[0] + jaw[-1]) / 2
    polygon = jaw + reach * depth * down - INSET * (1.0 - depth) * (jaw - middle)
    cells = (polygon - (left, top)) * (MASK_SIZE / np.array([right - left, bottom - top])) - 0.5
    outline = np.vstack([cells, cells[[-1, 0]] - (0.0, 2.0 * MASK_SIZE)])
    first = min(int(start * MASK_SIZE), MASK_SIZE - 1)
    mask = np.zeros((MASK_SIZE, MASK_SIZE), dtype=np.uint8)
    mask[first:] = np.rint(255.0 * _normal(_depth_within(outline, first) / SOFT) * _fading(start)[first:])
    return mask


def _depth_within(polygon: Points, first: int) -> Points:
    """(64 - first, 64): how far each cell from row `first` on lies within the polygon (n, 2), in cells; negative
    outside."""
    at = np.arange(MASK_SIZE, dtype=np.float64)
    x, y = at[None, :, None], at[first:, None, None]
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / np.maximum(dx * dx + dy * dy, 1e-12), 0.0, 1.0)
    distance = np.sqrt(np.min((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2, axis=-1))
    crosses = (y0 > y) != (y1 > y)
    beyond = x < x0 + (y - y0) * dx / np.where(dy == 0.0, 1.0, dy)
    inside = np.count_nonzero(crosses & beyond, axis=-1) % 2 == 1
    return np.asarray(np.where(inside, distance, -distance))


def _normal(value: Points) -> Points:
    """The normal distribution, to 3 places."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.7978846 * (value + 0.044715 * value**3)))


def _fading(start: float) -> Points:
    """(64, 64) in 0..1: 0 above `start` and in the outermost cells, 1 from FADE cells on."""
    steps = np.arange(MASK_SIZE, dtype=np.float64)
    sides = np.clip(np.minimum(steps, MASK_SIZE - 1 - steps) / FADE, 0.0, 1.0)
    rows = np.minimum(np.clip((steps - start * MASK_SIZE + 1) / FADE, 0.0, 1.0), sides)
    smooth = [t * t * (3.0 - 2.0 * t) for t in (rows, sides)]
    return np.outer(smooth[0], smooth[1])
