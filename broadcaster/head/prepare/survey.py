"""What was seen in the pictures of a video, kept on disk while it grows: nothing is looked at twice. One thread.

Files of equal records, one for each picture: `marks.f32` (fault, faces, mesh score, yaw, pitch, roll), `mesh.f32`
(468 points), `trace.u8` (of the mouth) and `looks.u8` (the small grey picture). After a kill the last records may
be missing or torn in any of them: what all of them hold in whole is what counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from broadcaster.head.prepare.covered import TRACE, covered
from broadcaster.head.prepare.looking import FIND_EVERY, LOOK_WIDTH, Fault, Seen, look_height

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARKS: Final = 6
POINTS: Final = 468


class Survey:
    """Opened for more (`add`), or read with the properties."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """`size`: width and height of the pictures."""
        self._look = (look_height(*size), LOOK_WIDTH)
        self._records = {
            folder / "marks.f32": 4 * MARKS,
            folder / "mesh.f32": 8 * POINTS,
            folder / "trace.u8": TRACE,
            folder / "looks.u8": self._look[0] * self._look[1],
        }
        self._files: list[BinaryIO] = []

    @property
    def count(self) -> int:
        """Pictures that are kept."""
        return min(path.stat().st_size // size if path.exists() else 0 for path, size in self._records.items())

    @property
    def record_bytes(self) -> int:
        return sum(self._records.values())

    def open(self) -> int:
        """Makes ready for `add`. Returns the number of the picture to go on with (a multiple of FIND_EVERY)."""
        first = self.count // FIND_EVERY * FIND_EVERY
        for path, size in self._records.items():
            file = path.open("r+b" if path.exists() else "w+b")
            file.truncate(first * size)
            file.seek(0, 2)
            self._files.append(file)
        return first

    def add(self, seen: Seen) -> None:
        marks = (seen.fault, seen.faces, seen.mesh_score, seen.yaw, seen.pitch, seen.roll)
        records = (np.array(marks, dtype="<f4"), seen.mesh.astype("<f4"), seen.trace, seen.look)
        for file, record in zip(self._files, records, strict=True):
            file.write(record.tobytes())

    def close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []

    @property
    def marks(self) -> NDArray[np.float32]:
        """(n, 6): fault, faces, mesh score, yaw, pitch, roll."""
        marks: NDArray[np.float32] = self._mapped("marks.f32", "<f4", (MARKS,))
        return marks

    @property
    def faults(self) -> list[Fault]:
        """One for each picture. What covers the mouth shows only beside all the others."""
        faults = [Fault(int(value)) for value in self.marks[:, 0]]
        usable = [k for k, fault in enumerate(faults) if fault == Fault.NONE]
        if usable:
            faces: NDArray[np.uint8] = self._mapped("trace.u8", "u1", (TRACE,))
            for k, hidden in zip(usable, covered(faces[usable]), strict=True):
                if hidden:
                    faults[k] = Fault.COVERED
        return faults

    @property
    def meshes(self) -> NDArray[np.float32]:
        """(n, 468, 2), NaN where there was no face."""
        meshes: NDArray[np.float32] = self._mapped("mesh.f32", "<f4", (POINTS, 2))
        return meshes

    @property
    def looks(self) -> NDArray[np.uint8]:
        """(n, height, LOOK_WIDTH) grey."""
        looks: NDArray[np.uint8] = self._mapped("looks.u8", "u1", self._look)
        return looks

    def _mapped(self, name: str, kind: str, shape: tuple[int, ...]) -> Any:
        path = next(path for path in self._records if path.name == name)
        count = self.count
        if count == 0:
            return np.zeros((0, *shape), dtype=kind)
        return np.memmap(path, dtype=kind, mode="r", shape=(count, *shape))
