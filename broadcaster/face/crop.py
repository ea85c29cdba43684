"""What a neural engine cuts out of a picture: MuseTalk's rule on the face mesh. Pure arithmetic, any thread.

Upstream (`musetalk/utils/preprocessing.py`) takes 68 face points and lets the third point of the nose's bridge be the
middle of the box: its lower edge is the lowest point (the chin), its upper edge as far above the middle, left and
right are the outermost points. The mesh's points that stand for them are in `topology`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mesh = NDArray[np.float32]

BRIDGE_SHARE: Final = 2 / 3
"""Point 29 of the 68-point scheme: its bridge points 27..30 are evenly spaced from between the eyes to the tip."""

LEAST_SIDE: Final = 8
"""Pixels; a smaller box is no face."""


def crop_edges(mesh: Mesh, version: str, mouth: Mouth) -> tuple[float, float, float, float]:
    """The same box as `crop_box`'s before it is rounded: left, top, right, bottom. Raises AssetError."""
    points = np.asarray(mesh, dtype=np.float64)
    if not np.isfinite(points).all():
        raise AssetError("the face mesh holds numbers that are none; prepare the avatar again")
    jaw = points[list(topology.JAW_68)]
    bridge, tip = points[topology.NOSE_BRIDGE_TOP, 1], points[topology.NOSE_TIP, 1]
    middle = float(bridge + BRIDGE_SHARE * (tip - bridge))
    bottom = float(jaw[:, 1].max())
    if version == "1.0":
        middle += mouth.shift
    top = middle - (bottom - middle)
    if version != "1.0":
        bottom += mouth.margin
    return float(jaw[:, 0].min()), top, float(jaw[:, 0].max()), bottom


def crop_box(
    mesh: Mesh, version: str, mouth: Mouth, picture: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in whole pixels, `right` and `bottom` exclusive.

    `version` "1.0" moves the middle down by `mouth.shift`; "1.5" adds `mouth.margin` below the chin. The box may
    reach over the picture's edge; with `picture` (width, height) it is clipped there as upstream does it (the face is
    then stretched unevenly). Raises AssetError for a mesh that makes no box.
    """
    left, top, right, bottom = (round(edge) for edge in crop_edges(mesh, version, mouth))
    if picture is not None:
        left, right = max(left, 0), min(right, picture[0])
        top, bottom = max(top, 0), min(bottom, picture[1])
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        raise AssetError(
            f"the face makes a crop of {right - left}x{bottom - top} pixels: too small, or not a face; take a "
            "picture in which the face is larger"
        )
    return left, top, right, bottom
