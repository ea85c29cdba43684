"""MuseTalk's networks of full size, once, on the CPU: agreement with the plain reading, seconds a picture, memory.

Random weights, 3.4 GB of them: by hand, `.venv-face/bin/python -m bench.face_full`, some minutes on two cores.
"""

from __future__ import annotations

import os
import time

import psutil
import torch

from bench.run_tables import Row, table
from broadcaster.head.musetalk import layout, networks
from tests.face.support.agreement import Agreement

FRAMES = (0, 30)
BATCH = 2
TOLERANCE = 1e-4


def main() -> int:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    began = time.perf_counter()
    made = networks.random({name: part.published for name, part in layout.PARTS.items()}, encoder=True)
    built = time.perf_counter() - began
    agreement = Agreement(made, BATCH)
    rows = [
        Row("spectrum", agreement.spectrum() * 1e6, "e-6", TOLERANCE * 1e6),
        Row("sound features", agreement.features(FRAMES) * 1e6, "e-6", TOLERANCE * 1e6),
        Row("latents", agreement.latents() * 1e6, "e-6", TOLERANCE * 1e6),
        Row("UNet's output", agreement.samples(FRAMES) * 1e6, "e-6", TOLERANCE * 1e6),
        Row("decoded patch", agreement.pictures(FRAMES), "levels", 1),
        Row("blended frame", agreement.frames(FRAMES), "levels", 1),
    ]
    table("Greatest difference from the plain reading, networks of full size", rows)
    peak = psutil.Process().memory_info().rss / 2**30
    parameters = sum(parameter.numel() for parameter in made.unet.parameters()) / 1e6
    costs = [
        Row("UNet", parameters, "M parameters"),
        Row("weights made", built, "s"),
        Row("one picture, batches of 2", agreement.seconds, "s", None, "generator alone, with its padding"),
        Row("resident memory", peak, "GiB"),
    ]
    table("Full size on this CPU", costs)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
