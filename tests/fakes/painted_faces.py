"""Port `Faces` without networks: the queues and the sound window are the real ones, only the painting is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.musetalk.faces import Face, Wanted
from broadcaster.head.musetalk.generator import FaceGenerator
from broadcaster.head.musetalk.local import LocalFaces, read_latents
from broadcaster.ports import FacePack
from tests.fakes.face_maker import FaceMaker


class PaintedFaces(LocalFaces):
    """`patience`: how many looks in vain a batch costs."""

    def __init__(self, batch: int = 4, patience: int = 0) -> None:
        super().__init__(self._nobody, batch)
        self.maker = FaceMaker(batch)
        self.wanted: list[Wanted] = []
        self.void = 0
        self.flushed = 0
        self._patience = patience
        self._looked = 0

    @staticmethod
    def _nobody() -> None:  # type: ignore[override]
        raise AssertionError("there are no networks here")

    def load(self, latents: Path) -> None:
        self._generator = cast("FaceGenerator", self.maker)
        self.begin()
        self._latents = self.maker.hold(read_latents(latents))

    def begin(self) -> None:
        self.void += self.asked
        super().begin()

    def ask(self, wanted: Sequence[Wanted]) -> None:
        self.wanted += wanted
        super().ask(wanted)

    def flush(self) -> None:
        self.flushed += 1
        super().flush()

    def take(self, timeout: float) -> list[Face]:
        self._looked += 1
        if self._looked <= self._patience:
            return []
        self._looked = 0
        return super().take(0.0)


def painted_head(folder: Path, batch: int = 4, patience: int = 0) -> tuple[MuseTalkHead, PaintedFaces]:
    """An engine that is not loaded, and its faces. `folder` gets the avatar's latents."""
    faces = PaintedFaces(batch, patience)

    def supply(avatar: FacePack) -> tuple[PaintedFaces, Path]:
        path, rows = folder / "latents.npy", int(avatar.source_frames.max()) + 1
        np.save(path, np.random.default_rng(1).normal(0, 1, (rows, 8, 32, 32)).astype(np.float16))
        return faces, path

    return MuseTalkHead(supply, batch), faces
