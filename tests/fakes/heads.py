"""A talking-head engine of plain numbers: each patch says which tick it is, and faults come on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from broadcaster.config import HeadConfig
from broadcaster.errors import HeadError
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import Timeline
from broadcaster.ports import FacePack, SpeechTrack
from broadcaster.types import MouthPatch, base_index


class PlainHead:
    """Ports `TalkingHead` and `ThinningHead`: lightens the mouth box by `tick % 7` at each tick it renders."""

    lead_ticks = 3

    def __init__(self, name: str = "plain") -> None:
        self.name = name
        self.stride = 1
        self.loaded = 0
        self.rendered: list[int] = []
        self.strides: list[int] = []
        self.fails: list[Exception] = []
        """Raised by the next calls of `load`, then of `render`."""
        self._line: Timeline | None = None

    @property
    def counts(self) -> dict[str, int]:
        return {"made": len(self.rendered)}

    def load(self, avatar: FacePack) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.avatar = avatar
        self.loaded += 1

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        self._line = Timeline(generation, epoch, first_tick, first_sample, self.avatar.fps)
        self._track = track
        self.strides.append(self.stride)

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        line = self._line
        if line is None:
            return
        for tick in range(max(first, line.first_tick), last + 1):
            if (tick - line.first_tick) % self.stride:
                continue
            if self.fails:
                raise self.fails.pop(0)
            known = line.middle(tick) < self._track.samples
            if not known and (not self._track.complete or line.over(tick, self._track.samples)):
                return
            self.rendered.append(tick)
            yield lightened(self.avatar, line, tick, tick % 7 if known else 0)


def lightened(avatar: FacePack, line: Timeline, tick: int, by: int) -> MouthPatch:
    base = base_index(tick, avatar.loop_frames)
    box = avatar.mouth_box_at(base)
    y, u, v = base_planes(avatar, box, base)
    planes = (y + np.uint8(by)).tobytes() + u.tobytes() + v.tobytes()
    return MouthPatch(line.generation, line.epoch, tick, base, box, planes)


def make(config: HeadConfig, models: Path) -> PlainHead:
    """For `head.engine: tests.fakes.heads:make`."""
    return PlainHead()


class DyingHead(PlainHead):
    """Loads once, fails at its third picture, and cannot be loaded again in this process: a GPU that was lost."""

    own_device = True
    lost = False

    def load(self, avatar: FacePack) -> None:
        if DyingHead.lost:
            raise HeadError("the device was lost")
        super().load(avatar)

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        for patch in super().render(first, last):
            if len(self.rendered) == 3:
                DyingHead.lost = True
                raise HeadError("a batch of faces failed: the device was lost")
            yield patch


def dying(config: HeadConfig, models: Path) -> DyingHead:
    """For `head.engine: tests.fakes.heads:dying`."""
    return DyingHead("dying")
