"""A generated face back into the base picture: resize, colour conversion and blend in the mouth's region only.

Shared by the neural engines. No state; one thread. What comes out is within one level of what it gives to paste and
blend in the whole RGB picture (PIL's `paste` with a mask, as MuseTalk's `get_image_blending` does it): nothing is
rounded between the face's pixels and the planes. No frame is copied, and nothing outside of the mask is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.head.colour import ROWS, rgb_of
from broadcaster.head.opencv import opencv
from broadcaster.types import MouthBox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.types import FaceCrop, Plane

    Floats = NDArray[np.float32]
    Image = NDArray[np.uint8]
    Planes = tuple[Plane, Plane, Plane]
    Region = tuple[int, int, int, int]

MARGIN: Final = 8
"""Base pixels around the mask: the compositor fades a patch in over as many, and so changes nothing of the blend."""

GRID: Final = 8
"""Boxes begin and end on multiples of this, so that a head that sways has few sizes of boxes."""

LEAST_BOX: Final = 16
"""Pixels of a box where nothing is to be painted: a face that has left the picture."""


class Paster:
    """For pictures of one size. `threads`: OpenCV's, for the whole process."""

    def __init__(self, width: int, height: int, threads: int = 1) -> None:
        self._width = width
        self._height = height
        self._cv2 = opencv(threads)

    def box(self, crop: FaceCrop) -> MouthBox:
        """What a patch for this crop covers: the mask and its margin, even, inside the picture."""
        return self._box(crop, self._painted(crop))

    def _box(self, crop: FaceCrop, painted: Region | None) -> MouthBox:
        if painted is None:
            x = 2 * (min(max(0, (crop.left + crop.right) // 2), self._width - LEAST_BOX) // 2)
            y = 2 * (min(max(0, (crop.top + crop.bottom) // 2), self._height - LEAST_BOX) // 2)
            return MouthBox(x, y, LEAST_BOX, LEAST_BOX)
        left, top, right, bottom = painted
        x, y = (max(0, (edge - MARGIN) // GRID * GRID) for edge in (left, top))
        right, bottom = (-(-(edge + MARGIN) // GRID) * GRID for edge in (right, bottom))
        return MouthBox(x, y, min(right, self._width) - x, min(bottom, self._height) - y)

    def paste(self, base: Planes, crop: FaceCrop, face: Image | None, share: float = 1.0) -> tuple[MouthBox, bytes]:
        """The patch: its box and I420 planes as a `MouthPatch` holds them.

        `base`: the whole picture's planes, only read. `face`: uint8 (n, n, 3), RGB, over the crop; None: the base
        alone. `share`: how much of the face is shown, 0..1.
        """
        painted = self._painted(crop)
        box = self._box(crop, painted)
        y, u, v = (
            plane[
                box.y // scale : (box.y + box.height) // scale, box.x // scale : (box.x + box.width) // scale
            ].copy()
            for plane, scale in zip(base, (1, 2, 2), strict=True)
        )
        if face is not None and share > 0 and painted is not None:
            self._blend((y, u, v), box, crop, painted, face, share)
        return box, y.tobytes() + u.tobytes() + v.tobytes()

    def _painted(self, crop: FaceCrop) -> Region | None:
        """Left, top, right, bottom of what the mask lets through: even picture pixels, or None where that is nothing.

        Linear interpolation carries a mask's value one of its own pixels further.
        """
        edges = []
        for axis, start, length, limit in (
            (0, crop.left, crop.right - crop.left, self._width),
            (1, crop.top, crop.bottom - crop.top, self._height),
        ):
            found = np.flatnonzero(crop.mask.any(axis=axis))
            if found.size == 0:
                return None
            cells = crop.mask.shape[1 - axis]
            low = start + max(0, int((found[0] - 0.5) * length / cells))
            high = start + min(length, int((found[-1] + 1.5) * length / cells) + 1)
            low, high = max(0, low // 2 * 2), min(limit // 2 * 2, -(-high // 2) * 2)
            if low >= high:
                return None
            edges.append((low, high))
        (left, right), (top, bottom) = edges
        return left, top, right, bottom

    def _blend(
        self, planes: Planes, box: MouthBox, crop: FaceCrop, painted: Region, face: Image, share: float
    ) -> None:
        cv2 = self._cv2
        left, top, right, bottom = painted
        rgb, mask = self._enlarged(face, crop, painted)
        weight = mask * np.float32(share / 255)
        rows, columns = slice(top - box.y, bottom - box.y), slice(left - box.x, right - box.x)
        half = (slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2))
        _mix(planes[0][rows, columns], cv2.transform(rgb, ROWS[0]) * weight, 1.0 - weight)
        size = ((right - left) // 2, (bottom - top) // 2)
        kept = 1.0 - cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        for plane, row in zip(planes[1:], ROWS[1:], strict=True):
            weighted = cv2.transform(rgb, row) * weight
            _mix(plane[half], cv2.resize(weighted, size, interpolation=cv2.INTER_AREA), kept)

    def _enlarged(self, face: Image, crop: FaceCrop, painted: Region) -> tuple[Floats, Image]:
        """Face and mask over `painted`, in picture pixels. Beyond the crop the mask is 0.

        The lower half alone is enlarged where that is enough: with an even height its rows are the same. Linear as
        upstream has it, but a face shrunk by more than half is averaged.
        """
        cv2 = self._cv2
        left, top, right, bottom = painted
        width, height = crop.right - crop.left, crop.bottom - crop.top
        shrunk = 2 * width < face.shape[1]
        skipped, mask = 0, crop.mask
        if height % 2 == 0 and top - crop.top > height // 2 and face.shape[0] % 2 == 0 and mask.shape[0] % 2 == 0:
            skipped = height // 2
            face, mask = face[face.shape[0] // 2 :], mask[mask.shape[0] // 2 :]
        size = (width, height - skipped)
        pixels = cv2.resize(
            face.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
        )
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
        x, y = left - crop.left, top - crop.top - skipped
        over = (max(0, -y), max(0, y + bottom - top - size[1]), max(0, -x), max(0, x + right - left - size[0]))
        x, y = max(0, x), max(0, y)
        inside = (slice(y, y + bottom - top - over[0] - over[1]), slice(x, x + right - left - over[2] - over[3]))
        pixels, mask = pixels[inside], mask[inside]
        if any(over):
            pixels = cv2.copyMakeBorder(pixels, *over, cv2.BORDER_REPLICATE)
            mask = cv2.copyMakeBorder(mask, *over, cv2.BORDER_CONSTANT, value=0)
        return pixels, mask


def cut_face(base: Planes, crop: FaceCrop, size: int, interpolation: int | None = None) -> Image:
    """What a network is shown of a base picture: its crop, resized to uint8 (size, size, 3), RGB.

    `interpolation`: OpenCV's; Lanczos where nothing is said, as MuseTalk's preparation has it. Where the crop reaches
    over the picture's edge, the last pixels are repeated.
    """
    cv2 = opencv()
    method = cv2.INTER_LANCZOS4 if interpolation is None else interpolation
    height, width = base[0].shape
    x0, y0 = max(0, crop.left) // 2 * 2, max(0, crop.top) // 2 * 2
    x1, y1 = min(width, -(-crop.right // 2) * 2), min(height, -(-crop.bottom // 2) * 2)
    x0, y0 = min(x0, width - 2), min(y0, height - 2)
    x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
    half = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
    seen = rgb_of(base[0][y0:y1, x0:x1], base[1][half], base[2][half])
    over = (max(0, y0 - crop.top), max(0, crop.bottom - y1), max(0, x0 - crop.left), max(0, crop.right - x1))
    if any(over):
        seen = cv2.copyMakeBorder(seen, *over, cv2.BORDER_REPLICATE)
        x0, y0 = x0 - over[2], y0 - over[0]
    face: Image = cv2.resize(
        seen[crop.top - y0 : crop.bottom - y0, crop.left - x0 : crop.right - x0], (size, size), interpolation=method
    )
    return face


def _mix(under: Plane, weighted: Floats, kept: Floats) -> None:
    """under * kept + weighted, rounded, in place. The weights add up to 1, so the sum needs no clipping."""
    mixed = under.astype(np.float32)
    mixed *= kept
    mixed += weighted
    under[...] = np.rint(mixed, out=mixed)
