"""CPU per mouth patch of the warp engine, and how soon the first patches of an anchor are there.

    python bench/head_warp.py [--size 1280x720] [--seconds 20]

Goal: 4 ms of CPU per patch at 720p; the first eight patches within 30 ms of the anchor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from broadcaster.head.track import Track
from broadcaster.head.warp import WarpHead
from broadcaster.studio.avatar import expand
from broadcaster.types import SAMPLE_RATE

HOST = Path(__file__).parents[1] / "avatars" / "host"
FIRST_PATCHES = 8
CONSONANTS = ("PP", "DD", "CH", "SS")
VOWELS = ("aa", "E", "ih", "oh", "ou")


def speech(seconds: float) -> Track:
    """Consonant-vowel syllables over noise."""
    rng = np.random.default_rng(1)
    rows, at = [], 4000
    while at < seconds * SAMPLE_RATE:
        for names, low, high in (
            (("PP", "DD", "CH", "SS"), 2900, 4800),
            (("aa", "E", "ih", "oh", "ou"), 5300, 10_000),
        ):
            viseme, length = str(rng.choice(names)), int(rng.integers(low, high))
            rows.append((viseme, viseme, at, at + length))
            at += length
    track = Track()
    track.add(rng.normal(0, 4000, at).astype("<i2").tobytes(), rows)
    track.end()
    return track


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    width, height = (int(n) for n in args.size.split("x"))
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        avatar = expand(HOST, Path(cache), width, height, 25)
        expanded = time.perf_counter() - began
        head = WarpHead()
        head.load(avatar)
        track = speech(args.seconds)
        head.begin(1, 1, track, 0, 0)
        costs, moving = [], 0
        patches = head.render(0, 10**6)
        while True:
            began = time.process_time()
            patch = next(patches, None)
            if patch is None:
                break
            costs.append(1000 * (time.process_time() - began))
        firsts = []
        for number in range(40):
            began = time.perf_counter()
            head.begin(1, number, track, 0, number * 12_000)
            moving += sum(1 for _ in head.render(0, FIRST_PATCHES - 1))
            firsts.append(1000 * (time.perf_counter() - began))
    box = avatar.mouth_box
    print(f"avatar {avatar.name} at {width}x{height}: expanded in {expanded:.1f} s, {avatar.loop_frames} frames")
    print(f"mouth box {box.width}x{box.height}, {len(costs)} patches")
    print(
        f"CPU per patch: median {statistics.median(costs):.2f} ms, "
        f"p95 {np.percentile(costs, 95):.2f} ms, mean {statistics.fmean(costs):.2f} ms [goal 4 ms]"
    )
    print(
        f"first {FIRST_PATCHES} patches after an anchor: median {statistics.median(firsts):.1f} ms, "
        f"worst {max(firsts):.1f} ms [goal 30 ms]"
    )


if __name__ == "__main__":
    main()
