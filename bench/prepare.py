"""Avatar preparation: pictures per second, stage by stage, of synthetic videos at 720p and 1080p, and of a photo.

The video shows the shipped presenter with a moving head (`tests/support/synthetic.py`). Wall time of a machine with
nothing else to do; one thread looks, two encode. Also printed: how well what was prepared agrees with the truth.
"""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.run_tables import Row, table
from broadcaster.head.prepare.order import About, Order
from broadcaster.head.prepare.photo import prepare_photo
from broadcaster.head.prepare.work import prepare_video
from tests.support.synthetic import HOST, Motion, MovingHead, write_video

ABOUT = About("bench", False, "CC0-1.0", "", "", "", {})
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}


class Clock:
    """Port `Progress`: when each stage began."""

    def __init__(self) -> None:
        self.began: list[tuple[str, float]] = []

    def stage(self, name: str, total: int | None, done: int) -> None:
        self.began.append((name, time.perf_counter()))

    def done(self, count: int) -> None:
        pass

    def seconds(self) -> dict[str, float]:
        self.stage("", None, 0)
        return {name: after - before for (name, before), (_, after) in pairwise(self.began)}


def run(*, quick: bool = False) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            rows += _video(Path(folder), name, size, 5.0 if quick else 20.0)
        clock = Clock()
        prepare_photo(Order(HOST / "still.webp", "photo", Path(folder, "photo"), ABOUT), clock)
        rows.append(Row("photograph of 1920x1280", sum(clock.seconds().values()), "s"))
    table("Preparing an avatar", rows)
    return rows


def _video(folder: Path, name: str, size: tuple[int, int], seconds: float) -> list[Row]:
    head = MovingHead(*size, fps=25, seconds=seconds, motion=Motion(period=4.0, noise=1.5))
    source = write_video(folder / f"{name}.mp4", head)
    clock = Clock()
    order = Order(source, name.lower(), folder / name, ABOUT, wished_s=seconds)
    report = prepare_video(order, clock)
    spent = clock.seconds()
    looking = len(head) / spent["looking for the face"]
    writing = report.loop_pictures / spent["writing the clip"]
    whole = len(head) / sum(spent.values())
    with np.load(folder / name / "faces.npz", allow_pickle=False) as faces:
        truth = np.array([head.points("nose_base", int(k))[0] for k in faces["source"]])
        seen = faces["mesh"][:, 2].astype(np.float64)
        boxes = faces["boxes"].astype(np.float64)
    off = (seen - seen.mean(axis=0)) - (truth - truth.mean(axis=0))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    shaking = np.diff(middle, n=2, axis=0) - np.diff(truth, n=2, axis=0)
    return [
        Row(f"{name}: looking for the face", looking, "pictures/s"),
        Row(f"{name}: writing the clip", writing, "pictures/s"),
        Row(f"{name}: all of it", whole, "pictures/s", note=f"{len(head)} pictures in {sum(spent.values()):.1f} s"),
        Row(f"{name}: seam score", report.seam_score, "", note="1 = a step like any other"),
        Row(f"{name}: nose against the truth", float(np.sqrt((off**2).sum(axis=1).mean())), "px RMS"),
        Row(f"{name}: box against the truth, 2nd difference", float(np.sqrt((shaking**2).mean())), "px RMS"),
        Row(f"{name}: disk", report.disk / 1e6, "MB", note=f"{report.loop_seconds:.0f} s of loop"),
    ]


if __name__ == "__main__":
    run()
