"""Engine `still`: the mouth stays shut. The fallback when no other engine can be loaded; costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from broadcaster.errors import HeadError
from broadcaster.head.timeline import Timeline
from broadcaster.types import MouthBox, MouthPatch, Plane, base_index

if TYPE_CHECKING:
    from pathlib import Path

    from broadcaster.config import HeadConfig
    from broadcaster.ports import AvatarPack, FacePack, SpeechTrack


def base_planes(avatar: AvatarPack, box: MouthBox, base: int) -> list[Plane]:
    """Y, U and V of `box` as they are in base frame `base`: read-only views."""
    y, u, v = avatar.frame(base)
    rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    half = (slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2))
    return [y[rows, columns], u[half], v[half]]


class StillHead:
    """Port `TalkingHead`: every patch is the base picture."""

    name = "still"
    lead_ticks = 0

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._avatar: FacePack | None = None
        self._timeline: Timeline | None = None

    def load(self, avatar: FacePack) -> None:
        self._avatar = avatar

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        if self._avatar is None:
            raise HeadError("the still engine was asked to speak before an avatar was loaded", retryable=False)
        self._timeline = Timeline(generation, epoch, first_tick, first_sample, self._avatar.fps)
        self._track = track

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        line, avatar = self._timeline, self._avatar
        if line is None or avatar is None:
            return
        for tick in range(max(first, line.first_tick), last + 1):
            known = line.middle(tick) < self._track.samples
            if not known and (not self._track.complete or line.over(tick, self._track.samples)):
                return
            base = base_index(tick, avatar.loop_frames)
            box = avatar.mouth_box_at(base)
            planes = b"".join(plane.tobytes() for plane in base_planes(avatar, box, base))
            yield MouthPatch(line.generation, line.epoch, tick, base, box, planes)


def make(config: HeadConfig, models: Path) -> StillHead:
    return StillHead(config.threads)
