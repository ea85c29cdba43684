"""An avatar of flat moving bars, small and made in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from broadcaster.types import Plane


class BarsAvatar:
    """Port `AvatarPack`: a bright bar walks over a grey ramp, so that every base frame is different."""

    def __init__(self, width: int = 320, height: int = 180, fps: int = 25, loop_frames: int = 50) -> None:
        self.root = Path()
        self.width, self.height, self.fps, self.loop_frames = width, height, fps, loop_frames
        ramp = np.tile(np.linspace(40, 180, width).astype(np.uint8), (height, 1))
        self._frames = []
        for index in range(loop_frames):
            luma = ramp.copy()
            left = (index * 4) % (width - 16)
            luma[height // 2 :, left : left + 16] = 220
            chroma = np.full((height // 2, width // 2), 118 + index % 20, np.uint8)
            self._frames.append((luma, chroma, chroma))

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        return self._frames[index]
