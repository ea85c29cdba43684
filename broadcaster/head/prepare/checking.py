"""`broadcaster avatar check` for what was prepared: every file, its hash, shapes and ranges. Reads only.

What an avatar's folder must hold in any case is judged by whoever expands it (`studio.avatar_source`).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml
from pydantic import ValidationError

from broadcaster.config.avatar import ClipManifest, StillManifest, manifest_of
from broadcaster.config.persona import MANIFEST
from broadcaster.errors import AssetError
from broadcaster.head.prepare.report import REPORT
from broadcaster.head.prepare.writing import KEYFRAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

AGAIN: Final = "prepare the avatar again"

SHAPES: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "mesh": ("float32", (468, 2)),
    "boxes": ("int32", (4,)),
    "masks": ("uint8", (64, 64)),
    "source": ("int32", ()),
}
"""Array of faces.npz -> its type and the shape of one entry."""

SLACK: Final = 0.1
"""Of the picture's size: a mesh may reach over the edge by so much when its face is at the edge."""


def manifest_in(folder: Path) -> StillManifest | ClipManifest:
    """avatar.yaml, checked. Raises AssetError that names every wrong key."""
    path = folder / MANIFEST
    try:
        return manifest_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror} -> restore it") from err
    except ValidationError as err:
        faults = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in err.errors())
        raise AssetError(f"{path}: {faults} -> correct it (docs/face.md)") from err
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise AssetError(f"{path}: not readable as YAML: {str(err).splitlines()[0]} -> correct it") from err


def _place(loc: tuple[int | str, ...]) -> str:
    """A key's place; the number in front says only which kind of avatar was assumed."""
    return ".".join(map(str, loc[1:] if loc and isinstance(loc[0], int) else loc)) or "file"


def report_in(folder: Path) -> dict[str, Any]:
    """report.json; {} where there is none."""
    try:
        data = json.loads((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with a prepared avatar, "file: what -> what to do" each."""
    try:
        manifest = manifest_in(folder)
    except AssetError as err:
        yield str(err)
        return
    if manifest.name != folder.name:
        yield f"{folder / MANIFEST}: name: it says {manifest.name!r} -> write the folder's name, {folder.name!r}"
    if manifest.depicts_real_person and not manifest.consent:
        yield f"{folder / MANIFEST}: consent: a real person is shown -> say who allowed it, when and for what"
    yield from _changed(folder)
    if isinstance(manifest, ClipManifest):
        yield from _clip(folder, manifest)


def _changed(folder: Path) -> Iterator[str]:
    files = report_in(folder).get("files", {})
    for name, entry in files.items() if isinstance(files, dict) else ():
        path = folder / name
        if not path.is_file():
            yield f"{path}: missing -> restore it, or {AGAIN}"
        elif name != MANIFEST and isinstance(entry, dict) and _digest(path) != entry.get("sha256"):
            yield f"{path}: not as it was prepared (other SHA-256) -> restore it, or {AGAIN}"


def _clip(folder: Path, manifest: ClipManifest) -> Iterator[str]:
    path = folder / manifest.clip
    try:
        size, fps, pictures = clip_facts(path)
    except AssetError as err:
        yield str(err)
        return
    for name, gesture in manifest.gestures.items():
        if gesture.end <= gesture.start or gesture.end > pictures / fps + 0.02:
            yield (
                f"{folder / MANIFEST}: gestures.{name}: {gesture.start:g} to {gesture.end:g} s is no stretch of a "
                f"loop of {pictures / fps:.2f} s -> correct it"
            )
    for part in (manifest.inner_mouth.upper, manifest.inner_mouth.lower):
        if not (folder / part.file).is_file():
            yield f"{folder / part.file}: missing -> restore it, or {AGAIN}"
    yield from _faces(folder / manifest.faces, size, pictures)


def _faces(path: Path, size: tuple[int, int], pictures: int) -> Iterator[str]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            faces = {name: stored[name] for name in (*SHAPES, "rest")}
    except FileNotFoundError:
        yield f"{path}: missing -> restore it, or {AGAIN}"
        return
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as err:
        yield f"{path}: damaged ({err}) -> restore it, or {AGAIN}"
        return
    sound = True
    for name, (kind, shape) in SHAPES.items():
        found = faces[name]
        if found.shape != (pictures, *shape) or found.dtype != kind:
            sound = False
            yield (
                f"{path}: {name}: {found.dtype} {found.shape}; for the clip's {pictures} pictures it must be "
                f"{kind} {(pictures, *shape)} -> {AGAIN}"
            )
    if sound:
        yield from _ranges(path, faces, size, pictures)


def _ranges(path: Path, faces: dict[str, NDArray[Any]], size: tuple[int, int], pictures: int) -> Iterator[str]:
    mesh, boxes, rest = faces["mesh"], faces["boxes"], faces["rest"]
    reach = np.array(size) * SLACK
    if not np.isfinite(mesh).all() or (mesh < -reach).any() or (mesh > np.array(size) + reach).any():
        yield f"{path}: mesh: points outside of the picture of {size[0]}x{size[1]} -> {AGAIN}"
    if ((boxes[:, 2] - boxes[:, 0] < 8) | (boxes[:, 3] - boxes[:, 1] < 8)).any():
        yield f"{path}: boxes: a crop without an extent -> {AGAIN}"
    if rest.shape != () or not 0 <= int(rest) < pictures:
        yield f"{path}: rest: {rest!r} is no picture of the clip -> {AGAIN}"


def clip_facts(path: Path) -> tuple[tuple[int, int], int, int]:
    """((width, height), pictures per second, pictures), from packets, without decoding. Raises AssetError."""
    import av
    import av.error

    if not path.is_file():
        raise AssetError(f"{path}: missing -> restore it, or {AGAIN}")
    try:
        with av.open(str(path), options={"format_whitelist": "matroska,webm", "protocol_whitelist": "file"}) as clip:
            stream = clip.streams.video[0]
            rate = stream.average_rate
            keys = [packet.is_keyframe for packet in clip.demux(stream) if packet.size]
    except (av.error.FFmpegError, OSError, IndexError) as err:
        raise AssetError(
            f"{path}: damaged ({getattr(err, 'strerror', None) or err}) -> restore it, or {AGAIN}"
        ) from err
    if not keys or not rate or any(not key for key in keys[::KEYFRAMES]):
        raise AssetError(f"{path}: not a clip made by `avatar prepare` (keyframes every {KEYFRAMES}) -> {AGAIN}")
    return (stream.width, stream.height), round(rate), len(keys)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
