"""Pictures in which something is before the mouth: a hand, a cup, a microphone that comes in. Any thread.

The mesh network cannot tell: it guesses a mouth behind a hand with full certainty (measured: a score of 0.99 with the
whole mouth hidden). So each lower face is compared with what it looks like in most of the video: how much of it has
changed, and whether the lips still differ from the skin as they mostly do. What is there all the time passes, and so
does a mouth that speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.face import topology
from broadcaster.head.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Array = NDArray[np.float64]

SIZE: Final = (32, 24)
"""Width and height of a lower face in cells: each a few pixels, so that skin and beard are smooth."""

TRACE: Final = SIZE[0] * SIZE[1] * 3 + 3
"""Bytes that are kept of one picture: the lower face in Y Cr Cb, and lips minus skin, 128 for none."""

EXTENT: Final = (1.2, 1.0)
"""A lower face in distances between the outer corners of the eyes."""

BELOW: Final = 0.62
"""How far its middle lies below the middle between nose's base and bridge's top, in the same distances."""

CHANGED: Final = 40
"""Steps of luma, or half as many of chroma, by which a cell looks other than usual."""

COVERED: Final = 0.3
"""Share of changed cells from which a lower face counts as covered: a mouth that speaks changes 0.1, what hides the
mouth and is not of the skin's colour 0.4."""

LEAST_CONTRAST: Final = 8.0
"""Steps by which lips must usually differ from skin before anything follows from it."""

OTHER_CONTRAST: Final = 0.6
"""How far that difference may be from the usual one, in sizes of the usual one. Speech: 0.2; a hand has the skin's
colour, but no lips: 1; half a mouth covered: 0.7."""

_CHEEKS: Final = (50, 280, 205, 425)


def trace_of(bgr: Image, mesh: NDArray[np.float32]) -> Image:
    """uint8 (TRACE,): what `covered` needs of a picture (h, w, 3) with the face `mesh` (468, 2)."""
    cv2 = opencv()
    points = np.asarray(mesh, dtype=np.float64)
    lips = _lips_minus_skin(cv2, bgr, points)
    return np.concatenate(
        [_lower_face(cv2, bgr, points).ravel(), np.clip(np.rint(lips + 128), 0, 255).astype(np.uint8)]
    )


def covered(traces: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,): in which pictures of one video, given their traces (n, TRACE), something hides the mouth."""
    if not len(traces):
        return np.zeros(0, dtype=np.bool_)
    return (changed(traces) > COVERED) | _other_lips(traces)


def changed(traces: NDArray[np.uint8]) -> Array:
    """(n,): the share of each lower face that looks other than in most of them."""
    faces = np.asarray(traces)[:, :-3].reshape(len(traces), -1, 3)
    usual = np.median(faces, axis=0)
    shares = np.empty(len(faces))
    for index, face in enumerate(faces):
        off = np.abs(face.astype(np.float64) - usual) * (1.0, 2.0, 2.0)
        shares[index] = np.mean(off.max(axis=-1) > CHANGED)
    return shares


def _other_lips(traces: NDArray[np.uint8]) -> NDArray[np.bool_]:
    contrasts = np.asarray(traces)[:, -3:].astype(np.float64) - 128
    usual = np.median(contrasts, axis=0)
    size = float(np.hypot.reduce(usual))
    if size < LEAST_CONTRAST:
        return np.zeros(len(traces), dtype=np.bool_)
    return np.asarray(np.hypot.reduce(contrasts - usual, axis=1) > OTHER_CONTRAST * size)


def _lower_face(cv2: Any, bgr: Image, points: Array) -> Image:
    """(24, 32, 3) Y Cr Cb: the lower face, turned level and scaled to one size."""
    left, right = (points[i] for i in (topology.LEFT_EYE_CORNERS[0], topology.RIGHT_EYE_CORNERS[1]))
    apart = max(float(np.hypot(*(right - left))), 1.0)
    across = (right - left) / apart
    down = np.array([-across[1], across[0]])
    middle = points[[topology.NOSE_BASE, topology.NOSE_BRIDGE_TOP]].mean(axis=0) + BELOW * apart * down
    step = np.array(EXTENT) * apart / SIZE
    detail = max(1, round(step[0] / 2))
    linear = np.column_stack([across * step[0], down * step[1]]) / detail
    corner = middle - linear @ ((np.array(SIZE) * detail - 1) / 2)
    fine = cv2.warpAffine(
        bgr,
        np.column_stack([linear, corner]),
        (SIZE[0] * detail, SIZE[1] * detail),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    small = cv2.resize(fine, SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb), dtype=np.uint8)


def _lips_minus_skin(cv2: Any, bgr: Image, points: Array) -> Array:
    """(3,) Y Cr Cb: the lips, without what is between them, minus the cheeks."""
    outer = points[list(topology.LIPS_OUTER)]
    inner = points[[*topology.LIPS_INNER_UPPER, *topology.LIPS_INNER_LOWER[-2:0:-1]]]
    cheeks = points[list(_CHEEKS)]
    size = np.array([bgr.shape[1], bgr.shape[0]])
    around = np.vstack([outer, cheeks])
    low = np.clip(np.floor(around.min(axis=0)) - 2, 0, size - 1).astype(int)
    high = np.clip(np.ceil(around.max(axis=0)) + 3, low + 1, size).astype(int)
    part = cv2.cvtColor(np.ascontiguousarray(bgr[low[1] : high[1], low[0] : high[0]]), cv2.COLOR_BGR2YCrCb)
    ring = np.zeros(part.shape[:2], dtype=np.uint8)
    skin = np.zeros_like(ring)
    cv2.fillPoly(ring, [np.rint(outer - low).astype(np.int32)], 255)
    cv2.fillPoly(ring, [np.rint(inner - low).astype(np.int32)], 0)
    radius = max(1, round(float(np.ptp(outer[:, 0])) / 12))
    for x, y in np.rint(cheeks - low).astype(int).tolist():
        cv2.circle(skin, (x, y), radius, 255, -1)
    lips, cheek = (np.array(cv2.mean(part, where)[:3], dtype=np.float64) for where in (ring, skin))
    return np.asarray(lips - cheek)
