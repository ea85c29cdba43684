"""What follows from a face mesh: an avatar's named point sets, the affine between two faces, how open mouth and eyes
are. Pure geometry in pixels, x right and y down; any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mesh = NDArray[np.float32]
    Points = NDArray[np.float64]

SHOULDER_SIDE: Final = 1.15
SHOULDER_DROP: Final = 0.65
"""Where shoulders are taken to be: this many face widths to each side, and this many face heights below the chin."""

NECK_DROP: Final = 0.15
"""The point the head turns about, in face heights below the chin."""

LEAST_STEP: Final = 1e-3
"""Pixels by which x grows at least from point to point of a lip line."""


def landmarks_of(mesh: Mesh) -> dict[str, Points]:
    """The point sets of an avatar (`studio.avatar_source`), each float64 (n, 2), from its mesh (468, 2).

    lips_outer 20, from the left corner over the upper lip to the right corner and back below; lip_line 13, midway
    between the lips' inner edges, corner to corner, x growing; face_oval 36, clockwise from the forehead; left_eye
    and right_eye 16; chin and nose_base 1. The mesh knows nothing below the chin: shoulders (2) and neck (1) are
    guessed from the size of the face, which only decides how far down the picture follows the head.
    """
    points = np.asarray(mesh, dtype=np.float64)
    upper, lower = points[list(topology.LIPS_INNER_UPPER)], points[list(topology.LIPS_INNER_LOWER)]
    left, right = (points[[corner]] for corner in topology.MOUTH_CORNERS)
    line = np.vstack([left, (upper + lower) / 2, right])
    for index in range(1, len(line)):
        line[index, 0] = max(line[index, 0], line[index - 1, 0] + LEAST_STEP)
    oval, chin = points[list(topology.FACE_OVAL)], points[topology.CHIN]
    down = chin - points[topology.FOREHEAD]
    across = np.array([down[1], -down[0]]) * (face_width(mesh) / max(float(np.hypot(*down)), 1e-6))
    shoulder = chin + SHOULDER_DROP * down
    return {
        "lips_outer": points[list(topology.LIPS_OUTER)],
        "lip_line": line,
        "face_oval": oval,
        "left_eye": points[list(topology.LEFT_EYE)],
        "right_eye": points[list(topology.RIGHT_EYE)],
        "shoulders": np.stack([shoulder - SHOULDER_SIDE * across, shoulder + SHOULDER_SIDE * across]),
        "chin": chin[None].copy(),
        "nose_base": points[[topology.NOSE_BASE]],
        "neck": (chin + NECK_DROP * down)[None],
    }


def face_width(mesh: Mesh) -> float:
    """Width of the face from ear to ear, pixels."""
    jaw = np.asarray(mesh, dtype=np.float64)[[topology.JAW_68[1], topology.JAW_68[-2]]]
    return float(np.hypot(*(jaw[1] - jaw[0])))


def affine_between(rest: Mesh, mesh: Mesh) -> Points:
    """(2, 3): the affine that takes the face `rest` to `mesh` best, judged by points that speech does not move.

    Least squares over `topology.STEADY`. An affine, not a similarity: a head that turns or nods grows narrower or
    shorter in the picture. Raises numpy's LinAlgError for a mesh whose points lie on one line.
    """
    steady = list(topology.STEADY)
    before = np.asarray(rest, dtype=np.float64)[steady]
    after = np.asarray(mesh, dtype=np.float64)[steady]
    centre = before.mean(axis=0)
    known = np.column_stack([before - centre, np.ones(len(before))])
    solved = np.linalg.solve(known.T @ known, known.T @ after).T
    solved[:, 2] -= solved[:, :2] @ centre
    return np.asarray(solved)


def moved(points: Points, affine: Points) -> Points:
    """`points` (n, 2) after the affine (2, 3)."""
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def mouth_openness(mesh: Mesh) -> float:
    """How far the lips are apart in the middle, as a share of the distance between the mouth's corners: 0.03 to 0.05
    shut, 0.3 in speech, 0.6 wide open."""
    points = np.asarray(mesh, dtype=np.float64)
    gap = points[list(topology.LIPS_INNER_LOWER[4:7])] - points[list(topology.LIPS_INNER_UPPER[4:7])]
    return _length(gap.mean(axis=0)) / _width(points, topology.MOUTH_CORNERS)


def eye_openness(mesh: Mesh) -> float:
    """How open the eyes are (the wider one counts), as the lids' distance over the eye's width: about 0.3 open, half
    of that shut (the network never quite lets the lids meet)."""
    points = np.asarray(mesh, dtype=np.float64)
    return max(
        sum(_length(points[low] - points[high]) for high, low in lids) / len(lids) / _width(points, corners)
        for lids, corners in (
            (topology.LEFT_LIDS, topology.LEFT_EYE_CORNERS),
            (topology.RIGHT_LIDS, topology.RIGHT_EYE_CORNERS),
        )
    )


def _width(points: Points, ends: tuple[int, int]) -> float:
    return max(_length(points[ends[1]] - points[ends[0]]), 1e-6)


def _length(vector: Points) -> float:
    return float(np.hypot(*vector))
