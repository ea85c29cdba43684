"""A `FacePack` of noise with a face that moves, without files: a patch over the wrong base cannot go unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.types import FaceCrop, MouthBox, Plane
from tests.support.air import NoiseAvatar
from tests.support.blending import crop_with_mask


class NoiseFace(NoiseAvatar):
    """The face sways by whole pixels; every second base frame shows the picture of the one before it."""

    landmarks: Mapping[str, NDArray[np.float64]] = {}
    mouth = Mouth()

    def __init__(
        self, root: Path, width: int = 320, height: int = 180, loop_frames: int = 41, sway: int = 12
    ) -> None:
        super().__init__(width, height, loop_frames)
        self.root, self.name = root, "noise"
        self.source_frames = (np.arange(loop_frames) // 2).astype(np.int32)
        self.motion = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (loop_frames, 1, 1))
        places = np.rint(sway * width / 320 * np.sin(2 * np.pi * self.source_frames / (loop_frames // 2 + 1))).astype(
            int
        )
        self._places = [int(place) for place in places]
        self.mouth_box = MouthBox(120, 80, 88, 88)

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        return super().frame(index // 2 * 2)

    def crop(self, index: int) -> FaceCrop:
        x, y = round(0.32 * self.width) + self._places[index], round(0.105 * self.height)
        return crop_with_mask(x, y, x + (int(0.38 * self.width) | 1), y + round(0.856 * self.height))

    def mouth_box_at(self, index: int) -> MouthBox:
        box = self.mouth_box
        return MouthBox(box.x + self._places[index] // 2 * 2, box.y, box.width, box.height)

    def mesh(self, index: int) -> NDArray[np.float32]:
        raise AssetError("noise has no face mesh")

    def inner_mouth(self, part: str) -> tuple[Plane, Plane, Plane, Plane]:
        raise AssetError("noise has no teeth")
