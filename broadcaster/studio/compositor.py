"""Composes one picture per tick in I420: base frame, mouth patch, label. Runs in playout's tick thread.

The base frame is copied once per tick, then only the mouth box and the label's box are written. What is kept does not
grow with the avatar's loop.
"""

from __future__ import annotations

from collections import OrderedDict

import av
import numpy as np
from numpy.typing import NDArray

from broadcaster.ports import AvatarPack
from broadcaster.studio.label import Overlay, region_of
from broadcaster.types import MouthBox, MouthPatch, Plane, base_index

FEATHER = 8
"""Pixels over which the patch's edge fades into the base; engines keep their patch equal to it there."""

FADE_TICKS = 3
"""The mouth fades in and out over this many ticks at the ends of an utterance."""

FRAME_POOL = 4
"""The encoder may still hold a reference to the last frame while the next is written."""

ALPHAS = 48
"""Sizes and gains of patches whose weights are kept; an engine's box may change its size with the head's distance."""

STANDS_STILL = 5
"""A base frame that is not there shows the last picture again with its mouth; past this many ticks without it."""


class Compositor:
    """`compose` returns a frame valid until FRAME_POOL more have been composed."""

    def __init__(self, avatar: AvatarPack, label: Overlay) -> None:
        self._avatar = avatar
        self._label = label
        self.held = 0
        """Ticks that showed another base frame than their own, because that was not decoded in time or is damaged."""
        self._held_now = 0
        self._shown: tuple[int, tuple[Plane, Plane, Plane]] | None = None
        self._frames = [_new_frame(avatar.width, avatar.height) for _ in range(FRAME_POOL)]
        self._planes = [_planes_of(frame) for frame in self._frames]
        self._next = 0
        self._alphas: OrderedDict[tuple[int, int, int], tuple[NDArray[np.uint16], NDArray[np.uint16]]] = OrderedDict()

    def compose(self, tick: int, patch: MouthPatch | None = None, gain: int = FADE_TICKS) -> av.VideoFrame:
        """The picture of `tick`. `gain`: 0..FADE_TICKS, how much of the patch is shown.

        A patch whose base index is not the one of this tick is a programming error (ValueError). Where the avatar has
        only its last base frame to give, the last picture is shown again, and after STANDS_STILL that base frame.
        """
        index = base_index(tick, self._avatar.loop_frames)
        base = self._avatar.frame(index)
        if self._shown is not None and base is self._shown[1] and index != self._shown[0]:
            self.held += 1
            self._held_now += 1
            index, patch = self._shown[0], None
            if self._held_now <= STANDS_STILL:
                return self._frames[self._next - 1]
        else:
            self._held_now = 0
            self._shown = (index, base)
        frame, planes = self._frames[self._next], self._planes[self._next]
        self._next = (self._next + 1) % FRAME_POOL
        for target, source in zip(planes, base, strict=True):
            np.copyto(target, source)
        if patch is not None and gain > 0:
            if patch.base != index:
                raise ValueError(f"patch for base {patch.base} offered at tick {tick} with base {index}")
            self._lay(planes, patch, gain)
        self._stamp(planes, base)
        return frame

    def _lay(self, planes: tuple[Plane, Plane, Plane], patch: MouthPatch, gain: int) -> None:
        box = patch.box
        luma = box.width * box.height
        pixels = np.frombuffer(patch.planes, dtype=np.uint8)
        parts = (
            pixels[:luma].reshape(box.height, box.width),
            pixels[luma : luma + luma // 4].reshape(box.height // 2, box.width // 2),
            pixels[luma + luma // 4 :].reshape(box.height // 2, box.width // 2),
        )
        alphas = self._alpha(box, gain)
        for plane, part, scale, alpha in zip(
            planes, parts, (1, 2, 2), (alphas[0], alphas[1], alphas[1]), strict=True
        ):
            region = region_of(plane, box, scale)
            mixed = region * (256 - alpha)
            mixed += part * alpha
            mixed += 128
            mixed >>= 8
            region[...] = mixed

    def _stamp(self, planes: tuple[Plane, Plane, Plane], base: tuple[Plane, Plane, Plane]) -> None:
        for plane, part, scale in zip(planes, self._label.over(base), (1, 2, 2), strict=True):
            region_of(plane, self._label.box, scale)[...] = part

    def _alpha(self, box: MouthBox, gain: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """0..256 weights for luma and chroma: feathered at the edge, scaled by gain / FADE_TICKS."""
        key = (box.width, box.height, gain)
        known = self._alphas.get(key)
        if known is None:
            ramp_x = np.minimum(np.arange(box.width), np.arange(box.width)[::-1])
            ramp_y = np.minimum(np.arange(box.height), np.arange(box.height)[::-1])
            edge = np.clip(np.minimum.outer(ramp_y, ramp_x) / FEATHER, 0, 1)
            alpha = np.rint(edge * 256 * gain / FADE_TICKS).astype(np.uint16)
            known = self._alphas[key] = (alpha, np.ascontiguousarray(alpha[::2, ::2]))
            if len(self._alphas) > ALPHAS:
                self._alphas.popitem(last=False)
        return known


def _new_frame(width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.color_range = av.video.reformatter.ColorRange.MPEG
    frame.colorspace = av.video.reformatter.Colorspace.ITU709
    return frame


def _planes_of(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Writable views of a frame's planes without their padding."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        views.append(rows[:, : plane.width])
    return views[0], views[1], views[2]
