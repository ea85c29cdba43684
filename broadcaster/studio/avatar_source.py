"""An avatar's folder: avatar.yaml with stills and landmarks, or with a clip and its faces; read and checked.

Runs in set-up only. All coordinates in the folder are pixels of the still or of the clip, x to the right and y down,
as (x, y) pairs.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml
from pydantic import ValidationError

from broadcaster.config.avatar import ClipManifest, Overlay, StillManifest, manifest_of
from broadcaster.config.persona import MANIFEST
from broadcaster.errors import AssetError
from broadcaster.face import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE_LIMIT: Final = 64 * 1024 * 1024
"""A shipped avatar is a handful of compressed stills; a bigger file is not one of them."""

POINT_SETS: Final = {"lips_outer": 12, "lip_line": 5, "face_oval": 8, "left_eye": 4, "right_eye": 4, "shoulders": 2}
"""Landmark sets every avatar must have, with the least number of points in each.

`lips_outer` runs from the left mouth corner (left in the picture) over the upper lip to the right corner and back
below; `lip_line` is where the closed lips meet, left corner to right corner; `shoulders` are their outermost points.
"""

SINGLE_POINTS: Final = ("chin", "nose_base", "neck")

UNSEEN: Final = frozenset({"title", "depicts_real_person", "licence", "credits", "consent", "engine", "voice"})
"""Keys of the manifest that change no picture and no face."""

MESH_SET: Final = "mesh"
"""The set of the 468 mesh points in a still's landmarks; an avatar without it has no neural engine."""

FACE_FILES: Final = ("mesh", "boxes", "masks", "rest", "source")
"""What the NPZ file of a clip holds."""


@dataclass(frozen=True, slots=True)
class AvatarSource:
    """A read and checked folder of a still. `landmarks` maps a set's name to its points, float64 (n, 2).

    `mesh`: float32 (468, 2) of the face at rest, or None.
    """

    root: Path
    manifest: StillManifest
    landmarks: dict[str, NDArray[np.float64]]
    mesh: NDArray[np.float32] | None = None

    def still(self) -> NDArray[np.uint8]:
        """The neutral picture with closed mouth, BGR uint8 (h, w, 3)."""
        return read_picture(self.root / self.manifest.still, 3)

    def overlay(self, part: Overlay, channels: int) -> NDArray[np.uint8]:
        return read_picture(self.root / part.file, channels)


@dataclass(frozen=True, slots=True)
class ClipFaces:
    """The face in each frame of a clip (`config.avatar.ClipManifest`), shapes and numbers checked."""

    mesh: NDArray[np.float32]
    """(frames, 468, 2), clip pixels."""
    boxes: NDArray[np.int32]
    """(frames, 4): left, top, right, bottom."""
    masks: NDArray[np.uint8]
    """(frames, 64, 64)."""
    rest: int
    source: NDArray[np.int32]
    """(frames,): equal numbers, equal pictures."""


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A read and checked folder of a clip; its faces are read when asked for."""

    root: Path
    manifest: ClipManifest

    @property
    def clip(self) -> Path:
        return self.root / self.manifest.clip

    def overlay(self, part: Overlay, channels: int) -> NDArray[np.uint8]:
        return read_picture(self.root / part.file, channels)

    def faces(self) -> ClipFaces:
        """Raises AssetError that says what is wrong with the file."""
        return _load_faces(self.root / self.manifest.faces)


def opencv() -> Any:
    """OpenCV, imported only where pictures are worked on: playout maps an expanded avatar without it."""
    import cv2

    return cv2


def fingerprint(source: AvatarSource | ClipSource) -> str:
    """12 hex digits over all that is seen of an avatar: the same gives the same expanded avatar.

    Voice, engine and texts are left out, and files that the manifest does not name (a voice's recording, a report).
    """
    manifest = source.manifest
    inner = manifest.inner_mouth
    if isinstance(manifest, ClipManifest):
        named = [manifest.clip, manifest.faces]
    else:
        named = [manifest.still, manifest.landmarks, *(part.file for part in manifest.blink)]
    digest = hashlib.sha256(manifest.model_dump_json(exclude=set(UNSEEN)).encode())
    for name in (*named, inner.upper.file, inner.lower.file):
        path = source.root / name
        try:
            with path.open("rb") as file:
                digest.update(f"{name}\0{path.stat().st_size}\0".encode())
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as err:
            raise AssetError(f"{path}: cannot be read: {err.strerror}") from err
    return digest.hexdigest()[:12]


def load_source(root: Path) -> AvatarSource | ClipSource:
    """Reads and checks an avatar folder. Raises AssetError naming file, fault and remedy."""
    path = root / MANIFEST
    try:
        manifest = manifest_of(yaml.safe_load(_read(path).decode("utf-8")))
    except ValidationError as err:
        faults = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in err.errors())
        raise AssetError(f"{path}: {faults}") from err
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise AssetError(f"{path}: not readable as YAML: {str(err).splitlines()[0]}") from err
    for name, gesture in manifest.gestures.items():
        if gesture.end <= gesture.start:
            raise AssetError(f"{path}: gestures.{name}: ends at {gesture.end} s, before it starts")
    if isinstance(manifest, ClipManifest):
        for file in (manifest.clip, manifest.faces):
            if not (root / file).is_file():
                raise AssetError(f"{root / file}: missing; restore the avatar folder or choose another avatar")
        return ClipSource(root, manifest)
    for stated in manifest.idle.blinks:
        if stated >= manifest.idle.seconds:
            raise AssetError(
                f"{path}: idle.blinks: {stated} is after the end of the loop ({manifest.idle.seconds} s)"
            )
    check_gestures(manifest, manifest.idle.seconds, path)
    landmarks, mesh = _load_landmarks(root / manifest.landmarks)
    return AvatarSource(root, manifest, landmarks, mesh)


def check_gestures(manifest: StillManifest | ClipManifest, seconds: float, path: Path) -> None:
    """Raises AssetError for a gesture after the end of the loop."""
    for name, gesture in manifest.gestures.items():
        if gesture.end > seconds + 1e-6:
            raise AssetError(f"{path}: gestures.{name}: {gesture.end} s is after the end of the loop ({seconds:g} s)")


def _place(loc: tuple[int | str, ...]) -> str:
    """Where a fault is, without the number of the format that pydantic puts before it."""
    keys = loc[1:] if loc and loc[0] in (1, 2) else loc
    return ".".join(map(str, keys)) or ("format" if loc else "file")


def read_picture(path: Path, channels: int) -> NDArray[np.uint8]:
    """A picture file as uint8 (h, w, channels): BGR or BGRA. Raises AssetError."""
    cv2 = opencv()
    data = np.frombuffer(_read(path), dtype=np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if picture is None:
        raise AssetError(f"{path}: not a picture that can be read (PNG, JPEG or WebP); restore the file")
    if picture.ndim != 3 or picture.shape[2] != channels or picture.dtype != np.uint8:
        kind = "colour with transparency" if channels == 4 else "colour without transparency"
        raise AssetError(f"{path}: shape {picture.shape}, {picture.dtype}; must be 8-bit {kind}")
    return np.ascontiguousarray(picture, dtype=np.uint8)


def _load_landmarks(path: Path) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32] | None]:
    try:
        document = json.loads(_read(path))
    except ValueError as err:
        raise AssetError(f"{path}: not readable as JSON: {err}") from err
    if not isinstance(document, dict):
        raise AssetError(f"{path}: must be an object of point lists")
    sets: dict[str, NDArray[np.float64]] = {}
    for name, least in {**POINT_SETS, **dict.fromkeys(SINGLE_POINTS, 1)}.items():
        try:
            points = np.asarray(document[name], dtype=np.float64).reshape(-1, 2)
        except KeyError:
            raise AssetError(f"{path}: the point set {name!r} is missing") from None
        except (TypeError, ValueError) as err:
            raise AssetError(f"{path}: {name}: must be a list of [x, y] pairs") from err
        if len(points) < least or not np.isfinite(points).all():
            raise AssetError(f"{path}: {name}: {len(points)} points, at least {least} finite ones are needed")
        sets[name] = points
    line = sets["lip_line"]
    if not (np.diff(line[:, 0]) > 0).all():
        raise AssetError(f"{path}: lip_line: x must grow from the left corner to the right one (a frontal face)")
    return sets, _mesh_in(document, path)


def _mesh_in(document: dict[str, Any], path: Path) -> NDArray[np.float32] | None:
    if MESH_SET not in document:
        return None
    try:
        mesh = np.asarray(document[MESH_SET], dtype=np.float32)
    except (TypeError, ValueError) as err:
        raise AssetError(f"{path}: {MESH_SET}: must be a list of [x, y] pairs") from err
    if mesh.shape != (topology.POINTS, 2) or not np.isfinite(mesh).all():
        raise AssetError(f"{path}: {MESH_SET}: shape {mesh.shape}; {topology.POINTS} finite points are needed")
    return mesh


def _load_faces(path: Path) -> ClipFaces:
    remedy = "prepare the avatar again with `broadcaster avatar prepare`"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            mesh, boxes, masks, rest, source = (stored[name] for name in FACE_FILES)
    except FileNotFoundError as err:
        raise AssetError(f"{path}: missing; restore the avatar folder or choose another avatar") from err
    except KeyError as err:
        raise AssetError(f"{path}: {err.args[0]}; {remedy}") from err
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
        raise AssetError(f"{path}: damaged ({err}); {remedy}") from err
    count = len(source) if source.ndim == 1 else 0
    wanted = {
        "mesh": (mesh, np.float32, (count, topology.POINTS, 2)),
        "boxes": (boxes, np.int32, (count, 4)),
        "masks": (masks, np.uint8, (count, 64, 64)),
        "source": (source, np.int32, (count,)),
    }
    for name, (array, kind, shape) in wanted.items():
        if array.shape != shape or array.dtype != kind or count == 0:
            raise AssetError(
                f"{path}: {name}: {array.dtype} {array.shape}; must be {np.dtype(kind)} {shape}; {remedy}"
            )
    if rest.size != 1 or not 0 <= int(rest.reshape(-1)[0]) < count:
        raise AssetError(f"{path}: rest: must be one of the {count} frames; {remedy}")
    if not np.isfinite(mesh).all() or (boxes[:, :2] >= boxes[:, 2:]).any():
        raise AssetError(f"{path}: holds a mesh that is not finite or a box without area; {remedy}")
    return ClipFaces(mesh, boxes, masks, int(rest.reshape(-1)[0]), source)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise AssetError(f"{path}: larger than {SIZE_LIMIT >> 20} MiB, so not a part of an avatar")
        return path.read_bytes()
    except FileNotFoundError as err:
        raise AssetError(f"{path}: missing; restore the avatar folder or choose another avatar") from err
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror}") from err
