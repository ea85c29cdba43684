"""Where the face is in each base frame, in picture pixels: affine, mouth box, mesh, crop and mask. Set-up only.

Everything a talking head asks an avatar for follows from the mesh at rest and in each frame (`broadcaster.face`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face.crop import crop_box
from broadcaster.face.landmarks import affine_between, landmarks_of, moved
from broadcaster.face.mask import mask_of
from broadcaster.face.topology import MOUTH_CORNERS
from broadcaster.types import MouthBox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.studio.avatar_source import ClipFaces

    Points = NDArray[np.float64]

VERSION: Final = "1.5"
"""The crop that is kept is that of MuseTalk's newer weights; an engine that wants another makes it from the mesh."""

LEAST_MOUTH: Final = 8
"""Pixels; lips of a narrower mouth cannot be moved."""


class PictureView(Protocol):
    """Which part of the still or clip is on screen."""

    @property
    def scales(self) -> tuple[float, float]:
        """Picture pixels per pixel of the still or clip, across and down."""

    def to_picture(self, points: Points) -> Points: ...


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The neural engines' part of a pack, for each base frame."""

    mesh: NDArray[np.float32]
    """(frames, 468, 2)"""
    crops: NDArray[np.int32]
    """(frames, 4): left, top, right, bottom, exclusive; may reach over the picture's edge."""
    masks: NDArray[np.uint8]
    """(frames, 64, 64) over the crops."""


def faces_of_still(mesh: NDArray[np.float32], motion: Points, mouth: Mouth, view: PictureView) -> FrameFaces:
    """`mesh` is that of the still in its own pixels; the head moves rigidly, so the crop keeps its size and mask."""
    try:
        box = crop_box(mesh, VERSION, mouth)
    except AssetError as err:
        raise AssetError(f"the face mesh of the still: {err}") from err
    mask = mask_of(mesh, box, mouth)
    rest = view.to_picture(mesh.astype(np.float64))
    meshes = np.stack([moved(rest, affine) for affine in motion]).astype(np.float32)
    edges = view.to_picture(np.array([box[:2], box[2:]], dtype=np.float64) - 0.5) + 0.5
    size = np.rint(edges[1] - edges[0]).astype(np.int32)
    centres = np.array([moved((edges[:1] + edges[1:]) / 2 - 0.5, affine)[0] for affine in motion]) + 0.5
    corners = np.rint(centres - size / 2).astype(np.int32)
    masks = np.broadcast_to(mask, (len(motion), *mask.shape))
    return FrameFaces(meshes, np.hstack([corners, corners + size]), masks)


def faces_of_clip(faces: ClipFaces, order: NDArray[np.int32], mouth: Mouth, view: PictureView) -> FrameFaces:
    """For base frames that show the clip's frames `order`.

    The boxes of the file hold for a mouth without settings of its own; what the avatar sets is added to them. Sizes
    are rounded apart from places, so that a head that keeps its distance keeps its crop's size.
    """
    boxes, masks = faces.boxes, faces.masks
    if (mouth.margin, mouth.mask) != (Mouth().margin, Mouth().mask):
        plain = Mouth()
        more = np.array(
            [np.subtract(crop_box(m, VERSION, mouth), crop_box(m, VERSION, plain)) for m in faces.mesh],
            dtype=np.int32,
        )
        boxes = boxes + more
        masks = np.stack([mask_of(mesh, _as_box(box), mouth) for mesh, box in zip(faces.mesh, boxes, strict=True)])
    across, down = view.scales
    size = np.rint((boxes[:, 2:] - boxes[:, :2]) * (across, down)).astype(np.int32)
    edges = (boxes.reshape(-1, 2, 2) - 0.5).reshape(-1, 2)
    placed = view.to_picture(edges.astype(np.float64)).reshape(-1, 2, 2) + 0.5
    corners = np.rint(placed.mean(axis=1) - size / 2).astype(np.int32)
    crops = np.hstack([corners, corners + size])
    mesh = in_picture(faces.mesh, view)
    return FrameFaces(mesh[order], crops[order], masks[order])


def in_picture(mesh: NDArray[np.float32], view: PictureView) -> NDArray[np.float32]:
    """(frames, 468, 2) from clip pixels to picture pixels."""
    placed = view.to_picture(mesh.reshape(-1, 2).astype(np.float64))
    return placed.reshape(mesh.shape).astype(np.float32)


def rest_and_motion(mesh: NDArray[np.float32], rest: int) -> tuple[dict[str, Points], Points]:
    """Landmarks of frame `rest`, and the affine (frames, 2, 3) that takes them to each frame of `mesh`.

    The affine is fitted on points that speech does not move, which are not near the mouth; so it is moved by what is
    left between the corners of the mouth: a head that turns carries its mouth farther than its forehead.
    """
    landmarks = landmarks_of(mesh[rest])
    corners = list(MOUTH_CORNERS)
    motion = np.empty((len(mesh), 2, 3))
    for index, each in enumerate(mesh):
        affine = affine_between(mesh[rest], each)
        there = moved(mesh[rest][corners].astype(np.float64), affine)
        affine[:, 2] += (each[corners] - there).mean(axis=0)
        motion[index] = affine
    return landmarks, motion


def mouth_box(landmarks: Mapping[str, Points], width: int, height: int) -> MouthBox:
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
    if mouth < LEAST_MOUTH or left < 0 or y0 < 0 or right > width or y1 > height:
        raise AssetError(
            f"the mouth (about {mouth:.0f} pixels wide) does not fit into a picture of {width}x{height}: "
            "choose another video size, or change `focus` in the avatar's avatar.yaml"
        )
    return MouthBox(left, y0, right - left, y1 - y0)


def moving_boxes(rest: MouthBox, motion: Points, width: int, height: int) -> tuple[MouthBox, NDArray[np.int32]]:
    """The mouth box of a head that moves: at rest, and its corners (frames, 2) in each frame.

    All are of one even size, large enough for `rest` as the nearest head shows it, and inside the picture.
    """
    reach = np.abs(motion[:, :, :2]) @ (rest.width, rest.height)
    across, down = (2 * int(np.ceil(side / 2 - 1e-6)) for side in reach.max(axis=0))
    size = np.minimum((max(across, rest.width), max(down, rest.height)), (width // 2 * 2, height // 2 * 2))
    room = np.array((width, height)) - size
    centre = np.array([[rest.x + rest.width / 2 - 0.5, rest.y + rest.height / 2 - 0.5]])
    centres = np.vstack([centre, *(moved(centre, affine) for affine in motion)]) + 0.5
    corners = np.clip(2 * np.rint((centres - size / 2) / 2).astype(np.int32), 0, room // 2 * 2)
    x, y = (int(value) for value in corners[0])
    return MouthBox(x, y, int(size[0]), int(size[1])), corners[1:].astype(np.int32)


def _as_box(box: NDArray[np.int32]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(value) for value in box)
    return left, top, right, bottom
