"""Writes the folder of an expanded avatar (see `avatar`). Runs in set-up only; the caller locks and renames."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.studio.avatar import CODED, FIRST, INNER_PARTS, RAW
from broadcaster.studio.avatar_clip import ClipLoop, check_length
from broadcaster.studio.avatar_faces import FrameFaces, PictureView, faces_of_still, mouth_box, moving_boxes
from broadcaster.studio.avatar_source import AvatarSource, ClipSource, opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.studio.coded import Picture
    from broadcaster.types import MouthBox

CODED_SHARE: Final = 0.05
"""A coded picture takes less than this share of a raw one (31 Mbit/s at 1080p)."""

Progress = Callable[[int, int], None]


class _Loop(Protocol):
    """What `IdleLoop` and `ClipLoop` have in common."""

    frames: int
    fps: int
    landmarks: dict[str, NDArray[np.float64]]
    motion: NDArray[np.float64]

    @property
    def view(self) -> PictureView: ...

    def __iter__(self) -> Iterator[Picture]: ...


def write_pack(
    source: AvatarSource | ClipSource,
    folder: Path,
    width: int,
    height: int,
    fps: int,
    budget: int,
    progress: Progress | None = None,
) -> None:
    """Everything of the pack into the empty `folder`. Raises AssetError, OSError."""
    loop: _Loop
    faces: FrameFaces | None
    if isinstance(source, ClipSource):
        clip = ClipLoop(source, width, height, fps)
        loop, faces, numbers = clip, clip.faces, clip.source_frames
        at_rest = mouth_box(loop.landmarks, width, height)
        box, corners = moving_boxes(at_rest, loop.motion, width, height)
        as_it_is = source.clip if clip.as_it_is and _is_cheap(source.clip, loop.frames, width, height, fps) else None
    else:
        from broadcaster.studio.avatar_loop import IdleLoop

        idle = IdleLoop(source, width, height, fps)
        loop, numbers, as_it_is = idle, np.arange(idle.frames, dtype=np.int32), None
        box = mouth_box(loop.landmarks, width, height)
        corners = np.tile(np.array([box.x, box.y], dtype=np.int32), (loop.frames, 1))
        mesh, mouth = source.mesh, source.manifest.mouth
        faces = None if mesh is None else faces_of_still(mesh, loop.motion, mouth, idle.view)
    base = _write_base(loop, folder, width, height, budget, as_it_is, progress)
    _write_inner(source, loop.view, box, folder / "inner.npz")
    np.savez(folder / "frames.npz", motion=loop.motion, corners=corners, source=numbers)
    if faces is not None:
        for name, array in (("mesh", faces.mesh), ("crops", faces.crops), ("masks", faces.masks)):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    manifest = source.manifest
    facts = {
        "name": manifest.name,
        "kind": "clip" if isinstance(source, ClipSource) else "still",
        "width": width,
        "height": height,
        "fps": fps,
        "loop_frames": loop.frames,
        "base": base.name,
        "bytes": base.stat().st_size,
        "mesh": faces is not None,
        "mouth_box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "mouth": manifest.mouth.model_dump(),
        "gestures": {name: gesture.model_dump() for name, gesture in manifest.gestures.items()},
        "landmarks": {name: points.tolist() for name, points in loop.landmarks.items()},
    }
    (folder / "pack.json").write_text(json.dumps(facts))
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _write_base(
    loop: _Loop, folder: Path, width: int, height: int, budget: int, as_it_is: Path | None, progress: Progress | None
) -> Path:
    """Raw pictures if they fit into the budget, else a file of short groups: `as_it_is` if that is one."""
    size = width * height * 3 // 2
    raw = loop.frames * size
    pictures = iter(loop)
    if raw <= budget:
        _check_room(folder, raw)
        path = folder / RAW
        with path.open("wb") as file:
            for done, planes in enumerate(pictures, start=1):
                for plane in planes:
                    file.write(plane.tobytes())
                if progress is not None:
                    progress(done, loop.frames)
        return path
    path = folder / CODED
    if as_it_is is not None:
        _take_over(as_it_is, path, loop.frames)
        _write_first(folder, next(pictures))
        if progress is not None:
            progress(loop.frames, loop.frames)
        return path
    from broadcaster.studio.coded import CodedWriter

    _check_room(folder, round(raw * CODED_SHARE))
    writer = CodedWriter(path, width, height, loop.fps, loop.frames, budget)
    for done, planes in enumerate(pictures, start=1):
        if done == 1:
            _write_first(folder, planes)
        writer.add(planes)
        if progress is not None:
            progress(done, loop.frames)
    writer.close()
    return path


def _is_cheap(clip: Path, frames: int, width: int, height: int, fps: int) -> bool:
    from broadcaster.studio.coded import rate_limit

    return clip.stat().st_size * 8 * fps / frames / 1000 <= 1.2 * rate_limit(width, height, fps)


def _take_over(clip: Path, path: Path, frames: int) -> None:
    """The clip under another name, on the same file system without a copy. Its pictures are counted, not decoded:
    `broadcaster avatar check` does that."""
    from broadcaster.studio.coded import count_pictures

    check_length(clip, count_pictures(clip), frames)
    try:
        os.link(clip, path)
    except OSError:
        _check_room(path.parent, clip.stat().st_size)
        shutil.copyfile(clip, path)


def _write_first(folder: Path, planes: Picture) -> None:
    with (folder / FIRST).open("wb") as file:
        for plane in planes:
            file.write(plane.tobytes())


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise AssetError(
            f"{folder.parent}: {free >> 20} MiB free, the avatar needs {needed >> 20} MiB; make room there"
        )


def _write_inner(source: AvatarSource | ClipSource, view: PictureView, box: MouthBox, path: Path) -> None:
    """Brings the two pictures of the inner mouth onto the grid of the mouth box."""
    from broadcaster.studio.avatar_loop import to_i420

    cv2: Any = opencv()
    arrays: dict[str, NDArray[np.uint8]] = {}
    across, down = view.scales
    for part in INNER_PARTS:
        overlay = getattr(source.manifest.inner_mouth, part)
        picture = source.overlay(overlay, 4).astype(np.float32)
        if across < 1.0:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(1 / across**2 - 1))
        corner = view.to_picture(np.array([[overlay.x, overlay.y]], dtype=np.float64))[0]
        matrix = np.array([[across, 0, corner[0] - box.x], [0, down, corner[1] - box.y]])
        opaque = picture[:, :, :3].copy()
        size = (box.width, box.height)
        placed = cv2.warpAffine(opaque, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(picture[:, :, 3], matrix, size, flags=cv2.INTER_LINEAR)
        y, u, v = to_i420(placed)
        arrays |= {f"{part}_y": y, f"{part}_u": u, f"{part}_v": v}
        arrays[f"{part}_alpha"] = np.clip(np.rint(alpha), 0, 255).astype(np.uint8)
    np.savez(path, **arrays)  # type: ignore[arg-type]
