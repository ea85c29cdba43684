"""What is to be seen in each picture of a video: the face, or why the picture cannot be used. One thread.

Every `FIND_EVERY`th picture is looked at as a whole, the others where the face was in the picture before, if there
was one. So what is seen depends on no picture before the last multiple, and work that was broken off goes on there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.face.landmarks import face_width
from broadcaster.head.prepare.covered import TRACE, trace_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.head.prepare.mesh import FaceMesher, FoundFace

FIND_EVERY: Final = 5
"""Pictures; another face that comes in is seen within a fifth of a second."""

OTHER_FACE: Final = 0.4
"""A second face at least so wide, as a share of the first, is another person; a smaller one is background."""

NARROWEST: Final = 100.0
"""Pixels from ear to ear; the crop of a smaller face is blown up to more than twice its size by the engines."""

MOST_YAW: Final = 30.0
MOST_PITCH: Final = 28.0
MOST_ROLL: Final = 25.0
"""Degrees. Further turned, one half of the mouth hides behind the other, and the engines have seen few such faces."""

LEAST_MESH_SCORE: Final = 0.8
"""Below it something covers the eyes, or the face is blurred. What covers the mouth alone, `covered` finds."""

LOOK_WIDTH: Final = 96
"""Pixels of the small grey picture that the seam is searched with."""


class Fault(IntEnum):
    """Why a picture cannot be used. The values are stored."""

    NONE = 0
    NO_FACE = 1
    TWO_FACES = 2
    TURNED = 3
    SMALL = 4
    CUT_OFF = 5
    COVERED = 6


FAULTS: Final = {
    Fault.NO_FACE: "no face",
    Fault.TWO_FACES: "more than one face",
    Fault.TURNED: "the head is turned too far",
    Fault.SMALL: f"the face is less than {NARROWEST:.0f} pixels wide",
    Fault.CUT_OFF: "the face is cut off by the edge",
    Fault.COVERED: "the face is covered or blurred",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture. `mesh` float32 (468, 2) in its pixels, NaN without a face; angles in degrees."""

    fault: Fault
    faces: int
    """Faces seen when the picture was last looked at as a whole."""
    mesh_score: float
    yaw: float
    pitch: float
    roll: float
    mesh: NDArray[np.float32]
    trace: NDArray[np.uint8]
    """What `covered` needs of the mouth; zeros without a face."""
    look: NDArray[np.uint8]
    """The whole picture in grey, LOOK_WIDTH wide."""


class Looker:
    """Looks at pictures in order, beginning at any multiple of FIND_EVERY."""

    def __init__(self, mesher: FaceMesher) -> None:
        self._mesher = mesher
        self._before: FoundFace | None = None
        self._faces = 0
        self._crowd = False

    def look(self, number: int, bgr: NDArray[np.uint8]) -> Seen:
        before = self._before if number % FIND_EVERY else None
        face = None if before is None else self._mesher.follow(bgr, before)
        if face is None:
            found = self._mesher.find(bgr)
            face, self._faces = (found[0] if found else None), len(found)
            self._crowd = len(found) > 1 and face_width(found[1].mesh) >= OTHER_FACE * face_width(found[0].mesh)
        self._before = face
        return _seen(face, self._faces, self._crowd, bgr)


def _seen(face: FoundFace | None, faces: int, crowd: bool, bgr: NDArray[np.uint8]) -> Seen:
    look = small_grey(bgr)
    if face is None:
        nothing = np.full((468, 2), np.nan, dtype=np.float32)
        return Seen(Fault.NO_FACE, 0, 0.0, 0.0, 0.0, 0.0, nothing, np.zeros(TRACE, dtype=np.uint8), look)
    trace = trace_of(bgr, face.mesh)
    seen = Seen(Fault.NONE, faces, face.mesh_score, face.yaw, face.pitch, face.roll, face.mesh, trace, look)
    return replace(seen, fault=fault_of(face, crowd, (bgr.shape[1], bgr.shape[0])))


def fault_of(face: FoundFace, crowd: bool, size: tuple[int, int]) -> Fault:
    """What keeps this face from being used; `size` is the picture's (width, height)."""
    if crowd:
        return Fault.TWO_FACES
    if face_width(face.mesh) / max(np.cos(np.radians(face.yaw)), 0.5) < NARROWEST:
        return Fault.SMALL
    if abs(face.yaw) > MOST_YAW or abs(face.pitch) > MOST_PITCH or abs(face.roll) > MOST_ROLL:
        return Fault.TURNED
    low, high = face.mesh.min(axis=0), face.mesh.max(axis=0)
    if (low < 0).any() or high[0] > size[0] - 1 or high[1] > size[1] - 1:
        return Fault.CUT_OFF
    return Fault.COVERED if face.mesh_score < LEAST_MESH_SCORE else Fault.NONE


def look_height(width: int, height: int) -> int:
    """Height of the small picture of one of this size."""
    return max(8, round(LOOK_WIDTH * height / width))


def small_grey(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height, width = bgr.shape[:2]
    small = cv2.resize(bgr, (LOOK_WIDTH, look_height(width, height)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
