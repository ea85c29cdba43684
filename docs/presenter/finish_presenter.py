"""Lays the rendered presenter over a studio background and writes `avatars/host` (in the project's environment).

python finish_presenter.py RENDERED avatars/host
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from broadcaster.head.prepare.mesh import FaceMesher

QUALITY = 98
UPPER_DOWN, LOWER_DOWN = 13, 7
"""The data's teeth sit behind the lips; a speaking mouth shows them lower (pixels of the still)."""


def read(path: Path) -> np.ndarray:
    """BGRA in 0..1."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 65535


def background(width: int, height: int) -> np.ndarray:
    """An unlit studio far out of focus: a wall of screens, a warm and a cold glow."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    base = np.empty((height, width, 3), np.float32)
    for channel, (dark, light) in enumerate(((0.20, 0.44), (0.13, 0.31), (0.09, 0.20))):
        base[..., channel] = light + (dark - light) * (0.25 + 0.75 * y)
    screens = np.zeros_like(base)
    for column in range(-1, 9):
        for row in range(-1, 5):
            level = rng.uniform(0.1, 1.0)
            tint = np.array([1.0, rng.uniform(0.72, 0.9), rng.uniform(0.35, 0.6)], np.float32)
            left, top = int((column + 0.08) * width / 8), int((row * 0.21 + 0.02) * height)
            right, bottom = int((column + 0.92) * width / 8), int((row * 0.21 + 0.19) * height)
            colour = tuple(float(v) for v in tint * level * 0.20)
            cv2.rectangle(screens, (left, top), (right, bottom), colour, -1)
    base += cv2.GaussianBlur(screens, (0, 0), 44)
    for cx, cy, r, tint in ((0.10, 0.30, 0.30, (0.02, 0.07, 0.14)), (0.92, 0.22, 0.34, (0.16, 0.10, 0.03))):
        glow = np.exp(-(((x - cx) * width / height) ** 2 + (y - cy) ** 2) / r**2)
        base += glow[..., None] * np.array(tint, np.float32)
    base *= (1.0 - 0.35 * ((x - 0.5) ** 2 * 2.2 + (y - 0.42) ** 2))[..., None]
    return np.clip(base + rng.normal(0, 0.0032, (height, width, 1)).astype(np.float32), 0, 1)


def over(picture: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * (below + (picture[..., :3] - below) * picture[..., 3:])), 0, 255).astype(np.uint8)


def teeth(picture: np.ndarray, middle: float, widths: list[float], scale: float, gum: float) -> np.ndarray:
    """Draws the gaps between teeth and fades the far ones; spreads colour beyond the edge. BGRA uint8."""
    width = picture.shape[1]
    x = np.arange(width, dtype=np.float32)
    alpha = picture[..., 3]
    shade = np.ones(width, np.float32)
    for side in (-1, 1):
        edge = 0.0
        for number, size in enumerate(widths):
            shade -= (
                0.20 * np.exp(-(((x - middle - side * edge) / (0.0004 * scale)) ** 2)) * (0.5 if edge == 0 else 1)
            )
            edge += size * scale * (0.97**number)
    lateral = 1.0 - 0.55 * np.clip(np.abs(x - middle) / (0.029 * scale), 0, 1) ** 2.2
    white = np.clip((picture[..., :3].min(axis=2) - 0.40) / 0.15, 0, 1)[..., None]
    lateral = lateral[None, :, None] ** (1 + 2 * (1 - white))
    colour = picture[..., :3] * lateral * (1 - white * (1 - np.clip(shade, 0.4, 1))[None, :, None])
    solid = (alpha > 0.9).astype(np.float32)[..., None]
    spread = cv2.GaussianBlur(colour * solid, (0, 0), 5) / (cv2.GaussianBlur(solid, (0, 0), 5)[..., None] + 1e-4)
    colour = np.where(solid > 0, colour, spread)
    return np.clip(np.rint(255 * np.dstack([colour * gum, alpha])), 0, 255).astype(np.uint8)


def lips(ids: np.ndarray, near: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Outer contour and line of the shut lips from the `ids` picture (red: lips, green: jaw)."""
    x0, y0, x1, y1 = near
    red, green = ids[y0:y1, x0:x1, 2], ids[y0:y1, x0:x1, 1]
    mask = cv2.morphologyEx((red > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    columns = np.flatnonzero(mask.sum(axis=0) > 1)
    top = np.array([np.flatnonzero(mask[:, c])[0] for c in columns], float)
    bottom = np.array([np.flatnonzero(mask[:, c])[-1] for c in columns], float)
    left, right = columns[0], columns[-1]
    t = (columns - (left + right) / 2) / ((right - left) / 2)
    jump = np.diff(cv2.GaussianBlur(green, (1, 5), 1.0), axis=0)
    crease = np.array([top[i] + np.argmax(jump[int(top[i]) : int(bottom[i]) + 1, c]) for i, c in enumerate(columns)])
    sure = np.abs(t) < 0.62
    corner = [(top[i] + bottom[i]) / 2 for i in (0, -1)]
    anchors = np.concatenate([[-1.0], t[sure], [1.0]])
    heights = np.concatenate([[corner[0]], crease[sure] + 0.5, [corner[1]]])
    weights = np.concatenate([[40.0], np.ones(sure.sum()), [40.0]])
    line = np.polynomial.Polynomial.fit(anchors, heights, 6, w=weights)
    grid = np.linspace(-1, 1, 25)
    at = left + (grid + 1) / 2 * (right - left)
    smooth = lambda edge: cv2.GaussianBlur(edge[:, None].astype(np.float32), (1, 9), 2.0)[:, 0]  # noqa: E731
    upper, lower = np.interp(at, columns, smooth(top)), np.interp(at, columns, smooth(bottom))
    middle = line(grid)
    upper[[0, -1]] = lower[[0, -1]] = middle[[0, -1]]
    offset = np.array([x0, y0], float)
    contour = np.concatenate([np.column_stack([at, upper]), np.column_stack([at, lower])[-2:0:-1]])
    return contour + offset, np.column_stack([at, middle]) + offset


def close_lips(still: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Fills the slits the mesh leaves at the mouth's corners with skin; draws the crease of shut lips instead."""
    half = (line[-1, 0] - line[0, 0]) / 2
    t = (line[:, 0] - line[0, 0]) / half - 1
    slit = np.zeros(still.shape[:2], np.uint8)
    for at, where in zip(line, t, strict=True):
        if abs(where) > 0.4:
            height = 0.035 + 0.035 * np.clip((abs(where) - 0.4) / 0.4, 0, 1)
            cv2.ellipse(
                slit, tuple(np.int32(np.round(at))), (8, max(4, int(height * 1.3 * half))), 0, 0, 360, 255, -1
            )
    for corner, side in ((line[0], -1), (line[-1], 1)):
        cv2.ellipse(slit, (int(corner[0] + 3 * side), int(corner[1])), (9, 8), 0, 0, 360, 255, -1)
    filled = cv2.inpaint(still, slit, 4, cv2.INPAINT_TELEA).astype(np.float32)
    filled = np.where(slit[..., None] > 0, cv2.GaussianBlur(filled, (0, 0), 2.2), filled)
    alpha = np.zeros(still.shape[:2], np.float32)
    for (a, b), where in zip(pairwise(line), (t[:-1] + t[1:]) / 2, strict=True):
        stroke = np.zeros(still.shape[:2], np.uint8)
        cv2.line(stroke, tuple(np.int32(np.round(a * 16))), tuple(np.int32(np.round(b * 16))), 255, 3, cv2.LINE_AA, 4)
        alpha = np.maximum(alpha, stroke.astype(np.float32) / 255 * float(np.clip((1.02 - abs(where)) / 0.25, 0, 1)))
    alpha = 0.62 * cv2.GaussianBlur(alpha, (0, 0), 1.0)[..., None]
    return np.rint(filled + (np.array([38, 30, 92], np.float32) - filled) * alpha).astype(np.uint8)


def main() -> None:
    rendered, target = Path(sys.argv[1]), Path(sys.argv[2])
    facts = json.loads((rendered / "facts.json").read_text())
    width, height = facts["size"]
    scale = np.hypot(*np.subtract(*[facts["points"]["shoulders"][i] for i in (0, 1)])) / facts["shoulder_metres"]
    back = background(width, height)
    save = lambda name, picture: cv2.imwrite(str(target / name), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])  # noqa: E731
    ex0, ey0, ex1, ey1 = facts["eyes"]
    for number in (1, 2, 3):
        save(f"blink-{number}.webp", over(read(rendered / f"blink-{number}.png"), back[ey0:ey1, ex0:ex1]))
    mx0, my0, mx1, my1 = facts["mouth"]
    middle = width / 2 - 0.5 - mx0
    save(
        "teeth-upper.webp",
        teeth(read(rendered / "teeth-upper.png"), middle, [0.0088, 0.0068, 0.0074, 0.006], scale, 1.0),
    )
    save(
        "teeth-lower.webp",
        teeth(read(rendered / "teeth-lower.png"), middle, [0.0056, 0.006, 0.0068, 0.006], scale, 0.8),
    )
    contour, line = lips(read(rendered / "ids.png"), (mx0 - 40, my0, mx1 + 40, my1 + 40))
    save("still.webp", close_lips(over(read(rendered / "still.png"), back), line))
    hull = lambda points: cv2.convexHull(np.array(points, np.float32))[:, 0]  # noqa: E731
    points = facts["points"]
    sets = {
        "lips_outer": contour,
        "lip_line": line,
        "face_oval": hull(points["face_oval"]),
        "left_eye": hull(points["left_eye"]),
        "right_eye": hull(points["right_eye"]),
        **{name: np.array(points[name]) for name in ("shoulders", "chin", "nose_base", "neck")},
        "mesh": FaceMesher().find(cv2.imread(str(target / "still.webp")))[0].mesh.astype(np.float64),
    }
    text = json.dumps({name: np.round(at, 2).tolist() for name, at in sets.items()})
    (target / "landmarks.json").write_text(text.replace("]], ", "]],\n") + "\n")
    print(f"blink: x {ex0}, y {ey0}; upper: x {mx0}, y {my0 + UPPER_DOWN}; lower: x {mx0}, y {my0 + LOWER_DOWN}")  # noqa: T201


if __name__ == "__main__":
    main()
