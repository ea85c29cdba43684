"""Which stretches of a video can be used, and the loop in them. Pure but for the survey's files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.head.prepare.looking import Fault
from broadcaster.head.prepare.report import Unusable, nothing_usable, unusable_of
from broadcaster.head.prepare.seam import Loop, SeamSearch
from broadcaster.head.prepare.stabilise import GAP_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.head.prepare.order import Order
    from broadcaster.head.prepare.reading import Video
    from broadcaster.head.prepare.survey import Survey

SHORTEST_S: Final = 2.0


class NothingUsable(AssetError):
    """No stretch of the video can be used, however its loop is to close."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The loop, in numbers of the survey."""

    loop: Loop
    stretch: tuple[int, int]
    """The usable pictures that the loop was found in, first and last."""
    faults: list[Fault]
    """Of every picture of the survey."""
    unusable: tuple[Unusable, ...]
    faces_found: int


def usable_stretches(faults: Sequence[Fault], fps: float) -> list[tuple[int, int]]:
    """(first, last), inclusive, of the stretches without a fault longer than GAP_SECONDS, longest first."""
    good = [k for k, fault in enumerate(faults) if fault == Fault.NONE]
    longest_gap = max(1, round(GAP_SECONDS * fps))
    stretches: list[tuple[int, int]] = []
    for k in good:
        if stretches and k - stretches[-1][1] - 1 <= longest_gap:
            stretches[-1] = (stretches[-1][0], k)
        else:
            stretches.append((k, k))
    return sorted(stretches, key=lambda each: each[0] - each[1])


def plan_of(order: Order, video: Video, survey: Survey, first: int) -> Plan:
    faults, step = survey.faults, float(video.facts.step)
    fps = video.facts.fps
    unusable = unusable_of(faults, step, first * step)
    stretches = usable_stretches(faults, fps)
    long_enough = [each for each in stretches if (each[1] - each[0] + 1) * step >= SHORTEST_S]
    if not long_enough:
        longest = (stretches[0][1] - stretches[0][0] + 1) * step if stretches else 0.0
        raise NothingUsable(nothing_usable(order.source, unusable, len(faults), longest))
    meshes = bridged(survey.meshes, faults, long_enough)
    search = SeamSearch(survey.looks, meshes, long_enough, fps)
    loop = search.best(order.loop, order.wished_s, max(300.0, order.wished_s))
    if loop is None:
        raise AssetError(
            f"{order.source}: no {order.loop} of at least {SHORTEST_S:g} s -> give a longer video, or --loop pingpong"
        )
    stretch = next(each for each in long_enough if each[0] <= loop.first and loop.last <= each[1])
    return Plan(loop, stretch, faults, unusable, sum(fault != Fault.NO_FACE for fault in faults))


def bridged(
    meshes: NDArray[np.float32], faults: Sequence[Fault], stretches: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """A copy of the meshes in which the short gaps within the stretches are filled from both sides."""
    filled = np.array(meshes)
    for first, last in stretches:
        known = [k for k in range(first, last + 1) if faults[k] == Fault.NONE]
        for before, after in itertools.pairwise(known):
            for k in range(before + 1, after):
                share = (k - before) / (after - before)
                filled[k] = meshes[before] + (meshes[after] - meshes[before]) * share
    return filled
