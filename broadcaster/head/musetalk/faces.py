"""Who makes the faces of one channel: the port between the engine and the networks. No thread of its own.

`LocalFaces` (module `local`) has the networks in this process; `RemoteFaces` (module `remote`) asks an engine server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

FACE_SIZE: Final = 256
"""Faces are FACE_SIZE pixels square."""

STEP: Final = 960
"""Samples (48 kHz) of one whisper step: 50 steps a second."""

BEHIND: Final = 4
AHEAD: Final = 6
"""A face at step s sees the steps s - BEHIND .. s + AHEAD - 1: 80 ms before its picture starts to 120 ms after."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One face: `key` is the caller's own (a tick), `step` the whisper step at the picture's start (may be negative
    or beyond the end: silence), `row` the latents' row (`FacePack.source_frames` maps base frames to rows)."""

    key: int
    step: int
    row: int


@dataclass(frozen=True, slots=True)
class Face:
    key: int
    pixels: Image
    """uint8 (FACE_SIZE, FACE_SIZE, 3), RGB."""


class Faces(Protocol):
    """One channel's faces. One thread. Raises HeadError, after which the object is closed."""

    batch: int
    """Faces that are made in one call; `ask` with as many as that where possible."""

    @property
    def asked(self) -> int:
        """Faces asked for and not yet taken."""

    def load(self, latents: Path) -> None:
        """Networks on their device, the avatar's latents beside them, warmed up with the real batch shape.
        `latents`: .npy float16 (rows, 8, 32, 32). Raises AssetError for files, HeadError for a device or server."""

    def begin(self) -> None:
        """A new utterance: its sound starts at sample 0. What was heard and asked before is forgotten."""

    def hear(self, pcm: bytes) -> None:
        """The next stretch of the utterance: s16le mono 48 kHz. Bounded: what is more than 30 s old is forgotten."""

    def rewind(self, sample: int) -> None:
        """Forgets everything from `sample` on (the utterance was trimmed)."""

    def ask(self, wanted: Sequence[Wanted]) -> None:
        """Asks for faces, in order. Starts the work at once when a batch is full. Sound that is not there counts as
        silence."""

    def flush(self) -> None:
        """Starts what has been asked for although no batch is full; the last batch is padded."""

    def take(self, timeout: float) -> list[Face]:
        """The faces of the oldest batch, in the order asked; [] when none is ready within `timeout` seconds.
        0 only looks. What `begin` made void never comes."""

    def close(self) -> None: ...
