"""How the skin around a mouth moves: one displacement field per shape parameter and lip, from landmarks alone.

Built once per avatar. Everything is measured in mouth widths in a frame whose origin lies between the mouth corners,
x along them and y down the face. Two layers, one for each lip, so that the skin may part along the lip line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.head.shapes import PARAMETERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.ports import FacePack

    Array = NDArray[np.float64]

LINE_POINTS: Final = 21
"""Points along each inner lip contour, corner to corner."""

NODES_PER_MOUTH: Final = 26
"""Field nodes across the width of the mouth: at 720p one every 3 to 5 pixels."""

JAW_DROP: Final = 0.30
"""How far the lower lip drops with jaw = 1, in mouth widths; warped photographs look torn beyond 0.35."""

MARGIN: Final = 0.05
BLENDING: Final = 0.18
"""Fields are zero within MARGIN of the box's edge (of its shorter side) and full from BLENDING on."""

STEADY: Final = 0.97
"""A head whose nearest view is no larger than this keeps within the MARGIN."""

UPPER: Final = 0
LOWER: Final = 1

_Motion = Callable[[float, float], tuple[float, float]]
"""Displacement of a point from (t, c): t is -1 at the left corner .. 1 at the right, c = 1 - t^2."""


@dataclass(frozen=True, slots=True)
class MouthFields:
    """Displacement fields on a grid of nodes over the mouth box.

    `basis`: float32 (parameters, 2 layers, rows, columns, 2), pixels. `line`: (LINE_POINTS, 2), the closed lips' line
    in box pixels; `line_basis`: (parameters, 2 layers, LINE_POINTS, 2). `width`: of the mouth, in pixels.
    Node (r, c) lies at box pixel ((c + 0.5) * step - 0.5, (r + 0.5) * step - 0.5).
    """

    basis: NDArray[np.float32]
    line: Array
    line_basis: Array
    width: float
    step: float


def build_fields(avatar: FacePack) -> MouthFields:
    """Fields for an avatar's mouth. Raises AssetError when its landmarks do not make a mouth.

    Where the head moves, they fill no more of the box than stays inside it in every base frame.
    """
    box = avatar.mouth_box
    inset = _inset(avatar.motion, box.width, box.height)
    line = avatar.landmarks["lip_line"] - (box.x, box.y)
    outer = avatar.landmarks["lips_outer"] - (box.x, box.y)
    chin = avatar.landmarks["chin"][0] - (box.x, box.y)
    nose = avatar.landmarks["nose_base"][0] - (box.x, box.y)
    axis = line[-1] - line[0]
    width = float(np.hypot(*axis))
    if width < 8:
        raise AssetError(f"the mouth is {width:.0f} pixels wide; lips cannot be moved in so small a picture")
    origin = (line[0] + line[-1]) / 2
    across = axis / width
    frame = np.array([across, [-across[1], across[0]]])

    def local(points: Array) -> Array:
        return np.asarray((points - origin) @ frame.T / width)

    resampled = _along(local(line), LINE_POINTS)
    contour = local(outer)
    far = int(np.argmax(contour[:, 0]))
    rim_upper = _along(contour[: far + 1], 11)[1:-1]
    rim_lower = _along(np.vstack([contour[far:], contour[:1]])[::-1], 11)[1:-1]
    chin_y = float(local(chin[None])[0, 1])
    nose_y = float(local(nose[None])[0, 1])

    step = max(2.0, width / NODES_PER_MOUTH)
    columns, rows = int(np.ceil(box.width / step)), int(np.ceil(box.height / step))
    nodes = np.stack(
        np.meshgrid((np.arange(columns) + 0.5) * step - 0.5, (np.arange(rows) + 0.5) * step - 0.5), axis=-1
    )
    window = _window(nodes - inset, *(np.array([box.width, box.height]) - 2 * inset))
    grid = local(nodes.reshape(-1, 2))
    corners = local(
        np.array([[0, 0], [box.width, 0], [0, box.height], [box.width, box.height]], dtype=np.float64)
        + np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]]) * inset
    )
    low, high = corners.min(axis=0), corners.max(axis=0)

    basis = np.zeros((len(PARAMETERS), 2, rows, columns, 2), dtype=np.float32)
    line_basis = np.zeros((len(PARAMETERS), 2, LINE_POINTS, 2))
    for layer, rim in ((UPPER, rim_upper), (LOWER, rim_lower)):
        points, kinds = _controls(layer, resampled, rim, chin_y, nose_y, low, high)
        spread = _Spline(points)
        at_nodes, at_line = spread.evaluate(grid), spread.evaluate(resampled)
        for index, name in enumerate(PARAMETERS):
            moved = np.array(
                [_MOTIONS[name].get(kind, _still)(*_tc(p)) for p, kind in zip(points, kinds, strict=True)]
            )
            weights = spread.solve(moved)
            field = (at_nodes @ weights) @ frame * width
            basis[index, layer] = field.reshape(rows, columns, 2) * window[..., None]
            line_basis[index, layer] = (at_line @ weights) @ frame * width
    pixels = resampled * width @ frame + origin
    return MouthFields(basis, pixels, line_basis, width, step)


def _controls(
    layer: int, line: Array, rim: Array, chin_y: float, nose_y: float, low: Array, high: Array
) -> tuple[Array, list[str]]:
    side = "upper" if layer == UPPER else "lower"
    groups: list[tuple[str, list[tuple[float, float]]]] = [
        (f"{side}_line", [(float(x), float(y)) for x, y in line[::2]]),
        (f"{side}_rim", [(float(x), float(y)) for x, y in rim]),
        ("cheek", [(s * x, 0.0) for s in (-1, 1) for x in (0.66, 0.85)]),
        ("still", [(s * 0.3, nose_y) for s in (-1, 0, 1)]),
        ("still", _ring(low, high)),
    ]
    if layer == LOWER:
        groups += [
            ("chin", [(x, chin_y * (1 - 0.25 * x * x)) for x in (-0.3, 0.0, 0.3)]),
            ("fold", [(x, chin_y * 0.62) for x in (-0.35, 0.0, 0.35)]),
            ("jaw", [(s * 0.75, chin_y * 0.7) for s in (-1, 1)]),
        ]
    points = [point for _, members in groups for point in members]
    kinds = [kind for kind, members in groups for _ in members]
    return np.array(points), kinds


def _ring(low: Array, high: Array) -> list[tuple[float, float]]:
    """Points that never move, just inside the box's edge."""
    inset = 0.06 * float((high - low).min())
    x = np.linspace(low[0] + inset, high[0] - inset, 7)
    y = np.linspace(low[1] + inset, high[1] - inset, 6)
    sides = [(float(a), float(y[i])) for a in x for i in (0, -1)]
    return sides + [(float(x[i]), float(b)) for b in y[1:-1] for i in (0, -1)]


def _tc(point: Array) -> tuple[float, float]:
    t = float(np.clip(2 * point[0], -2.2, 2.2))
    return t, max(0.0, 1.0 - t * t)


def _still(t: float, c: float) -> tuple[float, float]:
    return 0.0, 0.0


def _bow(c: float) -> float:
    """Opening along the lips: a little fuller towards the corners than a parabola."""
    return float(c**0.92)


_MOTIONS: Final[dict[str, dict[str, _Motion]]] = {
    "jaw": {
        "upper_line": lambda t, c: (-0.035 * t, -0.012 * _bow(c) + 0.02 * (1 - c)),
        "upper_rim": lambda t, c: (-0.035 * t, -0.008 * c),
        "lower_line": lambda t, c: (-0.035 * t, JAW_DROP * _bow(c) + 0.02 * (1 - c)),
        "lower_rim": lambda t, c: (-0.035 * t, JAW_DROP * 0.95 * c + 0.05 * (1 - c)),
        "cheek": lambda t, c: (0.0, 0.02),
        "fold": lambda t, c: (0.0, JAW_DROP * 0.92),
        "chin": lambda t, c: (0.0, JAW_DROP * 0.85),
        "jaw": lambda t, c: (0.0, JAW_DROP * 0.30),
    },
    "wide": {
        "upper_line": lambda t, c: (0.075 * t, -0.012 * (1 - c)),
        "upper_rim": lambda t, c: (0.07 * t, 0.012 * c),
        "lower_line": lambda t, c: (0.075 * t, -0.012 * (1 - c)),
        "lower_rim": lambda t, c: (0.07 * t, -0.014 * c),
        "cheek": lambda t, c: (0.035 * np.sign(t), -0.006),
    },
    "round": {
        "upper_line": lambda t, c: (-0.15 * t, -0.01 * c),
        "upper_rim": lambda t, c: (-0.14 * t, -0.035 * c),
        "lower_line": lambda t, c: (-0.15 * t, 0.015 * c),
        "lower_rim": lambda t, c: (-0.14 * t, 0.045 * c),
        "cheek": lambda t, c: (-0.07 * np.sign(t), 0.0),
    },
    "upper": {
        "upper_line": lambda t, c: (0.0, -0.075 * _bow(c)),
        "upper_rim": lambda t, c: (0.0, -0.055 * c),
    },
    "lower": {
        "lower_line": lambda t, c: (0.0, 0.075 * _bow(c)),
        "lower_rim": lambda t, c: (0.0, 0.06 * c),
        "fold": lambda t, c: (0.0, 0.02),
    },
    "tuck": {
        "upper_line": lambda t, c: (0.0, -0.045 * _bow(c)),
        "upper_rim": lambda t, c: (0.0, -0.03 * c),
        "lower_line": lambda t, c: (0.0, -0.015 * _bow(c)),
        "lower_rim": lambda t, c: (0.0, -0.06 * c),
        "fold": lambda t, c: (0.0, -0.03),
    },
    "press": {
        "upper_rim": lambda t, c: (0.0, 0.022 * c),
        "lower_rim": lambda t, c: (0.0, -0.030 * c),
    },
}
"""Displacement per parameter and kind of control point, in mouth widths. Outside the lips t goes on beyond 1."""


class _Spline:
    """Thin-plate spline through fixed points: `evaluate(x) @ solve(values)` interpolates values given there."""

    def __init__(self, points: Array) -> None:
        self._points = points
        count = len(points)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = self._kernel(points) + 1e-6 * np.eye(count)
        system[:count, count:] = self._affine(points)
        system[count:, :count] = self._affine(points).T
        self._inverse = np.linalg.inv(system)

    def solve(self, values: Array) -> Array:
        return np.asarray(self._inverse @ np.vstack([values, np.zeros((3, values.shape[1]))]))

    def evaluate(self, at: Array) -> Array:
        return np.hstack([self._kernel(at), self._affine(at)])

    def _kernel(self, at: Array) -> Array:
        squared = ((at[:, None] - self._points[None]) ** 2).sum(axis=-1)
        return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))

    @staticmethod
    def _affine(at: Array) -> Array:
        return np.hstack([np.ones((len(at), 1)), at])


def _along(points: Array, count: int) -> Array:
    """`count` points along a polyline, evenly spaced in x between its ends."""
    order = np.argsort(points[:, 0], kind="stable")
    x = np.linspace(points[:, 0].min(), points[:, 0].max(), count)
    return np.column_stack([x, np.interp(x, points[order, 0], points[order, 1])])


def _inset(motion: Array, width: int, height: int) -> Array:
    """(2,): what to leave free at each side of a box, so that the rest, moved as the head moves, stays within it."""
    size = np.array([width, height], dtype=np.float64)
    reach = (np.abs(motion[:, :, :2]) @ size).max(axis=0)
    share = float((size / reach).min())
    return np.zeros(2) if share > STEADY else size * (1 - share) / 2


def _window(nodes: Array, width: float, height: float) -> Array:
    inside = np.minimum(
        np.minimum(nodes[..., 0] + 0.5, width - 0.5 - nodes[..., 0]),
        np.minimum(nodes[..., 1] + 0.5, height - 0.5 - nodes[..., 1]),
    )
    t = np.clip((inside / min(width, height) - MARGIN) / (BLENDING - MARGIN), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))
