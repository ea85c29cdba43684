"""The avatars' latents in an engine server: verified, one copy of each for all who share it, and bounded.

`read_latents` runs in a thread of its own per session; `Shelf` belongs to the thread that works the device.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy

from broadcaster.errors import AssetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW: Final = (8, 32, 32)
"""One frame's latents: four channels with the mouth covered, four without; float16."""

ROW_BYTES: Final = 2 * 8 * 32 * 32

CHUNK: Final = 1 << 22


@dataclass(slots=True, eq=False)
class Placed:
    """One avatar's latents on the device."""

    digest: str
    """sha256 of the values, hexadecimal."""
    rows: int
    held: Any
    """What `FaceGenerator.hold` gave."""
    users: int = 0

    @property
    def nbytes(self) -> int:
        return self.rows * ROW_BYTES


def read_latents(descriptor: int, limit: int) -> tuple[str, NDArray[np.float16]]:
    """sha256 and the array (rows, 8, 32, 32) of an open .npy file; closes it. Raises AssetError that says what is
    wrong with it. The file is copied, so that nobody can change or cut it underneath."""
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise AssetError("the latents are no regular file")
        shape = _shape(file)
        need = shape[0] * ROW_BYTES
        if need > limit:
            raise AssetError(
                f"the latents take {need / 1e6:.0f} MB, and this server holds {limit / 1e6:.0f} MB at most"
            )
        if about.st_size != file.tell() + need:
            raise AssetError(f"the file is {about.st_size} bytes long, not {file.tell() + need}: it was cut off")
        values = np.empty(shape, np.float16)
        digest = hashlib.sha256()
        left = values.data.cast("B")
        while left:
            read = file.readinto(left[:CHUNK])
            if not read:
                raise AssetError("the file became shorter while it was read")
            digest.update(left[:read])
            left = left[read:]
    if not np.isfinite(values).all():
        raise AssetError("the latents hold values that are no numbers")
    return digest.hexdigest(), values


def _shape(file: BinaryIO) -> tuple[int, int, int, int]:
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except Exception as err:  # numpy lets its tokenizer's own errors through
        raise AssetError(f"not a .npy file: {err}") from err
    if fortran or dtype != np.dtype("<f2") or len(shape) != 4 or shape[1:] != ROW or shape[0] < 1:
        raise AssetError(f"{dtype} {shape} are no latents: float16 (rows, 8, 32, 32) is wanted")
    return shape[0], *ROW


class Shelf:
    """Not thread-safe. `hold` puts values on the device; `limit`: bytes of them at most."""

    def __init__(self, limit: int, hold: Callable[[NDArray[np.float16]], Any]) -> None:
        self.limit = limit
        self.nbytes = 0
        """Of all that it holds, in float16; read by other threads as well."""
        self._hold = hold
        self._placed: OrderedDict[str, Placed] = OrderedDict()
        """Least recently used first."""

    def __len__(self) -> int:
        return len(self._placed)

    def take(self, digest: str, values: NDArray[np.float16]) -> Placed | None:
        """The avatar of that digest for one more user; None when there is no room: those in use fill the shelf."""
        placed = self._placed.get(digest)
        if placed is None:
            used = sum(other.nbytes for other in self._placed.values() if other.users)
            if used + values.nbytes > self.limit:
                return None
            self._make_room(values.nbytes)
            placed = self._placed[digest] = Placed(digest, len(values), self._hold(values))
            self.nbytes += placed.nbytes
        self._placed.move_to_end(digest)
        placed.users += 1
        return placed

    def give_back(self, placed: Placed) -> None:
        """It stays for whoever comes next, until the room is needed."""
        placed.users -= 1

    def _make_room(self, need: int) -> None:
        idle = [digest for digest, placed in self._placed.items() if not placed.users]
        while idle and self.nbytes + need > self.limit:
            self.nbytes -= self._placed.pop(idle.pop(0)).nbytes
