"""Hair, eyebrows and lashes as strands of points, grown along the figure by plain arithmetic. No Blender here.

Everything in metres in Blender's frame: z up, the face towards -y, the figure's left at +x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Surface = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Nearest points of the skin and its outward normals there, for points (n, 3)."""

PARTING = 0.018


def hairline(points: np.ndarray) -> np.ndarray:
    """Height above the hairline in metres, positive where hair grows."""
    depth = -points[:, 1]
    line = np.interp(
        depth,
        [-0.05, -0.02, 0.005, 0.018, 0.045, 0.060, 0.080, 0.100, 0.118, 0.135],
        [0.660, 0.670, 0.695, 0.738, 0.722, 0.724, 0.752, 0.781, 0.793, 0.795],
    )
    return points[:, 2] - line


def grow_hair(roots: np.ndarray, surface: Surface, rng: np.random.Generator, steps: int = 22) -> np.ndarray:
    """Side-parted hair drawn back over the ears into a low knot: (n, steps, 3)."""
    count = len(roots)
    side = np.where(roots[:, 0] > PARTING, 1.0, -1.0)
    front = np.clip((-roots[:, 1] - 0.02) / 0.09, 0, 1)
    height = np.clip((roots[:, 2] - 0.72) / 0.11, 0, 1)
    knot = np.array([0.0, 0.062, 0.690])
    lock = _locks(roots, rng)
    end = knot + rng.normal(0, 0.007, (count, 3)) + lock * [0.012, 0.0, 0.012]
    reach = 0.088 + 0.014 * height
    via = np.column_stack(
        [
            side * reach * np.where(height * front > 0, 1.0, 0.9),
            0.45 * roots[:, 1] - 0.022 * front - 0.006,
            0.50 * roots[:, 2] + 0.50 * 0.742 - 0.020 * front * height,
        ]
    )
    via += lock * [0.004, 0.010, 0.010]
    t = np.linspace(0, 1, steps)[None, :, None]
    path = (1 - t) ** 2 * roots[:, None] + 2 * t * (1 - t) * via[:, None] + t**2 * end[:, None]
    flat = path.reshape(-1, 3)
    near, normal = surface(flat)
    rise = np.sin(np.pi * np.clip(t[..., 0] * 0.9 + 0.04, 0, 1)) ** 0.8
    back = np.clip((hairline(roots) - 0.012) / 0.02, 0, 1)
    loose = np.where(rng.random(count) < 0.06, rng.uniform(0, 0.006, count), 0.0) * back
    volume = 0.0085 + 0.0085 * height + 0.002 * rng.random(count) + 0.0024 * lock[:, 2] + loose
    volume *= np.clip(np.abs(roots[:, 0] - PARTING) / 0.022, 0.35, 1.0)
    lift = 0.0012 + volume[:, None] * rise
    outside = np.maximum(((flat - near) * normal).sum(axis=1), 0.0) * 0.35
    laid = near + normal * (lift.reshape(-1) + np.minimum(outside, 0.006))[:, None]
    laid = laid.reshape(count, steps, 3)
    laid[:, 1:-1] = 0.25 * laid[:, :-2] + 0.5 * laid[:, 1:-1] + 0.25 * laid[:, 2:]
    return laid + rng.normal(0, 0.00035, (count, 1, 3)) * back[:, None, None]


def _locks(roots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displacement shared by neighbouring strands, about -1 .. 1."""
    seeds = roots[rng.choice(len(roots), 260, replace=False)]
    offset = rng.normal(0, 0.6, (260, 3))
    nearest = np.empty(len(roots), dtype=int)
    for start in range(0, len(roots), 4000):
        part = roots[start : start + 4000]
        nearest[start : start + 4000] = ((part[:, None] - seeds[None]) ** 2).sum(axis=-1).argmin(axis=1)
    return offset[nearest]


def grow_brows(project: Surface, arc: np.ndarray, rng: np.random.Generator, count: int = 320) -> np.ndarray:
    """Both eyebrows along `arc` (k, 2): x and z of the figure's left brow, inner end first."""
    strands = []
    for side in (1.0, -1.0):
        u = rng.beta(1.05, 1.15, count)
        x = np.interp(u, np.linspace(0, 1, len(arc)), arc[:, 0])
        z = np.interp(u, np.linspace(0, 1, len(arc)), arc[:, 1])
        thick = np.interp(u, [0, 0.2, 0.6, 1], [0.0020, 0.0028, 0.0023, 0.0006])
        v = rng.uniform(-1, 1, count)
        z = z + v * thick
        angle = np.interp(u, [0, 0.15, 0.5, 1], [1.25, 0.75, 0.28, -0.35]) - 0.35 * v + rng.normal(0, 0.12, count)
        length = np.interp(u, [0, 0.3, 1], [0.0045, 0.0065, 0.005]) * rng.uniform(0.7, 1.1, count)
        t = np.linspace(0, 1, 5)[None]
        px = (x[:, None] + np.cos(angle)[:, None] * length[:, None] * t) * side
        pz = z[:, None] + np.sin(angle)[:, None] * length[:, None] * t - 0.0008 * t**2
        flat = np.column_stack([px.ravel(), np.full(px.size, -0.16), pz.ravel()])
        near, normal = project(flat)
        lift = np.tile(0.0002 + 0.0009 * np.sin(np.pi * 0.5 * t[0]), count)
        strands.append((near + normal * lift[:, None]).reshape(count, 5, 3))
    return np.concatenate(strands)


def grow_lashes(
    inner: np.ndarray, outer: np.ndarray, rng: np.random.Generator, count: int, curl: float
) -> np.ndarray:
    """Lashes from the lid's edge `inner` (k, 3) to `outer` (k, 3), both ordered along the lid."""
    u = np.sort(rng.uniform(0.02, 0.98, count))
    grid = np.linspace(0, 1, len(inner))
    root = np.column_stack([np.interp(u, grid, inner[:, i]) for i in range(3)])
    shift = np.clip(u + rng.normal(0, 0.02, count), 0, 1)
    tip = np.column_stack([np.interp(shift, np.linspace(0, 1, len(outer)), outer[:, i]) for i in range(3)])
    t = np.linspace(0, 1, 6)[None, :, None]
    bend = np.array([0, -0.0006, curl])
    length = rng.uniform(0.75, 1.0, count)[:, None, None]
    return root[:, None] + (tip - root)[:, None] * t * length + bend * np.sin(np.pi * t) * -1.0 * 0.6
