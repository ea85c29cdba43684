"""A generated face back into the picture: milliseconds for one, beside MuseTalk's PIL method, in one run, one thread.

The PIL method is upstream's per frame: deep copy of the frame, resize of the face, `get_image_blending`; its result
is BGR. Compared twice: the paste-back alone (ours: the patch and laying it; the frame itself is copied on every tick,
talking or idle), and from face and frame to the complete I420 picture that an encoder takes. The ways take turns in
random order, since one that works on whole pictures leaves the caches cold for the next.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from bench.run_tables import Row, table
from broadcaster.head.paste import Paster
from broadcaster.types import MouthBox
from tests.support.blending import Pixels, Planes, blended, crop_with_mask, expanded_mask, i420, rgb

TIMES_FASTER = 15.0
SIZES = {"720p": (1280, 720, 300, 360), "1080p": (1920, 1080, 450, 540)}
"""Picture and face: a presenter from the waist up."""


def run(*, quick: bool = False) -> list[Row]:
    rounds = 20 if quick else 300
    rows = [row for name in SIZES for row in _measured(name, rounds)]
    table(f"Paste-back of one face, medians of {rounds} turns", rows)
    return rows


def _measured(name: str, rounds: int) -> list[Row]:
    width, height, face_width, face_height = SIZES[name]
    rng = np.random.default_rng(1)
    base = i420(cv2.resize(rng.integers(40, 210, (9, 16, 3), dtype=np.uint8), (width, height)))
    frame = np.ascontiguousarray(rgb(base)[..., ::-1])
    left, top = (width - face_width) // 2, height // 8
    crop = crop_with_mask(left, top, left + face_width, top + face_height)
    face = cv2.resize(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), (256, 256))
    bgr = np.ascontiguousarray(face[..., ::-1])
    square, mask = expanded_mask(crop)
    paster = Paster(width, height, threads=1)
    copied = (base[0].copy(), base[1].copy(), base[2].copy())

    def pil() -> Pixels:
        return blended(frame, bgr, crop, square, mask)

    def pil_i420() -> Pixels:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pil()), cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)

    def ours() -> None:
        _lay(copied, *paster.paste(base, crop, face))

    def ours_copied() -> None:
        for into, plane in zip(copied, base, strict=True):
            np.copyto(into, plane)
        ours()

    ways: tuple[Callable[[], object], ...] = (pil, pil_i420, ours, ours_copied)
    spent: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 3):
        for number in rng.permutation(len(ways)):
            began = time.perf_counter()
            ways[number]()
            if turn >= 3:
                spent[number].append(1000 * (time.perf_counter() - began))
    theirs_ms, theirs_i420_ms, ours_ms, ours_copied_ms = (statistics.median(times) for times in spent)
    ours_copied()
    theirs = i420(pil()[..., ::-1])
    worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(copied, theirs, strict=True))
    return [
        Row(f"{name}: PIL method", theirs_ms, "ms"),
        Row(f"{name}: paste-back", ours_ms, "ms", theirs_ms / TIMES_FASTER, f"{theirs_ms / ours_ms:.1f}x"),
        Row(f"{name}: PIL method, then I420 of the whole picture", theirs_i420_ms, "ms"),
        Row(
            f"{name}: frame copied, paste-back",
            ours_copied_ms,
            "ms",
            theirs_i420_ms / TIMES_FASTER,
            f"{theirs_i420_ms / ours_copied_ms:.1f}x; {theirs_ms / ours_copied_ms:.1f}x the PIL method without I420",
        ),
        Row(f"{name}: largest difference from the PIL method", worst, "levels", 1),
    ]


def _lay(picture: Planes, box: MouthBox, planes: bytes) -> None:
    data, at = np.frombuffer(planes, np.uint8), 0
    for plane, scale in zip(picture, (1, 2, 2), strict=True):
        rows, columns = box.height // scale, box.width // scale
        part = data[at : at + rows * columns].reshape(rows, columns)
        plane[box.y // scale : box.y // scale + rows, box.x // scale : box.x // scale + columns] = part
        at += rows * columns


if __name__ == "__main__":
    run()
