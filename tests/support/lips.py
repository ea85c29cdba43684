"""How far a mouth is open, measured in pictures alone (also in decoded H.264), for tests of lip timing.

The skin below the lip line slides down as the mouth opens, and the skin above it hardly moves. `LipGauge` finds both
in a picture by their brightness along a narrow band through the middle of the mouth, against the avatar at rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.ports import FacePack

CLOSED = 0.035
"""Openings below this (in mouth widths) look shut; encoding noise stays below it."""

_STEP = 0.25


class LipGauge:
    """Measures one avatar's mouth. Made from its base frame `rest`; every picture must have the same size."""

    def __init__(self, avatar: FacePack, rest: int = 0) -> None:
        affine = avatar.motion[rest]
        line, chin, nose = (
            avatar.landmarks[name] @ affine[:, :2].T + affine[:, 2] for name in ("lip_line", "chin", "nose_base")
        )
        self.width = float(line[-1, 0] - line[0, 0])
        centre = float((line[0, 0] + line[-1, 0]) / 2)
        half = max(2, round(0.11 * self.width))
        self._columns = slice(round(centre) - half, round(centre) + half + 1)
        crease = float(line[len(line) // 2, 1])
        gap = max(1.0, 0.03 * self.width)
        self._below = (crease + gap, float(chin[0, 1]) - 0.1 * self.width)
        self._above = (float(nose[0, 1]) + 0.05 * self.width, crease - gap)
        self._rest = self._profile(avatar.frame(rest)[0])

    def opening(self, luma: NDArray[np.uint8]) -> float:
        """Opening of the mouth in a whole picture's Y plane, in mouth widths: 0 shut, about 0.3 wide open."""
        profile = self._profile(luma)
        drop = self._shift(profile, self._below, -0.12, 0.5)
        rise = self._shift(profile, self._above, -0.15, 0.08)
        return (drop - rise) / self.width

    def _profile(self, luma: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(luma[:, self._columns].astype(np.float64).mean(axis=1))

    def _shift(self, profile: NDArray[np.float64], span: tuple[float, float], low: float, high: float) -> float:
        """How far the stretch `span` of the profile at rest has moved down, in pixels."""
        rows = np.arange(len(profile), dtype=np.float64)
        at = np.arange(span[0], span[1], 0.5)
        wanted = np.interp(at, rows, self._rest)
        weight = np.exp(-np.abs(at - (span[0] if span is self._below else span[1])) / (0.18 * self.width))
        shifts = np.arange(low * self.width, high * self.width, _STEP)
        errors = [float(np.sum(weight * np.abs(np.interp(at + s, rows, profile) - wanted))) for s in shifts]
        return float(shifts[int(np.argmin(errors))])


def mouth_opening(luma: NDArray[np.uint8], avatar: FacePack) -> float:
    """One measurement; make a `LipGauge` for many."""
    return LipGauge(avatar).opening(luma)
