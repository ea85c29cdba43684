"""Where an expanded avatar's pictures come from: raw in a memory map, or decoded from a file of short groups.

`RawFrames` cost nothing but disk. `CodedFrames` decode what is asked for when it is asked for: exact, for the head,
for `render` and for set-up. `FramesAhead` decode in a thread of their own what playout will show next, and never make
it wait: a picture that is not there yet is the last one again, counted.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.studio.coded import GROUP, CodedReader, Picture

log = logging.getLogger(__name__)

AHEAD: Final = 12
"""Pictures decoded ahead: 0.5 s at 25 a second rides out a busy machine; 37 MB at 1080p."""

KEPT: Final = 4
"""Pictures that `CodedFrames` keep: an engine may ask for one again while it lays several batches' faces."""

SAY_AFTER: Final = 25
"""Held pictures in a row after which the log says so: a second of a picture that stands still."""


class BaseFrames(Protocol):
    held: int
    """How often a picture other than the wanted one was given."""

    def planes(self, index: int) -> Picture: ...

    def close(self) -> None: ...


class RawFrames:
    """I420 pictures one after the other in one file, mapped."""

    held = 0

    def __init__(self, path: Path, width: int, height: int, frames: int, remedy: str) -> None:
        """Raises AssetError for a file of another length, OSError for one that cannot be read."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != frames * width * height * 3 // 2 or size == 0:
                raise AssetError(f"{path}: {size} bytes do not hold {frames} pictures; {remedy}")
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._base = np.frombuffer(mapped, dtype=np.uint8).reshape(frames, -1)
        self._size = (width, height)

    def planes(self, index: int) -> Picture:
        return split(self._base[index], *self._size)

    def close(self) -> None:
        """The map goes with the last view of it."""


class CodedFrames:
    """Decodes in the caller's thread, of which there may be several; nothing is decoded that nobody asks for."""

    def __init__(self, reader: CodedReader, first: Picture) -> None:
        """`first` stands in for a picture 0 that is damaged."""
        self.held = 0
        self._reader = reader
        self._last = first
        self._kept: OrderedDict[int, Picture] = OrderedDict()
        self._one = threading.Lock()

    def planes(self, index: int) -> Picture:
        with self._one:
            return self._planes(index)

    def _planes(self, index: int) -> Picture:
        found = self._kept.get(index)
        if found is None:
            found = self._reader.read(index)
            if found is None:
                if self.held == 0:
                    log.error("a picture of the avatar is damaged; the last one stands in", extra={"picture": index})
                self.held += 1
                return self._last
            self._kept[index] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._last = found
        return found

    def close(self) -> None:
        self._reader.close()


class FramesAhead:
    """Decodes in the thread `base-frames`, from the last wanted picture on; `planes` only looks."""

    def __init__(self, reader: CodedReader, frames: int, first: Picture, start: int = 0) -> None:
        self.held = 0
        self._reader = reader
        self._frames = frames
        self._shown = first
        self._ready: dict[int, Picture | None] = {}
        self._wanted = self._next = start
        """What was asked for last, and what the thread decodes next."""
        self._late = 0
        """Held pictures in a row."""
        self._change = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="base-frames", daemon=True)
        self._thread.start()

    def planes(self, index: int) -> Picture:
        """Picture `index`, or the very tuple that was given last where that is not decoded."""
        with self._change:
            if (index - self._wanted) % self._frames > AHEAD:
                self._next = index  # not what follows: somebody has begun somewhere else
                self._ready.clear()
            self._wanted = index
            found = self._ready.get(index)
            for gone in [each for each in self._ready if not self._inside(each)]:
                del self._ready[gone]
            self._late = 0 if index in self._ready else self._late + 1
            self._change.notify()
        if found is None:
            self.held += 1
            return self._shown
        self._shown = found
        return found

    def filled(self, timeout: float) -> bool:
        """Waits until everything ahead is decoded. For the start and for tests."""
        with self._change:
            return self._change.wait_for(lambda: self._ended or self._full(), timeout)

    def close(self) -> None:
        with self._change:
            self._ended = True
            self._change.notify()
        self._thread.join()
        self._reader.close()

    def _inside(self, index: int) -> bool:
        return (index - self._wanted) % self._frames < AHEAD

    def _full(self) -> bool:
        ahead = (self._next - self._wanted) % self._frames
        return ahead == AHEAD or (ahead < AHEAD and self._next in self._ready)

    def _choose(self) -> int:
        """What to decode now: what follows, never what lies behind. A thread that has fallen behind leaves out the
        more the longer it is, and at last goes from keyframe to keyframe."""
        if not self._inside(self._next):
            skip = min(2 * self._late, AHEAD - 1)
            if skip == AHEAD - 1:
                skip = max(1, -self._wanted % GROUP)
            self._next = (self._wanted + skip) % self._frames
        return self._next

    def _run(self) -> None:
        said = damaged = False
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ended or not self._full())
                if self._ended:
                    return
                index, late = self._choose(), self._late
            if (late >= SAY_AFTER) is not said:
                said = not said
                log.log(
                    logging.ERROR if said else logging.INFO,
                    "the avatar's picture stands still" if said else "the avatar moves again",
                    extra={"picture": index},
                )
            try:
                picture = self._reader.read(index)
            except Exception:
                # The picture must go on whatever a library makes of a damaged file.
                log.exception("a picture of the avatar cannot be decoded", extra={"picture": index})
                picture = None
            if picture is None and not damaged:
                damaged = True
                log.error("a picture of the avatar is damaged; the last one is held", extra={"picture": index})
            with self._change:
                if self._inside(index):
                    self._ready[index] = picture
                if self._next == index:  # else somebody has begun somewhere else meanwhile
                    self._next = (index + 1) % self._frames
                if self._full():
                    self._change.notify_all()


def split(flat: np.ndarray[tuple[int], np.dtype[np.uint8]], width: int, height: int) -> Picture:
    """I420 bytes as Y (h, w), U and V (h/2, w/2): views."""
    luma, chroma = height * width, height * width // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )
