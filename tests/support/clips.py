"""Small clip avatars whose truth is known: the moving presenter of `synthetic`, in the format of a prepared video."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from broadcaster.config.avatar import Mouth
from broadcaster.face.crop import crop_box
from broadcaster.face.landmarks import moved
from broadcaster.face.mask import mask_of
from broadcaster.head.prepare.mesh import FaceMesher
from broadcaster.studio.avatar_loop import to_i420
from broadcaster.studio.avatar_source import load_source
from broadcaster.studio.coded import CodedWriter
from tests.support.synthetic import HOST, Motion, MovingHead, _loop

CALM = Motion(turn=8.0, sway=0.06, nearer=0.08)
"""Loops without a seam after whole periods."""


@cache
def rest_mesh(width: int, height: int) -> NDArray[np.float32]:
    """(468, 2): the mesh of the presenter at rest in a picture of that size, found in a larger one."""
    still = load_source(HOST).still()  # type: ignore[union-attr]
    found = FaceMesher().find(still)
    assert len(found) == 1
    placed: NDArray[np.float64] = _loop(width, height).view.to_picture(found[0].mesh.astype(np.float64))
    return placed.astype(np.float32)


def make_clip_avatar(
    folder: Path,
    *,
    size: tuple[int, int] = (320, 180),
    fps: int = 25,
    seconds: float = 2.0,
    motion: Motion | None = None,
    pingpong: bool = False,
    repeats: int = 1,
    **manifest: Any,
) -> tuple[Path, MovingHead]:
    """A folder of `format: 2` under `folder`, and the head that it shows.

    `pingpong`: there and back again. `repeats`: so often the same, as if each were a picture of its own.
    """
    told = motion or replace(CALM, period=seconds)
    head = MovingHead(*size, fps, seconds, told)
    order = [*range(len(head)), *(range(len(head) - 2, 0, -1) if pingpong else ())] * repeats
    root = folder / str(manifest.get("name", "mover"))
    root.mkdir(parents=True)
    writer = CodedWriter(root / "clip.mkv", *size, fps, len(order), 1 << 30)
    pictures = {number: to_i420(head.frame(number)) for number in set(order)}
    for number in order:
        writer.add(pictures[number])
    writer.close()
    rest = rest_mesh(*size)
    mesh = np.stack([moved(rest.astype(np.float64), affine) for affine in head.motion]).astype(np.float32)
    boxes = np.array([crop_box(each, "1.5", Mouth()) for each in mesh], dtype=np.int32)
    masks = np.stack([mask_of(each, tuple(box), Mouth()) for each, box in zip(mesh, boxes.tolist(), strict=True)])
    source = np.array(order if repeats == 1 else range(len(order)), dtype=np.int32)
    still = int(np.argmin(np.abs(head.motion[:, :, :2] - np.eye(2)).sum(axis=(1, 2))))
    faces = {"mesh": mesh[order], "boxes": boxes[order], "masks": masks[order]}
    np.savez_compressed(root / "faces.npz", rest=still, source=source, allow_pickle=False, **faces)
    document = {
        "format": 2, "name": root.name, "title": "Mover", "depicts_real_person": False, "licence": "CC0-1.0",
        "credits": "the shipped presenter", "clip": "clip.mkv", "faces": "faces.npz",
        "inner_mouth": _teeth(root, head, still), **manifest,
    }  # fmt: skip
    (root / "avatar.yaml").write_text(yaml.safe_dump(document))
    return root, head


def _teeth(root: Path, head: MovingHead, still: int) -> dict[str, dict[str, Any]]:
    """The presenter's inner mouth, scaled and moved to where the head is in frame `still`."""
    source = load_source(HOST)
    view = _loop(head.width, head.height).view
    parts = {}
    for name in ("upper", "lower"):
        overlay = getattr(source.manifest.inner_mouth, name)
        picture = source.overlay(overlay, 4)
        size = [max(2, round(side * view.scale)) for side in (picture.shape[1], picture.shape[0])]
        cv2.imwrite(str(root / f"{name}.png"), cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        corner = moved(view.to_picture(np.array([[overlay.x, overlay.y]], dtype=np.float64)), head.motion[still])[0]
        parts[name] = {"file": f"{name}.png", "x": max(0, round(corner[0])), "y": max(0, round(corner[1]))}
    return parts
