"""Avatars expanded for one picture size and frame rate: made once at set-up, mapped read-only by playout and head.

An expanded avatar is a folder of the cache, named by avatar, size, rate and a hash of all that went into it:

    base.i420    loop_frames pictures, I420, one after the other
    inner.npz    the inside of the mouth on the grid of the mouth box: y, u, v and alpha of `upper` and `lower`
    pack.json    size, rate, mouth box, landmarks at rest and the head's affine motion in every frame

It is written under another name and renamed when complete, so a folder of that name is whole.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.types import FaceCrop, MouthBox, Plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.studio.avatar_loop import IdleLoop
    from broadcaster.studio.avatar_source import AvatarSource

EXPANSION: Final = 1
"""Raised whenever the same avatar data would expand to something else."""

INNER_PARTS: Final = ("upper", "lower")


@dataclass(frozen=True, slots=True)
class ExpandedAvatar:
    """An avatar ready for the air (ports `AvatarPack` and `FacePack`). Made by `expand` or `open_pack`."""

    root: Path
    name: str
    width: int
    height: int
    fps: int
    loop_frames: int
    mouth_box: MouthBox
    landmarks: Mapping[str, NDArray[np.float64]]
    """Point sets at rest, in picture pixels, float64 (n, 2)."""
    motion: NDArray[np.float64]
    """(loop_frames, 2, 3): affine of the head in each base frame; takes `landmarks` to where they are there."""
    _base: NDArray[np.uint8]

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        """Read-only Y (h, w), U and V (h/2, w/2) of base frame `index` (0 .. loop_frames - 1)."""
        luma, chroma = self.height * self.width, self.height * self.width // 4
        data = self._base[index]
        half = (self.height // 2, self.width // 2)
        return (
            data[:luma].reshape(self.height, self.width),
            data[luma : luma + chroma].reshape(half),
            data[luma + chroma :].reshape(half),
        )

    def points(self, name: str, index: int) -> NDArray[np.float64]:
        """A landmark set as it lies in base frame `index`."""
        affine = self.motion[index]
        return np.asarray(self.landmarks[name] @ affine[:, :2].T + affine[:, 2])

    @property
    def mouth(self) -> Mouth:
        return Mouth()

    @property
    def source_frames(self) -> NDArray[np.int32]:
        return np.arange(self.loop_frames, dtype=np.int32)

    def mouth_box_at(self, index: int) -> MouthBox:
        return self.mouth_box

    def mesh(self, index: int) -> NDArray[np.float32]:
        raise AssetError(f"avatar {self.name} has no face mesh: prepare it again with `broadcaster avatar prepare`")

    def crop(self, index: int) -> FaceCrop:
        raise AssetError(f"avatar {self.name} has no face mesh: prepare it again with `broadcaster avatar prepare`")

    def inner_mouth(self, part: str) -> tuple[Plane, Plane, Plane, Plane]:
        """Y, U, V and alpha of `part` ("upper" or "lower") on the mouth box's grid, at rest. Raises AssetError."""
        path = self.root / "inner.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                y, u, v, alpha = (stored[f"{part}_{plane}"] for plane in ("y", "u", "v", "alpha"))
        except (OSError, KeyError, ValueError) as err:
            raise AssetError(f"{path}: damaged; remove {self.root} and it will be made again") from err
        return y, u, v, alpha


def expand(
    avatar_dir: Path,
    cache: Path,
    width: int,
    height: int,
    fps: int,
    progress: Callable[[int, int], None] | None = None,
) -> ExpandedAvatar:
    """The expanded form of the avatar in `avatar_dir`, made under `cache` unless it is there already.

    `progress` is told (frames done, frames in all). Raises AssetError.
    """
    from broadcaster.studio.avatar_source import fingerprint, load_source

    source = load_source(avatar_dir)
    folder = cache / "avatars"
    target = folder / f"{source.manifest.name}-{width}x{height}@{fps}-{fingerprint(avatar_dir)}.{EXPANSION}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                for left_over in folder.glob(".making-*"):
                    shutil.rmtree(left_over)
                making = folder / f".making-{target.name}"
                making.mkdir(mode=0o700)
                _write(source, making, width, height, fps, progress)
                making.rename(target)
                _forget_older(target)
    except OSError as err:
        raise AssetError(f"{folder}: the avatar cannot be expanded there: {err.strerror or err}") from err
    return open_pack(target)


def _forget_older(target: Path) -> None:
    """Keeps this expansion and the one before it, which a running channel may still open; each is hundreds of MB."""
    others = [p for p in target.parent.glob(f"{target.name.rpartition('-')[0]}-*") if p != target]
    for old in sorted(others, key=lambda p: p.stat().st_mtime_ns)[:-1]:
        shutil.rmtree(old)


def open_pack(root: Path) -> ExpandedAvatar:
    """Maps an expanded avatar. Raises AssetError when it is missing or damaged."""
    remedy = f"remove {root} and it will be made again"
    try:
        facts = json.loads((root / "pack.json").read_bytes())
        width, height, fps, frames = (int(facts[key]) for key in ("width", "height", "fps", "loop_frames"))
        landmarks = {name: np.asarray(points, dtype=np.float64) for name, points in facts["landmarks"].items()}
        motion = np.asarray(facts["motion"], dtype=np.float64).reshape(frames, 2, 3)
        box = MouthBox(*(int(facts["mouth_box"][key]) for key in ("x", "y", "width", "height")))
        name = str(facts["name"])
        with (root / "base.i420").open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != frames * width * height * 3 // 2 or size == 0:
                raise AssetError(f"{root / 'base.i420'}: {size} bytes do not hold {frames} pictures; {remedy}")
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except FileNotFoundError as err:
        raise AssetError(f"{err.filename}: missing; {remedy}") from err
    except OSError as err:
        raise AssetError(f"{root}: cannot be read: {err.strerror}") from err
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise AssetError(f"{root / 'pack.json'}: damaged ({err}); {remedy}") from err
    base = np.frombuffer(mapped, dtype=np.uint8).reshape(frames, -1)
    for array in (motion, *landmarks.values()):
        array.flags.writeable = False
    return ExpandedAvatar(root, name, width, height, fps, frames, box, landmarks, motion, base)


def mouth_box(landmarks: Mapping[str, NDArray[np.float64]], width: int, height: int) -> MouthBox:
    """The region that speech may change: mouth, chin and a margin in which every warp dies out.

    Bounds are even, as I420 asks. Raises AssetError when the mouth lies outside the picture.
    """
    line = landmarks["lip_line"]
    mouth = float(np.hypot(*(line[-1] - line[0])))
    centre = float((line[0, 0] + line[-1, 0]) / 2)
    top = float(landmarks["nose_base"][0, 1]) - 0.15 * mouth
    bottom = float(landmarks["chin"][0, 1]) + 0.55 * mouth
    left, right = (2 * round((centre + side * 1.25 * mouth) / 2) for side in (-1, 1))
    y0, y1 = 2 * round(top / 2), 2 * round(bottom / 2)
    if mouth < 8 or left < 0 or y0 < 0 or right > width or y1 > height:
        raise AssetError(
            f"the mouth (about {mouth:.0f} pixels wide) does not fit into a picture of {width}x{height}: "
            "choose another video size, or change `focus` in the avatar's avatar.yaml"
        )
    return MouthBox(left, y0, right - left, y1 - y0)


def _write(
    source: AvatarSource, folder: Path, width: int, height: int, fps: int, progress: Callable[[int, int], None] | None
) -> None:
    from broadcaster.studio.avatar_loop import IdleLoop

    loop = IdleLoop(source, width, height, fps)
    box = mouth_box(loop.landmarks, width, height)
    needed = loop.frames * width * height * 3 // 2
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise AssetError(
            f"{folder.parent}: {free >> 20} MiB free, the avatar needs {needed >> 20} MiB; make room there"
        )
    with (folder / "base.i420").open("wb") as file:
        for done, planes in enumerate(loop, start=1):
            for plane in planes:
                file.write(plane.tobytes())
            if progress is not None:
                progress(done, loop.frames)
        file.flush()
        os.fsync(file.fileno())
    _write_inner(source, loop, box, folder / "inner.npz")
    facts = {
        "name": source.manifest.name,
        "title": source.manifest.title,
        "width": width,
        "height": height,
        "fps": fps,
        "loop_frames": loop.frames,
        "mouth_box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "landmarks": {name: points.tolist() for name, points in loop.landmarks.items()},
        "motion": loop.motion.tolist(),
    }
    with (folder / "pack.json").open("w") as text:
        json.dump(facts, text)
        text.flush()
        os.fsync(text.fileno())


def _write_inner(source: AvatarSource, loop: IdleLoop, box: MouthBox, path: Path) -> None:
    """Brings the two pictures of the inner mouth onto the grid of the mouth box."""
    from broadcaster.studio.avatar_loop import to_i420
    from broadcaster.studio.avatar_source import opencv

    cv2 = opencv()
    arrays: dict[str, NDArray[np.uint8]] = {}
    for part in INNER_PARTS:
        overlay = getattr(source.manifest.inner_mouth, part)
        picture = source.overlay(overlay, 4).astype(np.float32)
        scale = loop.view.scale
        if scale < 1.0:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
        corner = loop.view.to_picture(np.array([[overlay.x, overlay.y]], dtype=np.float64))[0]
        matrix = np.array([[scale, 0, corner[0] - box.x], [0, scale, corner[1] - box.y]])
        opaque = picture[:, :, :3].copy()
        size = (box.width, box.height)
        placed = cv2.warpAffine(opaque, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(picture[:, :, 3], matrix, size, flags=cv2.INTER_LINEAR)
        y, u, v = to_i420(placed)
        arrays |= {f"{part}_y": y, f"{part}_u": u, f"{part}_v": v}
        arrays[f"{part}_alpha"] = np.clip(np.rint(alpha), 0, 255).astype(np.uint8)
    np.savez(path, **arrays)  # type: ignore[arg-type]
