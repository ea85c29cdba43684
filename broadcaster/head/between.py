"""Pictures between two rendered ones: the change that each makes to its base, mixed, over the base between.

The base goes on at its own rate, so head and eyes stay as smooth as ever; only the mouth is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from broadcaster.head.still import base_planes
from broadcaster.types import MouthBox, MouthPatch, base_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.ports import FacePack

    Change = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A patch and the change of Y, U, V (int16, -255..255) that it makes to the base under its box."""

    patch: MouthPatch
    change: tuple[Change, Change, Change]


def planes_of(patch: MouthPatch) -> list[NDArray[np.uint8]]:
    """Y (h, w), U and V (h/2, w/2) of a patch: read-only views."""
    box = patch.box
    pixels, luma = np.frombuffer(patch.planes, dtype=np.uint8), box.width * box.height
    half = (box.height // 2, box.width // 2)
    return [
        pixels[:luma].reshape(box.height, box.width),
        pixels[luma : luma + luma // 4].reshape(half),
        pixels[luma + luma // 4 :].reshape(half),
    ]


def rendered(avatar: FacePack, patch: MouthPatch) -> Rendered:
    bases = base_planes(avatar, patch.box, patch.base)
    y, u, v = (
        plane.astype(np.int16) - base.astype(np.int16) for plane, base in zip(planes_of(patch), bases, strict=True)
    )
    return Rendered(patch, (y, u, v))


def between(avatar: FacePack, tick: int, before: Rendered, after: Rendered) -> MouthPatch:
    """The patch of `tick`, which lies between the two.

    The changes ride on the mouth's place in each frame (`mouth_box_at`), so that a moving head is followed to the
    nearest even pixel. Where only one of the two reaches, the other counts as no change.
    """
    first, last = before.patch, after.patch
    share = (tick - first.tick) / (last.tick - first.tick)
    base = base_index(tick, avatar.loop_frames)
    here = avatar.mouth_box_at(base)
    placed = [_shifted(each.patch.box, avatar.mouth_box_at(each.patch.base), here) for each in (before, after)]
    box = _within(_union(*placed), avatar)
    planes = []
    for number, plane in enumerate(base_planes(avatar, box, base)):
        scale = 1 if number == 0 else 2
        mixed = np.zeros(plane.shape, np.float32)
        for each, at, weight in zip((before, after), placed, (1 - share, share), strict=True):
            _add(mixed, each.change[number], weight, (at.x - box.x) // scale, (at.y - box.y) // scale)
        planes.append(np.clip(np.rint(plane + mixed), 0, 255).astype(np.uint8).tobytes())
    return MouthPatch(first.generation, first.epoch, tick, base, box, b"".join(planes))


def _add(onto: NDArray[np.float32], change: Change, weight: float, x: int, y: int) -> None:
    """Adds `weight` of a change whose corner lies at (x, y); what hangs over the edge is left out."""
    height, width = onto.shape
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(change.shape[1], width - x), min(change.shape[0], height - y)
    if left < right and top < bottom:
        onto[y + top : y + bottom, x + left : x + right] += np.float32(weight) * change[top:bottom, left:right]


def _shifted(box: MouthBox, there: MouthBox, here: MouthBox) -> MouthBox:
    return MouthBox(box.x + here.x - there.x, box.y + here.y - there.y, box.width, box.height)


def _union(one: MouthBox, other: MouthBox) -> MouthBox:
    x, y = min(one.x, other.x), min(one.y, other.y)
    right = max(one.x + one.width, other.x + other.width)
    bottom = max(one.y + one.height, other.y + other.height)
    return MouthBox(x, y, right - x, bottom - y)


def _within(box: MouthBox, avatar: FacePack) -> MouthBox:
    """What of `box` lies in the picture, 2 by 2 pixels at its edge at least."""
    x, y = max(0, min(box.x, avatar.width - 2)), max(0, min(box.y, avatar.height - 2))
    right, bottom = min(avatar.width, box.x + box.width), min(avatar.height, box.y + box.height)
    return MouthBox(x, y, max(2, right - x), max(2, bottom - y))
