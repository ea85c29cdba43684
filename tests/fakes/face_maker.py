"""A generator of faces without networks: what it paints tells which latents and which sound it was given.

It takes as long as the test says, and fails when the test says.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from broadcaster.errors import HeadError
from broadcaster.head.musetalk.faces import FACE_SIZE
from broadcaster.head.musetalk.generator import DEPTH, Job, Latents
from broadcaster.head.musetalk.window import WINDOW


class FaceMaker:
    """Stands where `FaceGenerator` does."""

    def __init__(self, batch: int = 4) -> None:
        self.batch = batch
        self.window = WINDOW
        self.batches: list[int] = []
        """Faces asked for in each batch."""
        self._ready = threading.Semaphore(0)
        self._slow = False
        self.broken = ""
        self.held = 0
        self._work: deque[list[NDArray[np.uint8]]] = deque()

    def hold_back(self) -> None:
        """From now on only so many batches get ready as `release` says."""
        self._slow = True

    def release(self, batches: int | None = None) -> None:
        """None: all of them, as before."""
        if batches is None:
            self._slow = False
        self._ready.release(batches or 1)

    @property
    def in_flight(self) -> int:
        return len(self._work)

    @property
    def room(self) -> bool:
        return len(self._work) < DEPTH

    def hold(self, latents: NDArray[np.float16]) -> Latents:
        self.held += 1
        return Latents(latents.copy(), len(latents))

    def submit(self, jobs: Sequence[Job]) -> None:
        assert self.room
        assert 0 < len(jobs) <= self.batch
        if self.broken:
            raise HeadError(self.broken, retryable=True)
        self.batches.append(len(jobs))
        self._work.append([painted(job) for job in jobs])

    def take(self, timeout: float = 0.0) -> list[NDArray[np.uint8]] | None:
        if not self._work or (self._slow and not self._ready.acquire(timeout=timeout)):
            return None
        return self._work.popleft()

    def close(self) -> None:
        self._work.clear()


def painted(job: Job) -> NDArray[Any]:
    """A face in one colour of its own for these latents and this sound."""
    seed = zlib.crc32(job.latents.tensor[job.row].tobytes())
    seed = zlib.crc32(job.heard.mel.tobytes() + repr((job.heard.position, job.heard.rows)).encode(), seed)
    face = np.zeros((FACE_SIZE, FACE_SIZE, 3), np.uint8)
    face[:] = np.frombuffer(seed.to_bytes(4, "big")[:3], np.uint8)
    return face
