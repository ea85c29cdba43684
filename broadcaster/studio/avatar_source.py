"""An avatar as it is shipped: avatar.yaml, compressed stills and landmarks, read and checked. Runs in set-up only.

All coordinates in the folder are pixels of the still, x to the right and y down, as (x, y) pairs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml
from pydantic import ValidationError

from broadcaster.config.avatar import Overlay, StillManifest
from broadcaster.config.persona import MANIFEST
from broadcaster.errors import AssetError

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


@dataclass(frozen=True, slots=True)
class AvatarSource:
    """A read and checked avatar folder. `landmarks` maps a set's name to its points, float64 (n, 2)."""

    root: Path
    manifest: StillManifest
    landmarks: dict[str, NDArray[np.float64]]

    def still(self) -> NDArray[np.uint8]:
        """The neutral picture with closed mouth, BGR uint8 (h, w, 3)."""
        return read_picture(self.root / self.manifest.still, 3)

    def overlay(self, part: Overlay, channels: int) -> NDArray[np.uint8]:
        return read_picture(self.root / part.file, channels)


def opencv() -> Any:
    """OpenCV, imported only where pictures are worked on: playout maps an expanded avatar without it."""
    import cv2

    return cv2


def fingerprint(root: Path) -> str:
    """12 hex digits over every file of the folder: the same data gives the same expanded avatar."""
    digest = hashlib.sha256()
    try:
        files = sorted(path for path in root.iterdir() if path.is_file())
        for path in files:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    except OSError as err:
        raise AssetError(f"avatar {root}: cannot be read: {err.strerror}") from err
    return digest.hexdigest()[:12]


def load_source(root: Path) -> AvatarSource:
    """Reads and checks an avatar folder. Raises AssetError naming file, fault and remedy."""
    path = root / MANIFEST
    try:
        document = yaml.safe_load(_read(path).decode("utf-8"))
        manifest = StillManifest.model_validate(document)
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in err.errors())
        raise AssetError(f"{path}: {faults}") from err
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise AssetError(f"{path}: not readable as YAML: {str(err).splitlines()[0]}") from err
    for stated in manifest.idle.blinks:
        if stated >= manifest.idle.seconds:
            raise AssetError(
                f"{path}: idle.blinks: {stated} is after the end of the loop ({manifest.idle.seconds} s)"
            )
    return AvatarSource(root, manifest, _load_landmarks(root / manifest.landmarks))


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


def _load_landmarks(path: Path) -> dict[str, NDArray[np.float64]]:
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
    return sets


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise AssetError(f"{path}: larger than {SIZE_LIMIT >> 20} MiB, so not a part of an avatar")
        return path.read_bytes()
    except FileNotFoundError as err:
        raise AssetError(f"{path}: missing; restore the avatar folder or choose another avatar") from err
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror}") from err
