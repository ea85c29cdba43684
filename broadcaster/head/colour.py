"""BT.709 limited I420 to RGB and back, for the regions that neural engines read and write. Pure functions.

The same constants as the station's own conversion of pictures, kept apart because stages share no code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.head.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.types import Plane

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

_KR: Final = 0.2126
_KB: Final = 0.0722
_KG: Final = 1.0 - _KR - _KB

_LUMA: Final = np.array([_KR, _KG, _KB]) * (219 / 255)
_BLUE: Final = (np.array([0.0, 0.0, 1.0]) - [_KR, _KG, _KB]) / (2 * (1 - _KB)) * (224 / 255)
_RED: Final = (np.array([1.0, 0.0, 0.0]) - [_KR, _KG, _KB]) / (2 * (1 - _KR)) * (224 / 255)

ROWS: Final = tuple(
    np.append(weights, offset).astype(np.float32).reshape(1, 4)
    for weights, offset in ((_LUMA, 16.0), (_BLUE, 128.0), (_RED, 128.0))
)
"""Y, U and V of a full-range RGB pixel: weights of R, G, B and 1, each float32 (1, 4) as cv2.transform takes it."""

_BACK: Final = np.linalg.inv(np.stack([_LUMA, _BLUE, _RED]))
TO_RGB: Final = np.column_stack([_BACK, -_BACK @ (16.0, 128.0, 128.0)]).astype(np.float32)
"""float32 (3, 4): R, G, B of a Y, U, V pixel."""


def rgb_of(y: Plane, u: Plane, v: Plane) -> Image:
    """uint8 (h, w, 3) of planes of an even size. Chroma is interpolated, its sites taken as the middle of four."""
    cv2 = opencv()
    size = (y.shape[1], y.shape[0])
    pixels = cv2.merge([y, *(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (u, v))])
    rgb: Floats = cv2.transform(pixels.astype(np.float32), TO_RGB)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
