"""Engine `warp`: lips moved by warping the base picture, timed by phones. Plain CPU, one thread, no model.

Each lip is a layer with its own displacement field; between the two shows the inner mouth. At rest the patch is
the base picture itself. It is lip animation from mouth shapes, not a reconstruction of this person's speech.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import HeadError
from broadcaster.head.fields import JAW_DROP, LOWER, UPPER, MouthFields, build_fields
from broadcaster.head.inner import LOWER_TEETH_DROP, InnerMouth
from broadcaster.head.opencv import opencv
from broadcaster.head.shapes import REST, MouthShape, MouthTrack
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import Timeline
from broadcaster.types import MouthPatch, base_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from broadcaster.config import HeadConfig
    from broadcaster.ports import FacePack, SpeechTrack

    Floats = NDArray[np.float32]
    Array = NDArray[np.float64]
    Image = NDArray[np.uint8]

INVERSION_STEPS: Final = 4
"""Fixed-point steps that turn a forward field into the backward map; 4 leave less than a tenth of a pixel."""

TORN: Final = 0.35 / JAW_DROP
"""Of the jaw: beyond 0.35 mouth widths warped photographs look torn."""

EDGE: Final = 1.2
"""Softness of the lips' inner edge, in pixels."""


class WarpHead:
    """Port `TalkingHead`. Stateless between pictures: each depends on the track around its tick only."""

    name = "warp"
    lead_ticks = 2

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._avatar: FacePack | None = None
        self._timeline: Timeline | None = None

    def load(self, avatar: FacePack) -> None:
        """Builds the fields and renders one open mouth. Raises AssetError."""
        self._cv2: Any = opencv(self._threads)
        self._fields: MouthFields = build_fields(avatar)
        self._inner = InnerMouth(avatar, self._fields.width)
        self._avatar = avatar
        box = avatar.mouth_box
        self._grid = np.meshgrid(np.arange(box.width, dtype=np.float32), np.arange(box.height, dtype=np.float32))
        rows, columns = self._fields.basis.shape[2:4]
        self._nodes = np.stack(
            np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)), axis=-1
        )
        self.patch(0, MouthShape(jaw=0.8, wide=0.3, upper=0.3))

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        if self._avatar is None:
            raise HeadError("the warp engine was asked to speak before an avatar was loaded", retryable=False)
        self._timeline = Timeline(generation, epoch, first_tick, first_sample, self._avatar.fps)
        self._track, self._mouth = track, MouthTrack(track)

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        line, avatar = self._timeline, self._avatar
        if line is None or avatar is None:
            return
        for tick in range(max(first, line.first_tick), last + 1):
            sample = line.middle(tick)
            if sample >= self._mouth.known_until():
                if not self._track.complete or line.over(tick, self._track.samples):
                    return
                shape = REST
            else:
                shape = self._mouth.shape_at(sample)
            base = base_index(tick, avatar.loop_frames)
            box = avatar.mouth_box_at(base)
            yield MouthPatch(line.generation, line.epoch, tick, base, box, self.patch(base, shape))

    def patch(self, base: int, shape: MouthShape) -> bytes:
        """I420 of the mouth box over base frame `base` with the mouth in `shape`."""
        if self._avatar is None:
            raise HeadError("the warp engine has no avatar loaded", retryable=False)
        planes = base_planes(self._avatar, self._avatar.mouth_box_at(base), base)
        if not shape.at_rest:
            shape = opened(shape, self._avatar.mouth.opening)
            planes = self._warped(planes, self._affine(base), shape)
        return b"".join(plane.tobytes() for plane in planes)

    def opening(self, shape: MouthShape) -> float:
        """Height of the gap between the lips in `shape`, in pixels."""
        moved = self._moved_lines(shape)
        return float(np.max(moved[LOWER][:, 1] - moved[UPPER][:, 1], initial=0.0))

    def _affine(self, base: int) -> Array:
        """Takes pixels of the box at rest to pixels of the box in base frame `base`."""
        assert self._avatar is not None
        rest, there = self._avatar.mouth_box, self._avatar.mouth_box_at(base)
        affine: Array = self._avatar.motion[base].copy()
        affine[:, 2] += affine[:, :2] @ np.array([rest.x, rest.y]) - np.array([there.x, there.y])
        return affine

    def _moved_lines(self, shape: MouthShape) -> Array:
        """(2 layers, points, 2): the lips' inner edges in `shape`, at rest's place in the box."""
        weights = np.array(shape.vector())
        moved: Array = self._fields.line + np.tensordot(weights, self._fields.line_basis, axes=1)
        return moved

    def _warped(self, planes: list[Image], affine: Array, shape: MouthShape) -> list[Image]:
        cv2 = self._cv2
        height, width = planes[0].shape
        top, bottom, outside = self._edges(shape, affine, width)
        shifts = [self._backward(layer, shape, affine, (width, height)) for layer in (UPPER, LOWER)]
        grid_x, grid_y = self._grid
        softness = 1.0 + 0.6 * outside
        upper_share = np.clip(((top + bottom) / 2 - grid_y) / softness + 0.5, 0.0, 1.0)[:, :, None]
        shift = shifts[LOWER] + (shifts[UPPER] - shifts[LOWER]) * upper_share
        map_x, map_y = grid_x + shift[:, :, 0], grid_y + shift[:, :, 1]

        size = (width // 2, height // 2)
        half_x, half_y = (cv2.resize(m, size, interpolation=cv2.INTER_AREA) * 0.5 - 0.25 for m in (map_x, map_y))
        out: list[Image] = [
            cv2.remap(planes[0], map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
            *(cv2.remap(p, half_x, half_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in planes[1:]),
        ]
        self._fill(out, top, bottom, outside, affine, shape)
        return out

    def _edges(self, shape: MouthShape, affine: Array, width: int) -> tuple[Floats, Floats, Floats]:
        """Per column of the box: the upper and the lower lip's inner edge, and how far outside the mouth it is."""
        moved = self._moved_lines(shape) @ affine[:, :2].T + affine[:, 2]
        columns = np.arange(width)
        top, bottom = (np.interp(columns, edge[:, 0], edge[:, 1]) for edge in moved)
        left, right = moved[:, 0, 0].mean(), moved[:, -1, 0].mean()
        outside = np.maximum(0.0, np.maximum(left - columns, columns - right))
        bottom = np.maximum(top, bottom)
        return top.astype(np.float32), bottom.astype(np.float32), outside.astype(np.float32)

    def _backward(self, layer: int, shape: MouthShape, affine: Array, size: tuple[int, int]) -> Floats:
        """(h, w, 2): from each pixel of the patch to the base pixel that shows there."""
        cv2, fields = self._cv2, self._fields
        forward: Floats = np.tensordot(np.array(shape.vector(), dtype=np.float32), fields.basis[:, layer], axes=1)
        back = -forward
        for _ in range(INVERSION_STEPS):
            at = self._nodes + back * np.float32(1 / fields.step)
            back = -cv2.remap(forward, at[:, :, 0], at[:, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        turned: Floats = back @ affine[:, :2].T.astype(np.float32)
        to_pixels = np.column_stack([affine[:, :2] * fields.step, affine @ (*[0.5 * fields.step - 0.5] * 2, 1.0)])
        spread: Floats = cv2.warpAffine(
            turned, to_pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
        )
        return spread

    def _fill(
        self, planes: list[Image], top: Floats, bottom: Floats, outside: Floats, affine: Array, shape: MouthShape
    ) -> None:
        """Lays the inner mouth over the gap between the lips."""
        cv2 = self._cv2
        gap = np.where(outside > 0, 0.0, bottom - top)
        open_columns = np.flatnonzero(gap > 0.25)
        if open_columns.size == 0:
            return
        x0 = 2 * (int(open_columns[0]) // 2)
        x1 = 2 * (int(open_columns[-1]) // 2) + 2
        y0 = 2 * (int(top[x0:x1].min() - EDGE) // 2)
        y1 = 2 * (int(bottom[x0:x1].max() + EDGE) // 2) + 2
        rows = np.arange(y0, y1, dtype=np.float32)[:, None]
        upper, lower = top[x0:x1], bottom[x0:x1]
        alpha = np.clip((rows - upper) / EDGE + 0.5, 0.0, 1.0) * np.clip((lower - rows) / EDGE + 0.5, 0.0, 1.0)
        alpha = (alpha * np.clip(gap[x0:x1] / 1.5, 0.0, 1.0)).astype(np.float32)
        drop = affine[:, :2] @ (0.0, JAW_DROP * LOWER_TEETH_DROP * shape.jaw * self._fields.width)
        colour = self._inner.draw(x0, x1, y0, y1, upper, lower, affine, drop)
        half = ((x1 - x0) // 2, (y1 - y0) // 2)
        small_alpha = cv2.resize(alpha, half, interpolation=cv2.INTER_AREA)
        small = cv2.resize(colour, half, interpolation=cv2.INTER_AREA)
        _blend(planes[0][y0:y1, x0:x1], colour[:, :, 0], alpha)
        for plane, channel in ((1, 1), (2, 2)):
            _blend(planes[plane][y0 // 2 : y1 // 2, x0 // 2 : x1 // 2], small[:, :, channel], small_alpha)


def opened(shape: MouthShape, opening: float) -> MouthShape:
    """`shape` with the jaw and the lips' own opening taken `opening` times as far, the jaw not beyond TORN."""
    if opening == 1.0:
        return shape
    jaw = min(shape.jaw * opening, max(TORN, shape.jaw))
    return replace(shape, jaw=jaw, upper=shape.upper * opening, lower=shape.lower * opening)


def _blend(under: Image, over: Floats, alpha: Floats) -> None:
    under[:] = np.rint(under + (over - under) * alpha).astype(np.uint8)


def make(config: HeadConfig, models: Path) -> WarpHead:
    return WarpHead(config.threads)
