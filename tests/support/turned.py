"""A head that turns aside: a frontal picture painted on an egg, and the egg turned. Rough, but its angle is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

EAR = 1.25
"""Half width of the egg in half widths of the face: the ears lie a little behind its rim."""


def turned_aside(
    bgr: NDArray[np.uint8], oval: NDArray[np.float64], degrees: float, *, down: bool = False
) -> NDArray[np.uint8]:
    """The picture with the head turned towards its right by `degrees`, or down; `oval` (n, 2) outlines the face."""
    low, high = oval.min(axis=0), oval.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2 * EAR
    height, width = bgr.shape[:2]
    x = (np.arange(width)[None, :] - centre[0]) / half[0] + np.zeros((height, 1))
    y = (np.arange(height)[:, None] - centre[1]) / half[1] + np.zeros((1, width))
    angle = np.radians(degrees)
    along, other = (y, x) if down else (x, y)
    depth = np.sqrt(np.clip(1.0 - x * x - y * y, 0.0, None))
    came = along * np.cos(angle) - depth * np.sin(angle)
    share = np.clip(depth / 0.3, 0.0, 1.0)
    came = along + (came - along) * share
    at = (other, came) if down else (came, other)
    maps = [(at[i] * half[i] + centre[i]).astype(np.float32) for i in range(2)]
    moved = cv2.remap(bgr, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)
