"""The inside of the mouth for a new avatar: our own teeth, scaled and turned to its mouth. Any thread; OpenCV lazily.

The two pictures are those of the shipped presenter (rendered for this project, CC0-1.0; package data), because no
video of a shut mouth shows what is behind the lips. They are used by the engine that moves lips by warping; networks
paint teeth themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from broadcaster.config.avatar import InnerMouth, Overlay
from broadcaster.errors import AssetError
from broadcaster.face import topology
from broadcaster.head.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Part = Literal["upper", "lower"]

ASSETS: Final = Path(__file__).parents[1] / "assets"

PARTS: Final[tuple[Part, ...]] = ("upper", "lower")

CORNERS: Final = ((866.0, 567.0), (866.0, 561.0))
"""Where the upper left corners of the upper and the lower picture lie in the presenter's still."""

MOUTH: Final = ((897.17, 607.52), (1017.76, 608.90))
"""The corners of the presenter's mouth in its still, as the mesh network sees them (`topology.MOUTH_CORNERS`)."""


@dataclass(frozen=True, slots=True)
class TeethPicture:
    """A cut-out with transparency: BGRA uint8 (h, w, 4), its upper left corner in the avatar's picture."""

    part: Part
    pixels: NDArray[np.uint8]
    x: int
    y: int

    @property
    def file(self) -> str:
        return f"teeth-{self.part}.png"


def teeth_for(mesh: NDArray[np.float32]) -> tuple[TeethPicture, TeethPicture]:
    """Upper and lower teeth for the face with this mesh (468, 2), its mouth shut. Raises AssetError for a mouth that
    is outside of the picture or too small."""
    cv2 = opencv()
    here = np.asarray(mesh, dtype=np.float64)[list(topology.MOUTH_CORNERS)]
    there = np.array(MOUTH)
    turn = complex(*(here[1] - here[0])) / complex(*(there[1] - there[0]))
    if abs(turn) < 0.05:
        wide = abs(turn) * np.hypot(*(there[1] - there[0]))
        raise AssetError(
            f"the mouth is {wide:.0f} pixels wide: too small; take a picture in which the face is larger"
        )
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    made = []
    for part, corner in zip(PARTS, CORNERS, strict=True):
        pixels = _picture(part)
        height, width = pixels.shape[:2]
        frame = np.array([[0, 0], [width, 0], [0, height], [width, height]]) + np.array(corner) - 0.5
        placed = (frame - there.mean(axis=0)) @ linear.T + here.mean(axis=0)
        low = np.floor(placed.min(axis=0)).astype(int)
        size = np.ceil(placed.max(axis=0)).astype(int) - low + 1
        if (low < 0).any():
            raise AssetError("the mouth lies at the edge of the picture: an avatar's whole face must be in view")
        offset = linear @ (np.array(corner) - there.mean(axis=0)) + here.mean(axis=0) - low
        matrix = np.column_stack([linear, offset])
        soft = pixels.astype(np.float32)
        soft[:, :, :3] *= soft[:, :, 3:] / 255.0
        if abs(turn) < 1.0:
            soft = cv2.GaussianBlur(soft, (0, 0), 0.5 * np.sqrt(1 / abs(turn) ** 2 - 1) + 1e-3)
        moved = cv2.warpAffine(soft, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
        moved[:, :, :3] /= np.maximum(moved[:, :, 3:] / 255.0, 1e-3)
        result = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
        made.append(TeethPicture(part, result, int(low[0]), int(low[1])))
    return made[0], made[1]


def inner_mouth(pictures: tuple[TeethPicture, TeethPicture]) -> InnerMouth:
    """How `avatar.yaml` names these pictures; each is to be stored under its `file`, as PNG."""
    upper, lower = (Overlay(file=made.file, x=made.x, y=made.y) for made in pictures)
    return InnerMouth(upper=upper, lower=lower)


def _picture(part: Part) -> NDArray[np.uint8]:
    path = ASSETS / f"teeth-{part}.webp"
    cv2 = opencv()
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror}; install the broadcaster again") from err
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise AssetError(f"{path}: not a picture with transparency; install the broadcaster again")
    return np.asarray(pixels, dtype=np.uint8)
