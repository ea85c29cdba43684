"""A presenter prepared from a synthetic video, made once for all tests of a worker."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broadcaster.head.prepare.order import About, Order
from broadcaster.head.prepare.report import Report
from broadcaster.head.prepare.work import prepare_video
from broadcaster.head.prepare.writing import write_piece
from tests.support.synthetic import Motion, MovingHead

Bgr = NDArray[np.uint8]

ABOUT = About("试播", False, "CC0-1.0", "nobody", "", "", {"zh": "zf_xiaoxiao"})
PERIOD = 60
"""Pictures after which the head of `video` is where it was."""


class Watched:
    """Port `Progress` that remembers, and may break the work off."""

    def __init__(self, stop: Callable[[str, int], bool] = lambda stage, done: False) -> None:
        self.stages: list[tuple[str, int | None, int]] = []
        self._stop = stop

    def stage(self, name: str, total: int | None, done: int) -> None:
        self.stages.append((name, total, done))
        self.done(done)

    def done(self, count: int) -> None:
        if self._stop(self.stages[-1][0], count):
            raise Broken


class Broken(BaseException):
    """As a kill: nothing handles it."""


@cache
def head() -> Sequence[Bgr]:
    """3.8 s of a head that sways, nods, turns, comes nearer and blinks, and returns every 2.4 s."""
    once = list(truth())
    return [once[k % PERIOD] for k in range(95)]


@cache
def truth() -> MovingHead:
    """One period of it, and where everything is."""
    return MovingHead(640, 360, 25, PERIOD / 25, Motion(period=PERIOD / 25, blinks=(0.9,)))


@cache
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="bc-prepared-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def video() -> Path:
    path = folder() / "anchor.mkv"
    write_piece(path, iter(head()), 25, 1)
    return path


@cache
def seen() -> Path:
    """Unfinished work on `video`: everything looked at, no loop yet."""
    order = order_for(folder() / "seen" / "anchor")
    try:
        prepare_video(order, Watched(lambda stage, done: stage == "finding the loop"))
    except Broken:
        return order.working
    raise AssertionError("it was to be broken off")


def order_for(target: Path, **more: object) -> Order:
    return Order(video(), target.name, target, ABOUT, wished_s=2.4, **more)  # type: ignore[arg-type]


def prepared(target: Path, **more: object) -> Report:
    """Prepares `video` as `target`, without looking at it once more."""
    order = order_for(target, **more)
    shutil.copytree(seen(), order.working)
    watched = Watched()
    report = prepare_video(order, watched)
    assert "looking for the face" not in {name for name, _, _ in watched.stages}, "nothing is looked at twice"
    return report


@cache
def anchor() -> tuple[Path, Report]:
    """The presenter `anchor`; do not write to it."""
    target = folder() / "avatars" / "anchor"
    return target, prepared(target)
