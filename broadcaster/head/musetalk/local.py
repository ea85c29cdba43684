"""The faces of one channel, made by networks in this process. One thread; on a GPU the work goes on by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.faces import Face, Wanted
from broadcaster.head.musetalk.generator import FaceGenerator, Job, Latents
from broadcaster.head.musetalk.window import WINDOW, SoundWindow, Window

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from broadcaster.head.musetalk.networks import Networks


class LocalFaces:
    """Port `Faces`. `networks` is called once, by `load`.

    The sound that lies behind a face when it is asked for is what it is made of; `LOOK_AHEAD` samples after its
    picture's start is all that it looks at. Sound should be heard not much further than that: 30 s are kept.
    """

    def __init__(self, networks: Callable[[], Networks], batch: int, window: Window = WINDOW) -> None:
        self.batch = batch
        self._networks = networks
        self._window = window
        self._sound = SoundWindow(window)
        self._generator: FaceGenerator | None = None
        self._latents: Latents | None = None
        self._waiting: deque[tuple[int, Job]] = deque()
        self._started: deque[tuple[int, ...] | None] = deque()
        """Keys of the batches in flight, oldest first; None for one that is void."""
        self._urgent = 0
        """So many of the first that wait are started although no batch is full."""

    @property
    def note(self) -> str:
        """What the operator should know about the speed, or ""."""
        return self._generator.note if self._generator is not None else ""

    @property
    def asked(self) -> int:
        return len(self._waiting) + sum(len(keys) for keys in self._started if keys is not None)

    def load(self, latents: Path) -> None:
        held = read_latents(latents)
        if self._generator is None:
            self._generator = FaceGenerator(self._networks(), self.batch, self._window)
        self.begin()
        self._latents = None  # the device has room for one avatar's, perhaps not for two
        self._latents = self._generator.hold(held)

    def begin(self) -> None:
        self._sound.begin()
        self._waiting.clear()
        self._urgent = 0
        self._started = deque(None for _ in self._started)

    def hear(self, pcm: bytes) -> None:
        self._sound.hear(pcm)

    def rewind(self, sample: int) -> None:
        self._sound.rewind(sample)

    def ask(self, wanted: Sequence[Wanted]) -> None:
        self._loaded()
        latents = self._latents
        if latents is None:
            raise HeadError("faces were asked for before an avatar was loaded", retryable=False)
        self._waiting.extend((face.key, Job(latents, face.row, self._sound.heard(face.step))) for face in wanted)
        self._start()

    def flush(self) -> None:
        self._urgent = len(self._waiting)
        self._start()

    def take(self, timeout: float) -> list[Face]:
        generator = self._loaded()
        while self._started:
            try:
                pictures = generator.take(timeout)
            except HeadError:
                self.close()
                raise
            if pictures is None:
                return []
            keys = self._started.popleft()
            self._start()
            if keys is not None:
                return [Face(key, pixels) for key, pixels in zip(keys, pictures, strict=True)]
        return []

    def close(self) -> None:
        self._latents = None
        if self._generator is not None:
            self._generator.close()
            self._generator = None
        self._waiting.clear()
        self._urgent = 0
        self._started.clear()

    def _start(self) -> None:
        """Starts what is full or urgent while the generator has room."""
        generator = self._loaded()
        while generator.room and (len(self._waiting) >= self.batch or self._urgent):
            batch = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
            self._urgent = max(0, self._urgent - len(batch))
            try:
                generator.submit([job for _, job in batch])
            except HeadError:
                self.close()
                raise
            self._started.append(tuple(key for key, _ in batch))

    def _loaded(self) -> FaceGenerator:
        if self._generator is None:
            raise HeadError("faces were asked for before the networks were loaded", retryable=False)
        return self._generator


def read_latents(path: Path) -> NDArray[np.float16]:
    """(rows, 8, 32, 32), mapped. Raises AssetError."""
    try:
        latents: NDArray[np.float16] = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise AssetError(f"{path}: the avatar's tensors are missing -> broadcaster avatar tensors") from None
    except Exception as err:  # numpy lets its tokenizer's own errors through
        raise AssetError(f"{path}: the avatar's tensors are damaged ({err}) -> broadcaster avatar tensors") from err
    if latents.dtype != np.float16 or latents.ndim != 4 or latents.shape[1:] != (8, 32, 32) or not len(latents):
        raise AssetError(
            f"{path}: {latents.dtype} {latents.shape} instead of float16 (rows, 8, 32, 32) -> "
            "broadcaster avatar tensors"
        )
    return latents
