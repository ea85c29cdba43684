"""Avatars expanded for one picture size and frame rate: made once at set-up, read by playout and head.

An expanded avatar is a folder of the cache, named by avatar, size, rate and a hash of all that went into it:

    base.i420    loop_frames pictures, I420, one after the other; where that would take more disk than it may:
    base.mkv     the same pictures as H.264 in short groups, and first.i420, which stands in for damage
    inner.npz    the inside of the mouth on the grid of the mouth box: y, u, v and alpha of `upper` and `lower`
    frames.npz   for each base frame: affine of the head, corner of its mouth box, number of its picture
    mesh.npy, crops.npy, masks.npy    for each base frame, where the avatar has a face mesh
    engines/     what talking-head engines have made for themselves
    pack.json    kind, size, rate, mouth box, mouth settings, gestures and landmarks at rest

It is written under another name and renamed when complete, so a folder of that name is whole.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.config.avatar import Gesture, Mouth
from broadcaster.errors import AssetError
from broadcaster.studio.base_frames import BaseFrames, CodedFrames, FramesAhead, RawFrames, split
from broadcaster.types import FaceCrop, MouthBox, Plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.studio.avatar_source import AvatarSource, ClipSource

EXPANSION: Final = 2
"""Raised whenever the same avatar data would expand to something else."""

DISK_BUDGET: Final = 2_000_000_000
"""Bytes that raw pictures may take: 58 s of 720p at 25 a second, 25 s of 1080p."""

INNER_PARTS: Final = ("upper", "lower")

RAW: Final = "base.i420"
CODED: Final = "base.mkv"
FIRST: Final = "first.i420"

START_S: Final = 10.0
"""Decoding half a second of pictures takes 0.1 s; a disk that sleeps must wake."""


@dataclass(frozen=True, slots=True)
class PackFaces:
    """The mesh engines' part of a pack, mapped: mesh (frames, 468, 2), crops (frames, 4), masks (frames, 64, 64)."""

    mesh: NDArray[np.float32]
    crops: NDArray[np.int32]
    masks: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ExpandedAvatar:
    """An avatar ready for the air (ports `AvatarPack` and `FacePack`). Made by `expand` or `open_pack`."""

    root: Path
    name: str
    kind: str
    """"still" or "clip"."""
    width: int
    height: int
    fps: int
    loop_frames: int
    mouth_box: MouthBox
    mouth: Mouth
    gestures: Mapping[str, Gesture]
    """Stretches of the loop, in seconds from its start. Carried for what may play them; nothing does."""
    landmarks: Mapping[str, NDArray[np.float64]]
    """Point sets at rest, in picture pixels, float64 (n, 2)."""
    motion: NDArray[np.float64]
    """(loop_frames, 2, 3): affine of the head in each base frame; takes `landmarks` to where they are there."""
    source_frames: NDArray[np.int32]
    """(loop_frames,): 0 .. n - 1; equal numbers show the same picture with the same mesh and crop."""
    _corners: NDArray[np.int32]
    _faces: PackFaces | None
    _frames: BaseFrames

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        """Read-only Y (h, w), U and V (h/2, w/2) of base frame `index` (0 .. loop_frames - 1)."""
        return self._frames.planes(index)

    @property
    def decoded(self) -> bool:
        """The pictures are kept as a video file and decoded when they are shown."""
        return not isinstance(self._frames, RawFrames)

    @property
    def held(self) -> int:
        """How often another picture stood in for the wanted one: damaged, or not decoded in time."""
        return self._frames.held

    def on_air(self) -> ExpandedAvatar:
        """The same avatar for playout: a thread decodes pictures ahead where that is needed; `frame` never waits."""
        if not self.decoded:
            return self
        reader, first = _coded(self.root, self.width, self.height)
        ahead = FramesAhead(reader, self.loop_frames, first)
        ahead.filled(START_S)
        return replace(self, _frames=ahead)

    def close(self) -> None:
        """Ends the thread and closes the file, where there are any; `frame` must not be called after it."""
        self._frames.close()

    def disk_bytes(self) -> int:
        """What the folder takes on disk, engines' tensors included."""
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def summary(self) -> str:
        """Kind, length and how the pictures are kept, for people."""
        kept = "decoded while they are shown" if self.decoded else "uncompressed"
        meshless = "" if self.has_mesh else "; no face mesh: engines warp and still only"
        return (
            f"a {self.kind}, loop of {self.loop_frames / self.fps:.1f} s, {self.loop_frames} pictures {kept}, "
            f"{self.disk_bytes() / 1e6:.0f} MB on disk{meshless}"
        )

    def points(self, name: str, index: int) -> NDArray[np.float64]:
        """A landmark set as it lies in base frame `index`."""
        affine = self.motion[index]
        return np.asarray(self.landmarks[name] @ affine[:, :2].T + affine[:, 2])

    def mouth_box_at(self, index: int) -> MouthBox:
        x, y = self._corners[index]
        return MouthBox(int(x), int(y), self.mouth_box.width, self.mouth_box.height)

    @property
    def has_mesh(self) -> bool:
        return self._faces is not None

    def mesh(self, index: int) -> NDArray[np.float32]:
        return np.asarray(self._mapped().mesh[index])

    def crop(self, index: int) -> FaceCrop:
        faces = self._mapped()
        left, top, right, bottom = (int(value) for value in faces.crops[index])
        return FaceCrop(left, top, right, bottom, np.asarray(faces.masks[index]))

    def _mapped(self) -> PackFaces:
        if self._faces is None:
            raise AssetError(
                f"avatar {self.name} has no face mesh: prepare it again with `broadcaster avatar prepare`"
            )
        return self._faces

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
    *,
    budget: int = DISK_BUDGET,
    waiting: Callable[[], None] | None = None,
) -> ExpandedAvatar:
    """The expanded form of the avatar in `avatar_dir`, made under `cache` unless it is there already.

    `progress` is told (frames done, frames in all); `waiting` is called some times a second while another process
    makes an avatar there. `budget`: bytes that raw pictures may take. Raises AssetError.
    """
    from broadcaster.studio.avatar_source import load_source
    from broadcaster.studio.avatar_write import write_pack

    source = load_source(avatar_dir)
    folder = cache / "avatars"
    target = _target(source, folder, width, height, fps)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            _wait_for(lock.fileno(), waiting)
            found = _existing(target, budget)
            if found is None:
                for left_over in folder.glob(".making-*"):
                    shutil.rmtree(left_over)
                making = folder / f".making-{target.name}"
                making.mkdir(mode=0o700)
                write_pack(source, making, width, height, fps, budget, progress)
                found = target if (making / RAW).exists() else _coded_name(target)
                making.rename(found)
                _forget_older(found)
    except OSError as err:
        raise AssetError(f"{folder}: the avatar cannot be expanded there: {err.strerror or err}") from err
    return open_pack(found)


def find_pack(
    avatar_dir: Path, cache: Path, width: int, height: int, fps: int, budget: int = DISK_BUDGET
) -> Path | None:
    """The folder that `expand` would find there; None when it would have to make it. Raises AssetError."""
    from broadcaster.studio.avatar_source import load_source

    return _existing(_target(load_source(avatar_dir), cache / "avatars", width, height, fps), budget)


def _target(source: AvatarSource | ClipSource, folder: Path, width: int, height: int, fps: int) -> Path:
    from broadcaster.studio.avatar_source import fingerprint

    return folder / f"{source.manifest.name}-{width}x{height}@{fps}-{fingerprint(source)}.{EXPANSION}"


def _coded_name(target: Path) -> Path:
    return target.with_name(f"{target.name}c")


def _existing(target: Path, budget: int) -> Path | None:
    """The pack that is there, raw or coded as the budget asks; a damaged one as well, for `open_pack` to say so."""
    for root in (target, _coded_name(target)):
        try:
            facts = json.loads((root / "pack.json").read_bytes())
            fits = facts["width"] * facts["height"] * 3 // 2 * facts["loop_frames"] <= budget
        except (OSError, KeyError, TypeError, ValueError):
            fits = root == target
        if root.is_dir() and fits is (root == target):
            return root
    return None


def _wait_for(lock: int, waiting: Callable[[], None] | None) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            time.sleep(0.1)


def _forget_older(target: Path) -> None:
    """Keeps this expansion and the one before it, which a running channel may still open; each is hundreds of MB."""
    others = [p for p in target.parent.glob(f"{target.name.rpartition('-')[0]}-*") if p != target]
    for old in sorted(others, key=lambda p: p.stat().st_mtime_ns)[:-1]:
        shutil.rmtree(old)


def open_pack(root: Path) -> ExpandedAvatar:
    """Maps an expanded avatar. Raises AssetError when it is missing or damaged."""
    remedy = f"remove {root} and it will be made again"
    at = root / "pack.json"
    try:
        facts = json.loads(at.read_bytes())
        width, height, fps, frames = (int(facts[key]) for key in ("width", "height", "fps", "loop_frames"))
        landmarks = {name: np.asarray(points, dtype=np.float64) for name, points in facts["landmarks"].items()}
        box = MouthBox(*(int(facts["mouth_box"][key]) for key in ("x", "y", "width", "height")))
        name, kind, base = str(facts["name"]), str(facts["kind"]), str(facts["base"])
        mouth = Mouth.model_validate(facts["mouth"])
        gestures = {key: Gesture.model_validate(value) for key, value in facts["gestures"].items()}
        opened = _frames_of(root, base, int(facts["bytes"]), (width, height, frames), remedy)
        at = root / "frames.npz"
        with np.load(at, allow_pickle=False) as stored:
            motion = stored["motion"].reshape(frames, 2, 3)
            corners, numbers = stored["corners"].reshape(frames, 2), stored["source"].reshape(frames)
        at = root / "mesh.npy"
        faces = _faces_of(root, frames) if facts["mesh"] else None
    except FileNotFoundError as err:
        raise AssetError(f"{err.filename}: missing; {remedy}") from err
    except OSError as err:
        raise AssetError(f"{root}: cannot be read: {err.strerror or err}") from err
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise AssetError(f"{at}: damaged ({err}); {remedy}") from err
    for array in (motion, corners, numbers, *landmarks.values()):
        array.flags.writeable = False
    return ExpandedAvatar(
        root, name, kind, width, height, fps, frames,
        box, mouth, gestures, landmarks, motion, numbers, corners, faces, opened,
    )  # fmt: skip


def _frames_of(root: Path, base: str, size: int, shape: tuple[int, int, int], remedy: str) -> BaseFrames:
    width, height, frames = shape
    if base == RAW:
        return RawFrames(root / RAW, width, height, frames, remedy)
    if base != CODED:
        raise ValueError(f"base frames in {base!r}")
    found = (root / CODED).stat().st_size
    if found != size:
        raise AssetError(f"{root / CODED}: {found} bytes, must be {size}; {remedy}")
    return CodedFrames(*_coded(root, width, height))


def _coded(root: Path, width: int, height: int) -> tuple[Any, tuple[Plane, Plane, Plane]]:
    from broadcaster.studio.coded import CodedReader

    first = np.fromfile(root / FIRST, dtype=np.uint8)
    if len(first) != width * height * 3 // 2:
        raise ValueError(f"{FIRST} holds {len(first)} bytes")
    first.flags.writeable = False
    return CodedReader(root / CODED, width, height), split(first, width, height)


def _faces_of(root: Path, frames: int) -> PackFaces:
    mesh, crops, masks = (
        np.load(root / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("mesh", "crops", "masks")
    )
    if (mesh.shape, crops.shape, masks.shape) != ((frames, 468, 2), (frames, 4), (frames, 64, 64)):
        raise ValueError(f"shapes {mesh.shape}, {crops.shape}, {masks.shape} for {frames} frames")
    return PackFaces(mesh, crops, masks)
