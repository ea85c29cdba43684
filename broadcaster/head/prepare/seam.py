"""Where a video loops best: a cut, a short crossfade, or there and back. Pure arithmetic on what was seen.

Every picture is described by 16 numbers for how it looks (principal components of the small grey picture) and 12 for
the face (of the mesh), each part in units of the clip's own difference from picture to picture, and by how these
numbers move. A loop of pictures i .. j-1 closes well where picture i is like picture j, which it takes the place of,
and moves like it. All pairs are compared, in blocks, by one matrix product each; long videos first at every second,
third, ... picture.

The *seam score* says what came of it: the largest difference between neighbours at the seam, or half the largest
change of their motion, over the difference between neighbours that is usual there (the clip's median, or that of the
neighbours before and behind the seam where it is larger), for looks and for the mesh. 1 is a step like any other;
below 1.5 nobody sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from broadcaster.face.landmarks import face_width, mouth_openness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Kind = Literal["cut", "crossfade", "pingpong"]
Mode = Literal["auto", "cut", "crossfade", "pingpong"]

LOOK_PARTS: Final = 16
MESH_PARTS: Final = 12
SAMPLES: Final = 600
"""Pictures from which the principal components are found."""

LEAST_LOOK: Final = 0.25
"""Grey levels (RMS over the small picture): where neighbours differ less, this counts as the usual difference."""

LEAST_MESH: Final = 0.0006
"""The same for the mesh, in face widths (RMS over its points)."""

UNSEEN: Final = 1.5
"""A cut with a cost up to this is left as it is: a viewer does not see one step that is half as large again."""

GHOST_MESH: Final = 0.03
"""Face widths (RMS) by which the two faces of a crossfade may lie apart; more, and both are seen at once."""

WISHED_S: Final = 20.0
"""A loop at least so long does not strike anybody as one; longer ones are not sought for their length."""

SHORTEST_S: Final = 2.0

SHORTNESS: Final = 0.4
"""What halving the length costs, in seam units."""

OPEN_AT_SEAM: Final = 6.0
"""What an open mouth at the seam costs, per mouth width of gap: the mouth should be shut where a loop begins."""

SPEECH: Final = 1.0
"""What a loop costs in which the mouth is open all the time; in idle the presenter would seem to speak."""

OPEN: Final = 0.08
"""Gap between the lips, in mouth widths, from which on a mouth counts as open."""

FADE_S: Final = 0.32
"""Length of a crossfade: longer, and ghosts are seen; shorter, and it is a cut."""

COARSE: Final = 6000
"""Pictures above which pairs are compared at every second, third, ... picture first."""

BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Blend:
    """One picture of a loop: `picture` of the video, mixed with a share (0..1) of `other`."""

    picture: int
    other: int = -1
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Loop:
    kind: Kind
    first: int
    last: int
    """Pictures of the video, inclusive."""
    fade: int
    """How many of the last pictures are mixed; 0 but for a crossfade."""
    score: float
    """The seam score."""

    def playing_order(self) -> list[Blend]:
        """What is shown, in order; the last is followed by the first."""
        forward = [Blend(number) for number in range(self.first, self.last + 1)]
        if self.kind == "pingpong":
            return forward + forward[-2:0:-1]
        for step in range(self.fade):
            at = self.last - self.fade + 1 + step
            forward[at - self.first] = Blend(at, self.first - self.fade + step, (step + 1) / (self.fade + 1))
        return forward


class SeamSearch:
    """The descriptions of all pictures. `looks` uint8 (n, h, w), `meshes` float32 (n, 468, 2), stabilised; NaN in
    pictures that no stretch holds."""

    def __init__(
        self, looks: NDArray[np.uint8], meshes: Floats, stretches: Sequence[tuple[int, int]], fps: int
    ) -> None:
        """`stretches`: (first, last) of the usable pictures, inclusive, at least one."""
        self._looks, self._meshes, self.fps = looks, meshes, fps
        self._stretches = list(stretches)
        numbers = np.concatenate([np.arange(first, last + 1) for first, last in stretches])
        self.face = float(np.median([face_width(meshes[k]) for k in numbers[:: max(1, len(numbers) // 50)]]))
        self._look_unit = max(_usual(stretches, self._look_step), LEAST_LOOK)
        self._mesh_unit = max(_usual(stretches, self._mesh_step), LEAST_MESH * self.face)
        sample = numbers[:: max(1, len(numbers) // SAMPLES)]
        self._look_basis = _basis(looks[sample].reshape(len(sample), -1), LOOK_PARTS)
        self._mesh_basis = _basis(meshes[sample].reshape(len(sample), -1), MESH_PARTS)

    def best(self, mode: Mode = "auto", wished_s: float = WISHED_S, longest_s: float = 300.0) -> Loop | None:
        """The best loop of all stretches; None where none is long enough."""
        least, wished, longest = (round(s * self.fps) for s in (SHORTEST_S, wished_s, longest_s))
        fade = max(2, round(FADE_S * self.fps))
        found: dict[Kind, tuple[float, float, tuple[int, int]]] = {}
        for stretch in self._stretches:
            described = _Described(self, stretch)
            kinds: tuple[Kind, ...] = ("cut", "crossfade", "pingpong") if mode == "auto" else (mode,)
            for kind in kinds:
                pair = described.pair(kind, least, wished, longest, fade)
                if pair is not None and (kind not in found or pair[0] < found[kind][0]):
                    found[kind] = pair
        chosen = self._chosen(mode, found)
        if chosen is None:
            return None
        first, end = found[chosen][2]
        last = end if chosen == "pingpong" else end - 1
        loop = Loop(chosen, first, last, fade if chosen == "crossfade" else 0, 0.0)
        return replace(loop, score=self.score(loop))

    def score(self, loop: Loop) -> float:
        """The seam score of a loop (see above)."""
        order = loop.playing_order()
        reach = loop.fade + 3
        places = [range(-reach, 3)]
        if loop.kind == "pingpong":
            places.append(range(loop.last - loop.first - 3, loop.last - loop.first + 4))
        worst = 0.0
        for place in places:
            around = [order[k % len(order)] for k in place]
            looks = np.stack([self._mixed(self._looks, blend).ravel() for blend in around])
            meshes = np.stack([self._mixed(self._meshes, blend).ravel() for blend in around])
            for rows, unit, points in (
                (looks, self._look_unit, looks.shape[1]),
                (meshes, self._mesh_unit, meshes.shape[1] // 2),
            ):
                steps = np.diff(rows, axis=0)
                moved = np.sqrt((steps**2).sum(axis=1) / points)
                turned = np.sqrt((np.diff(steps, axis=0) ** 2).sum(axis=1) / points) / 2
                usual = max(unit, float(moved[0]), float(moved[-1]))  # these two lie outside of what was joined
                worst = max(worst, float(moved[1:-1].max()) / usual, float(turned.max()) / usual)
        return worst

    def _chosen(self, mode: Mode, found: dict[Kind, tuple[float, float, tuple[int, int]]]) -> Kind | None:
        if mode != "auto":
            return mode if mode in found else None
        if "cut" in found and found["cut"][1] <= UNSEEN:
            return "cut"
        if "crossfade" in found and self._apart(found["crossfade"][2]) <= GHOST_MESH:
            return "crossfade"
        return "pingpong" if "pingpong" in found else None

    def _apart(self, pair: tuple[int, int]) -> float:
        """How far the faces of two pictures lie apart, in face widths."""
        gap = self._meshes[pair[0]].astype(np.float64) - self._meshes[pair[1]]
        return float(np.sqrt((gap**2).sum(axis=1).mean())) / self.face

    @staticmethod
    def _mixed(values: NDArray[Any], blend: Blend) -> NDArray[np.float64]:
        one = np.asarray(values[blend.picture], dtype=np.float64)
        if blend.other < 0:
            return one
        return np.asarray(one + (np.asarray(values[blend.other], dtype=np.float64) - one) * blend.share)

    def _look_step(self, k: int) -> float:
        gap = self._looks[k + 1].astype(np.float64) - self._looks[k]
        return float(np.sqrt((gap**2).mean()))

    def _mesh_step(self, k: int) -> float:
        gap = self._meshes[k + 1].astype(np.float64) - self._meshes[k]
        return float(np.sqrt((gap**2).sum(axis=1).mean()))

    def described(self, first: int, last: int) -> Floats:
        """(pictures, 28): looks and mesh in units, so that the squared distance of two like neighbours is about 1."""
        looks = self._looks[first : last + 1].reshape(last + 1 - first, -1)
        meshes = self._meshes[first : last + 1].reshape(last + 1 - first, -1)
        parts = []
        for rows, (mean, axes), unit, points in (
            (looks, self._look_basis, self._look_unit, looks.shape[1]),
            (meshes, self._mesh_basis, self._mesh_unit, meshes.shape[1] // 2),
        ):
            blocks = [(rows[k : k + BLOCK].astype(np.float32) - mean) @ axes.T for k in range(0, len(rows), BLOCK)]
            parts.append(np.concatenate(blocks) / (unit * np.sqrt(2.0 * points)))
        return np.concatenate(parts, axis=1).astype(np.float32)


class _Described:
    """The pictures of one stretch, and the search among their pairs."""

    def __init__(self, search: SeamSearch, stretch: tuple[int, int]) -> None:
        self.first, last = stretch
        self._at = search.described(self.first, last)
        self._moving = np.gradient(self._at, axis=0).astype(np.float32) if len(self._at) > 1 else 0 * self._at
        meshes = search._meshes[self.first : last + 1]
        gaps = np.array([mouth_openness(mesh) for mesh in meshes])
        self._gap = (OPEN_AT_SEAM * (gaps - np.percentile(gaps, 10)).clip(0.0)).astype(np.float32)
        self._open = np.concatenate([[0.0], np.cumsum(gaps - np.percentile(gaps, 10) > OPEN)]).astype(np.float32)

    def pair(
        self, kind: Kind, least: int, wished: int, longest: int, fade: int
    ) -> tuple[float, float, tuple[int, int]] | None:
        """(cost with all that is wished, cost of the seam alone, (first, end)) of the best pair, in pictures of the
        video. `end` is the one that the loop's first takes the place of; of a pingpong, the one where it turns."""
        count = len(self._at)
        begin = fade if kind == "crossfade" else 0
        least_span = (least + 1) // 2 if kind == "pingpong" else least
        wished, longest = (max(1, n // 2) if kind == "pingpong" else n for n in (wished, longest))
        if count - begin <= least_span:
            return None
        seam = self._turning if kind == "pingpong" else self._joining
        stride = -(-count // COARSE)
        rows = np.arange(begin, count - least_span, stride)
        columns = np.arange(begin, count, stride)
        best = self._least(rows, columns, seam, least_span, wished, longest)
        if best is not None and stride > 1:
            near = [np.clip(np.arange(at - stride, at + stride + 1), begin, count - 1) for at in best]
            best = self._least(near[0], near[1], seam, least_span, wished, longest)
        if best is None:
            return None
        i, j = best
        bare = float(np.sqrt(seam(np.array([i]), np.array([j]))[0, 0]))
        return self._total(i, j, bare, wished), bare, (self.first + i, self.first + j)

    def _total(self, i: int, j: int, bare: float, wished: int) -> float:
        short = SHORTNESS * max(0.0, float(np.log2(wished / (j - i))))
        return bare + short + float(self._gap[i]) + SPEECH * float(self._open[j] - self._open[i]) / (j - i)

    def _least(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        seam: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
        least: int,
        wished: int,
        longest: int,
    ) -> tuple[int, int] | None:
        best, pair = np.inf, None
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            lengths = (columns[None, :] - block[:, None]).astype(np.float32)
            allowed = (lengths >= least) & (lengths <= longest)
            if not allowed.any():
                continue
            cost = np.sqrt(seam(block, columns))
            lengths = np.maximum(lengths, 1.0)
            cost += SHORTNESS * np.maximum(0.0, np.log2(wished / lengths)) + self._gap[block][:, None]
            cost += SPEECH * (self._open[columns][None, :] - self._open[block][:, None]) / lengths
            cost[~allowed] = np.inf
            at = int(cost.argmin())
            if cost.flat[at] < best:
                best = float(cost.flat[at])
                pair = (int(block[at // len(columns)]), int(columns[at % len(columns)]))
        return pair

    def _joining(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """Squared cost of putting each row's picture where each column's picture was."""
        return np.asarray(_squared(self._at, rows, columns) + _squared(self._moving, rows, columns))

    def _turning(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """Squared cost of turning round at both: twice the motion there, of which half counts (as in the score)."""
        speed = (self._moving**2).sum(axis=1)
        return np.asarray(np.maximum(speed[rows][:, None], speed[columns][None, :]))


def _squared(points: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Squared distances of all pairs."""
    a, b = points[rows], points[columns]
    far = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(far, 0.0))


def _basis(rows: NDArray[Any], parts: int) -> tuple[Floats, Floats]:
    """Mean (values,) and the first principal axes (parts, values) of rows (samples, values)."""
    values = rows.astype(np.float32)
    mean = values.mean(axis=0)
    centred = values - mean
    sizes, vectors = np.linalg.eigh(centred @ centred.T)  # of the samples: far fewer than values
    strongest = vectors[:, ::-1][:, : min(parts, len(values) - 1)]
    axes = strongest.T @ centred
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    kept = lengths[:, 0] > 1e-6 * max(float(np.sqrt(max(sizes[-1], 0.0))), 1e-6)
    return mean, (axes[kept] / lengths[kept]).astype(np.float32)


def _usual(stretches: Sequence[tuple[int, int]], step: Callable[[int], float]) -> float:
    """Median difference of neighbours, from some hundred of them."""
    starts = np.concatenate([np.arange(first, last) for first, last in stretches])
    return float(np.median([step(int(k)) for k in starts[:: max(1, len(starts) // 400)]])) if len(starts) else 0.0
