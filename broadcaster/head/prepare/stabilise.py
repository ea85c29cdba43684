"""Meshes over time without jitter: off line, so nothing lags. Pure numpy, any thread.

A mesh network looks at each picture by itself, and its points tremble by a few tenths of a pixel. Here a face's
motion is taken apart: the affine of the head (points that speech does not move) and what the face does within it.
Both are smoothed by kernels that are symmetric in time: the head's and the rest of the face's widely, lids and lips
narrowly, so that blinks and speech stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.face import affine_between, crop_edges, moved, topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.config.avatar import Mouth

    Mesh = NDArray[np.float32]
    Meshes = NDArray[np.float32]
    Array = NDArray[np.float64]

HEAD_SECONDS: Final = 0.36
"""Length of the head's kernel, a cubic fit: motions of up to 3 a second keep their size."""

SHAPE_SECONDS: Final = 0.5
"""Length of the kernel for what changes slowly within a face."""

QUICK_SECONDS: Final = 0.2
"""Length of the kernel for lids and lips, a quadratic fit: a blink takes 0.3 s."""

SIZE_SECONDS: Final = 1.2
"""Length of the kernel for the size of boxes: cameras and heads come nearer more slowly than that."""

GAP_SECONDS: Final = 0.25
"""Longest gap that is bridged: a hand before the face for longer hides what the head did meanwhile."""

SIZE_SLACK: Final = 0.75
"""Pixels by which a box's size must be off before it changes: it does not flicker between two whole numbers."""

_QUICK: Final = tuple(
    sorted(
        {
            *topology.LIPS_OUTER,
            *topology.LIPS_INNER_UPPER,
            *topology.LIPS_INNER_LOWER,
            *topology.LEFT_EYE,
            *topology.RIGHT_EYE,
            topology.CHIN,
        }
    )
)


def steady(meshes: Sequence[Mesh | None], fps: float, *, loop: bool = False) -> Meshes:
    """float32 (n, 468, 2): the meshes of successive pictures without jitter; None where no face was found.

    Gaps of up to GAP_SECONDS are bridged. `loop`: the last picture is followed by the first. Raises AssetError for a
    longer gap or when there is no mesh at all.
    """
    filled = _bridged(meshes, fps)
    rest = np.median(filled, axis=0)
    affines = np.stack([affine_between(rest.astype(np.float32), mesh.astype(np.float32)) for mesh in filled])
    shapes = np.stack([moved(mesh, _inverse(affine)) for mesh, affine in zip(filled, affines, strict=True)])
    affines = _smoothed(affines, _kernel(HEAD_SECONDS * fps, 3), loop)
    calm = _smoothed(shapes, _kernel(SHAPE_SECONDS * fps, 1), loop)
    quick = list(_QUICK)
    calm[:, quick] = _smoothed(shapes[:, quick], _kernel(QUICK_SECONDS * fps, 2), loop)
    return np.stack([moved(shape, affine) for shape, affine in zip(calm, affines, strict=True)]).astype(np.float32)


def steady_boxes(meshes: Meshes, version: str, mouth: Mouth, fps: float, *, loop: bool = False) -> NDArray[np.int32]:
    """int32 (n, 4): a crop for each mesh as `face.crop_box` says, but all of one aspect, of slowly varying size, and
    where the head is: an opening mouth does not stretch them. Raises AssetError."""
    edges = np.array([crop_edges(mesh, version, mouth) for mesh in meshes])
    rest = np.median(meshes.astype(np.float64), axis=0).astype(np.float32)
    scales = np.array([np.sqrt(abs(np.linalg.det(affine_between(rest, mesh)[:, :2]))) for mesh in meshes])
    kernel = _kernel(SIZE_SECONDS * fps, 1)
    scales = _smoothed(scales[:, None], kernel, loop)[:, 0]
    wide = float(np.median((edges[:, 2] - edges[:, 0]) / scales))
    high = float(np.median((edges[:, 3] - edges[:, 1]) / scales))
    # The nose's bridge is what the rule measures from, and no jaw moves it.
    above = float(np.median((_bridge(meshes) - edges[:, 1]) / scales))
    middle = np.column_stack([(edges[:, 0] + edges[:, 2]) / 2, _bridge(meshes) + (high / 2 - above) * scales])
    middle[:, :1] = _smoothed(middle[:, :1], _kernel(HEAD_SECONDS * fps, 3), loop)
    sizes = np.column_stack([_whole(wide * scales), _whole(high * scales)])
    corners = np.rint(middle - sizes / 2)
    return np.hstack([corners, corners + sizes]).astype(np.int32)


def _bridge(meshes: Meshes) -> Array:
    return np.asarray(meshes[:, list(_BRIDGE), 1].astype(np.float64).mean(axis=1))


_BRIDGE: Final = (168, 6, 197, 195, 5, 4)


def _whole(sizes: Array) -> Array:
    """Whole numbers near to `sizes` that change only when they are off by more than SIZE_SLACK."""
    kept = np.empty(len(sizes))
    current = float(np.rint(sizes[0]))
    for index, size in enumerate(sizes):
        if abs(size - current) > SIZE_SLACK:
            current = float(np.rint(size))
        kept[index] = current
    return kept


def _bridged(meshes: Sequence[Mesh | None], fps: float) -> Array:
    """float64 (n, 468, 2): gaps filled between their neighbours, those at the ends by the nearest mesh."""
    known = [index for index, mesh in enumerate(meshes) if mesh is not None]
    if not known:
        raise AssetError("no picture shows a face; give a video whose face looks at the camera")
    longest = max(1, round(GAP_SECONDS * fps))
    for before, after in zip([-1, *known], [*known, len(meshes)], strict=True):
        if after - before - 1 > longest:
            raise AssetError(
                f"the face is away for {(after - before - 1) / fps:.2f} s from {(before + 1) / fps:.2f} s on; "
                f"up to {GAP_SECONDS} s can be bridged: cut the video there"
            )
    stored = np.stack([np.asarray(meshes[index], dtype=np.float64) for index in known])
    if len(known) == len(meshes):
        return stored
    places = np.arange(len(meshes))
    flat = stored.reshape(len(known), -1)
    at = np.searchsorted(known, places, side="right") - 1
    low = np.clip(at, 0, len(known) - 1)
    high = np.clip(at + 1, 0, len(known) - 1)
    ends = np.asarray(known, dtype=np.float64)
    span = np.maximum(ends[high] - ends[low], 1.0)
    share = np.clip((places - ends[low]) / span, 0.0, 1.0)[:, None]
    filled = flat[low] + (flat[high] - flat[low]) * share
    return np.asarray(filled.reshape(len(meshes), topology.POINTS, 2))


def _kernel(pictures: float, degree: int) -> Array:
    """Weights of a polynomial fit, `degree` 1 at least, at the middle of an odd number of pictures (Savitzky and
    Golay)."""
    half = max(round((pictures - 1) / 2), (degree + 1) // 2)
    at = np.arange(-half, half + 1) / half
    return np.asarray(np.linalg.pinv(np.vander(at, degree + 1, increasing=True))[0])


def _smoothed(values: Array, kernel: Array, loop: bool) -> Array:
    """`values` (n, ...) through a symmetric kernel along time; at open ends they go on as their mirror through the
    end's value, so that a motion under way is not bent."""
    count, half = len(values), len(kernel) // 2
    flat = values.reshape(count, -1)
    if count == 1:
        return values.copy()
    if loop:
        places = np.arange(-half, count + half) % count
        padded = flat[places]
    else:
        reach = np.minimum(np.arange(half, 0, -1), count - 1)
        before = 2 * flat[0] - flat[reach]
        after = 2 * flat[-1] - flat[count - 1 - reach[::-1]]
        padded = np.vstack([before, flat, after])
    result = np.zeros_like(flat)
    for offset, weight in enumerate(kernel):
        result += weight * padded[offset : offset + count]
    return result.reshape(values.shape)


def _inverse(affine: Array) -> Array:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])
