"""The idle loop: an avatar's stills turned into base frames by warps alone. Runs in set-up only.

The head moves rigidly (weight 1 over face and mouth), so the landmarks of every frame follow from its affine motion
exactly; neck, shoulders and background take up the difference. Every motion is periodic in the loop, so that the
first frame follows the last. Planes are BT.709 limited range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.config.avatar import Idle
from broadcaster.errors import AssetError
from broadcaster.studio.avatar_source import AvatarSource, opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Planes = tuple[Image, Image, Image]
    Map = NDArray[np.float32]
    Points = NDArray[np.float64]

OVERSAMPLING: Final = 1.5
"""Stills are warped from this much more detail than the picture has, so sub-pixel motion does not shimmer."""

GRID: Final = 8
"""Warps are computed at every 8th pixel; they are affine or smooth, so interpolating loses nothing visible."""

_BT709: Final = np.array(
    [
        [16.0, 46.5594, 156.6288, 15.8118],
        [128.0, -25.6642, -86.3358, 112.0],
        [128.0, 112.0, -101.7303, -10.2697],
    ]
)
"""Rows Y, Cb, Cr: offset, then weights of R, G, B in 0..1."""


@dataclass(frozen=True, slots=True)
class View:
    """The part of the still that is on screen: `scale` picture pixels per still pixel, from (left, top) on."""

    width: int
    height: int
    scale: float
    left: float
    top: float

    @property
    def scales(self) -> tuple[float, float]:
        return self.scale, self.scale

    def to_picture(self, points: Points) -> Points:
        """Still coordinates (n, 2) to picture coordinates; pixel centres are whole numbers in both."""
        return (points + 0.5 - (self.left, self.top)) * self.scale - 0.5


def choose_view(width: int, height: int, still: tuple[int, int], focus: tuple[float, float]) -> View:
    """The largest cut of the picture's shape out of a still of (width, height), as near to `focus` as it fits."""
    scale = max(width / still[0], height / still[1])
    spare = (still[0] - width / scale, still[1] - height / scale)
    cut = (width / scale, height / scale)
    left, top = (min(max(focus[i] * still[i] - cut[i] / 2, 0.0), spare[i]) for i in range(2))
    return View(width, height, scale, left, top)


def to_yuv(picture: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """BGR (h, w, 3) in 0..255 to full-size float Y, U, V planes."""
    cv2 = opencv()
    mixed = cv2.transform(picture.astype(np.float32) / 255.0, _BT709[:, [3, 2, 1, 0]].astype(np.float32))
    planes: list[NDArray[np.float32]] = cv2.split(mixed)
    return planes[0], planes[1], planes[2]


def to_i420(picture: NDArray[Any]) -> Planes:
    """BGR of even size to 4:2:0 planes."""
    cv2 = opencv()
    y, u, v = to_yuv(picture)
    half = (picture.shape[1] // 2, picture.shape[0] // 2)
    small = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (u, v)]
    return _bytes(y), _bytes(small[0]), _bytes(small[1])


def _bytes(plane: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)


def eye_closure(seconds: float, idle: Idle) -> float:
    """0 open .. 1 shut at a time of the loop: shut in 0.1 s, held for 0.05 s, open again in 0.17 s."""
    closure = 0.0
    for blink in idle.blinks:
        since = (seconds - blink + idle.seconds / 2) % idle.seconds - idle.seconds / 2
        if since < 0.0:
            closure = max(closure, 1.0 + since / 0.1)
        else:
            closure = max(closure, 1.0 - max(0.0, since - 0.05) / 0.17)
    return closure


def head_motion(phase: float, idle: Idle, face: float, pivot: Points) -> tuple[Points, float]:
    """Affine (2, 3) of the head at `phase` (0..1 of the loop) and how far the chest is lifted, in pixels.

    `face` is the face's width in pixels; the head turns about `pivot`.
    """
    turn = 2 * np.pi * phase
    lift = idle.breath * face * 0.5 * (1 - np.cos(turn * idle.breaths))
    angle = idle.sway * 0.55 * (np.sin(turn + 0.7) + 0.5 * np.sin(2 * turn + 2.1))
    shift = (
        idle.sway
        * face
        * np.array(
            [np.sin(turn) + 0.4 * np.sin(3 * turn + 1.0), 0.5 * np.sin(2 * turn + 0.4) + 0.3 * np.sin(3 * turn)]
        )
    )
    shift[1] -= 0.6 * lift
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([rotation, pivot + shift - rotation @ pivot]), float(lift)


class IdleLoop:
    """Renders the base frames of one avatar for one picture size and rate, in order."""

    def __init__(self, source: AvatarSource, width: int, height: int, fps: int) -> None:
        cv2 = opencv()
        still = source.still()
        size = (still.shape[1], still.shape[0])
        self.idle = source.manifest.idle
        self.view = choose_view(width, height, size, source.manifest.focus)
        self.fps = fps
        self.frames = round(self.idle.seconds * fps)
        self.landmarks = {name: self.view.to_picture(points) for name, points in source.landmarks.items()}
        oval = self.landmarks["face_oval"]
        self.face = float(np.ptp(oval[:, 0]))
        self._pivot = self.landmarks["neck"][0]
        self.motion = np.empty((self.frames, 2, 3))
        self._lift = np.empty(self.frames)
        for index in range(self.frames):
            self.motion[index], self._lift[index] = head_motion(
                index / self.frames, self.idle, self.face, self._pivot
            )

        self._work = min(1.0, OVERSAMPLING * self.view.scale)
        blinks = [still, *(_pasted(still, source.overlay(part, 3), part.x, part.y) for part in source.manifest.blink)]
        self._stills = [self._prepared(picture, cv2) for picture in blinks]
        self._head, self._body = self._weights()
        self._luma_grid = self._base_map(width, height, 1)
        self._chroma_grid = self._base_map(width // 2, height // 2, 2)

    def __iter__(self) -> Iterator[Planes]:
        return map(self._frame, range(self.frames))

    def _prepared(self, picture: Image, cv2: Any) -> Planes:
        size = (2 * round(picture.shape[1] * self._work / 2), 2 * round(picture.shape[0] * self._work / 2))
        if size != (picture.shape[1], picture.shape[0]):
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        y, u, v = to_i420(picture)
        detail = self._work / self.view.scale
        if detail > 1.0:
            sigma = 0.5 * np.sqrt(detail**2 - 1.0)
            y, u, v = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (y, u, v))
        return y, u, v

    def _base_map(self, width: int, height: int, step: int) -> tuple[Map, Map]:
        """Where each picture pixel of a plane lies in the working still's plane, at rest."""
        factor = self._work / self.view.scale
        x = (np.arange(width) + 0.5) * factor + self.view.left * self._work / step - 0.5
        y = (np.arange(height) + 0.5) * factor + self.view.top * self._work / step - 0.5
        grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        return grid[0], grid[1]

    def _nodes(self) -> tuple[Points, Points]:
        columns, rows = -(-self.view.width // GRID), -(-self.view.height // GRID)
        x = (np.arange(columns) + 0.5) * (self.view.width / columns) - 0.5
        y = (np.arange(rows) + 0.5) * (self.view.height / rows) - 0.5
        nodes: tuple[Points, Points] = (x.astype(np.float64)[None, :], y.astype(np.float64)[:, None])
        return nodes

    def _weights(self) -> tuple[Points, Points]:
        x, y = self._nodes()
        oval = self.landmarks["face_oval"]
        low, high = oval.min(axis=0), oval.max(axis=0)
        centre, half = (low + high) / 2, (high - low) / 2
        chin, neck = self.landmarks["chin"][0, 1], self._pivot[1]
        shoulder = max(float(self.landmarks["shoulders"][:, 1].mean()), neck + 1.0)
        radius = np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1])
        around = 1.0 - _smooth(radius, 1.35, 2.6)
        head = around * (1.0 - _smooth(y, chin + 0.12 * (2 * half[1]), max(shoulder, chin + 0.5 * (2 * half[1]))))
        body = np.broadcast_to(_smooth(y, chin + 0.12 * (2 * half[1]), shoulder + 0.4 * half[1]), head.shape)
        return head, body

    def _frame(self, index: int) -> Planes:
        cv2 = opencv()
        x, y = self._nodes()
        forward = self.motion[index]
        rotation = forward[:, :2].T
        moved_x, moved_y = x - forward[0, 2], y - forward[1, 2]
        head_x = rotation[0, 0] * moved_x + rotation[0, 1] * moved_y - x
        head_y = rotation[1, 0] * moved_x + rotation[1, 1] * moved_y - y
        dx = (self._head * head_x).astype(np.float32)
        dy = (self._head * head_y + self._body * self._lift[index]).astype(np.float32)

        closure = eye_closure(index / self.fps, self.idle)
        stage = round(closure * (len(self._stills) - 1))
        planes = []
        for number, plane in enumerate(self._stills[stage]):
            step, grid = (1, self._luma_grid) if number == 0 else (2, self._chroma_grid)
            size = (self.view.width // step, self.view.height // step)
            factor = self._work / self.view.scale / step
            map_x, map_y = (
                cv2.scaleAdd(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR), factor, base)
                for field, base in zip((dx, dy), grid, strict=True)
            )
            kind = cv2.INTER_CUBIC if number == 0 else cv2.INTER_LINEAR
            planes.append(cv2.remap(plane, map_x, map_y, kind, borderMode=cv2.BORDER_REPLICATE))
        return planes[0], planes[1], planes[2]


def _smooth(value: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """0 at `start` to 1 at `end`, level at both."""
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _pasted(still: Image, part: Image, x: int, y: int) -> Image:
    """A copy of the still with `part` laid over it, its edge faded so that no border shows."""
    height, width = part.shape[:2]
    if x + width > still.shape[1] or y + height > still.shape[0]:
        raise AssetError(f"a blink stage of {width}x{height} at ({x}, {y}) does not fit into the still")
    edge = max(2.0, 0.08 * min(width, height))
    rows = np.minimum(np.arange(height) + 0.5, np.arange(height)[::-1] + 0.5) / edge
    columns = np.minimum(np.arange(width) + 0.5, np.arange(width)[::-1] + 0.5) / edge
    alpha = np.clip(rows, 0, 1)[:, None, None] * np.clip(columns, 0, 1)[None, :, None]
    result = still.copy()
    region = result[y : y + height, x : x + width]
    region[:] = np.rint(region + (part.astype(np.float64) - region) * alpha).astype(np.uint8)
    return result
