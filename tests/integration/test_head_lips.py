"""Lips against the phone track, measured in pictures that went through H.264 and back."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.head.shapes import TARGETS
from broadcaster.head.warp import WarpHead
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import Viseme, base_index, samples_at
from tests.support.faces import PhoneRow, babble, host, planes, track_of
from tests.support.lips import CLOSED, LipGauge

pytestmark = pytest.mark.integration

FPS = 25
SECONDS = 12


@pytest.fixture(scope="module")
def rows() -> list[PhoneRow]:
    return babble(SECONDS, seed=8)


@pytest.fixture(scope="module")
def openings(rows: list[PhoneRow], tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float64]:
    """Opening of the mouth in each decoded picture, tick by tick."""
    avatar = host(tmp_path_factory.getbasetemp(), 1280, 720)
    data = encoded(avatar, rows)
    gauge = LipGauge(avatar)
    with av.open(io.BytesIO(data)) as container:
        lumas = (luma_of(frame) for frame in container.decode(video=0))
        return np.array([gauge.opening(luma) for luma in lumas])


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    data = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
    return data[:, : plane.width]


def encoded(avatar: ExpandedAvatar, rows: list[PhoneRow]) -> bytes:
    head = WarpHead()
    head.load(avatar)
    head.begin(1, 1, track_of(rows), 0, 0)
    box = avatar.mouth_box
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = avatar.width, avatar.height, "yuv420p"
        stream.bit_rate = 2_500_000
        for patch in head.render(0, SECONDS * FPS - 1):
            picture = [plane.copy() for plane in avatar.frame(base_index(patch.tick, avatar.loop_frames))]
            for step, plane, part in zip(
                (1, 2, 2), picture, planes(patch.planes, box.width, box.height), strict=True
            ):
                top, left = box.y // step, box.x // step
                plane[top : top + box.height // step, left : left + box.width // step] = part
            whole = np.concatenate([plane.ravel() for plane in picture]).reshape(-1, avatar.width)
            frame = av.VideoFrame.from_ndarray(whole, format="yuv420p")
            frame.pts = patch.tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def test_every_tick_was_decoded(openings: NDArray[np.float64]) -> None:
    assert len(openings) == SECONDS * FPS


def test_opening_peaks_with_the_phones(rows: list[PhoneRow], openings: NDArray[np.float64]) -> None:
    middles = samples_at(1, FPS) * (np.arange(len(openings)) + 0.5)
    wanted = np.zeros(len(openings))
    for _, viseme, start, end in rows:
        wanted[(middles >= start) & (middles < end)] = TARGETS[Viseme(viseme)].jaw
    lags = range(-5, 6)
    scores = [float(np.corrcoef(np.roll(openings, -lag)[8:-8], wanted[8:-8])[0, 1]) for lag in lags]
    assert lags[int(np.argmax(scores))] in (-1, 0, 1)
    assert max(scores) > 0.6


def test_bilabials_are_seen_shut_within_a_tick(rows: list[PhoneRow], openings: NDArray[np.float64]) -> None:
    tick = samples_at(1, FPS)
    shut = []
    for _, viseme, start, end in rows:
        middle = (start + end) // 2 // tick
        if viseme == "PP" and 1 <= middle < len(openings) - 1:
            shut.append(openings[middle - 1 : middle + 2].min() < CLOSED)
    assert len(shut) >= 8
    assert np.mean(shut) >= 0.9


def test_open_vowels_are_seen_open(rows: list[PhoneRow], openings: NDArray[np.float64]) -> None:
    tick = samples_at(1, FPS)
    seen = [
        openings[(start + end) // 2 // tick]
        for _, viseme, start, end in rows
        if viseme == "aa" and (start + end) // 2 // tick < len(openings)
    ]
    assert len(seen) >= 5
    assert min(seen) > 3 * CLOSED
