"""The loop is found where it is, closes as well as its score says, and plays every picture in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from broadcaster.face import topology
from broadcaster.head.prepare.seam import GHOST_MESH, UNSEEN, Loop, Mode, SeamSearch
from tests.support.faces import HOST
from tests.support.footage import mesh_of_host

pytestmark = pytest.mark.unit

FPS = 25
Looks = NDArray[np.uint8]
Meshes = NDArray[np.float32]


def filmed(phase: NDArray[np.float64], seed: int = 1, gap: NDArray[np.float64] | None = None) -> tuple[Looks, Meshes]:
    """Looks and meshes of a head whose pose follows from `phase` (radians, one number a picture) alone; `gap` opens
    the mouth, in mouth widths."""
    rng = np.random.default_rng(seed)
    rest = mesh_of_host(HOST)
    pose = np.stack([np.sin(phase), np.cos(phase) - 1, np.sin(2 * phase + 0.5)], axis=1)
    move = rng.normal(0, 1, (3, 2)) * (12.0, 6.0)
    meshes = (rest[None] + (pose @ move)[:, None, :]).astype(np.float32)
    if gap is not None:
        width = np.linalg.norm(rest[topology.MOUTH_CORNERS[0]] - rest[topology.MOUTH_CORNERS[1]])
        meshes[:, list(topology.LIPS_INNER_LOWER)[1:-1], 1] += (gap * width)[:, None]
    scene = rng.normal(0, 1, (4, 18 * 32)).cumsum(axis=1)
    scene /= np.abs(scene).max()
    looks = 128 + 40 * scene[0] + (pose @ scene[1:]) * 14 + rng.normal(0, 0.3, (len(phase), 18 * 32))
    return np.clip(np.rint(looks), 0, 255).astype(np.uint8).reshape(-1, 18, 32), meshes


def even(count: int, period: int) -> NDArray[np.float64]:
    return 2 * np.pi * np.arange(count) / period


def search(phase: NDArray[np.float64], **more: NDArray[np.float64]) -> SeamSearch:
    looks, meshes = filmed(phase, **more)
    return SeamSearch(looks, meshes, [(0, len(phase) - 1)], FPS)


def test_a_motion_that_returns_is_cut_where_it_returns() -> None:
    found = search(even(260, 100)).best(wished_s=4)
    assert found is not None
    assert (found.kind, (found.last - found.first + 1) % 100) == ("cut", 0)
    assert found.score < 1.25
    print(f"\nseam of a motion that returns: {found.score:.2f}")


def test_the_longest_of_equally_good_loops_is_taken_up_to_the_wish() -> None:
    found = search(even(330, 100)).best(wished_s=20)
    assert found is not None
    assert found.last - found.first + 1 == 300


def test_a_cut_in_the_middle_of_a_motion_is_seen_in_the_score() -> None:
    phase = even(100, 100)
    best = search(phase)
    torn = Loop("cut", 10, 60, 0, 0.0)
    assert best.score(torn) > 5 * UNSEEN


def test_what_never_returns_goes_there_and_back_and_turns_where_it_rests() -> None:
    at = np.linspace(-1, 1, 120)
    phase = 1.2 * at**3 + 0.4 * at  # slow in the middle only
    looks, meshes = filmed(phase)
    still = SeamSearch(looks, meshes, [(0, 119)], FPS).best("pingpong", wished_s=4)
    assert still is not None
    assert still.kind == "pingpong"
    auto = SeamSearch(looks, meshes, [(0, 119)], FPS).best("auto", wished_s=4)
    assert auto is not None
    assert auto.kind != "cut"
    rested = np.cumsum(np.concatenate([np.zeros(12), np.full(70, 0.02), np.zeros(12), np.full(20, 0.02)]))
    found = search(rested).best("pingpong", wished_s=8)
    assert found is not None
    assert (found.first <= 12, 82 <= found.last <= 94) == (True, True), found


def test_a_near_miss_is_crossfaded_and_the_fade_is_smoother_than_the_cut() -> None:
    phase = even(200, 100) * 0.985
    looks, meshes = filmed(phase)
    drift = np.linspace(0, 9, 200)[:, None]
    looks = np.clip(looks.reshape(200, -1) + drift, 0, 255).astype(np.uint8).reshape(looks.shape)  # it grew brighter
    seams = SeamSearch(looks, meshes, [(0, 199)], FPS)
    cut, faded = seams.best("cut", wished_s=4), seams.best("crossfade", wished_s=4)
    assert cut is not None
    assert faded is not None
    assert faded.fade == 8
    assert faded.score < cut.score / 1.5
    auto = seams.best("auto", wished_s=4)
    assert auto is not None
    assert auto.kind == "crossfade"
    assert seams._apart((faded.first, faded.last + 1)) < GHOST_MESH


def test_a_loop_begins_with_the_mouth_shut_and_prefers_silence() -> None:
    phase = even(400, 100)
    gap = np.where((np.arange(400) % 100 < 60) | (np.arange(400) < 200), 0.25, 0.0)
    found = search(phase, gap=gap).best("cut", wished_s=4)
    assert found is not None
    assert gap[found.first] == 0.0
    spoken = np.where(np.arange(400) < 200, 0.2 * (np.arange(400) % 6 < 3), 0.0)
    quiet = search(phase, gap=spoken).best("cut", wished_s=4)
    assert quiet is not None
    assert quiet.first >= 200


@pytest.mark.parametrize("mode", ["auto", "cut", "crossfade", "pingpong"])
def test_what_is_too_short_for_a_loop_gives_none(mode: Mode) -> None:
    looks, meshes = filmed(even(24, 100))
    assert SeamSearch(looks, meshes, [(0, 23)], FPS).best(mode) is None


def test_several_stretches_are_searched_and_none_reaches_over_a_gap() -> None:
    looks, meshes = filmed(even(400, 100))
    stretches = [(0, 120), (130, 399)]
    meshes[121:130] = np.nan
    found = SeamSearch(looks, meshes, stretches, FPS).best("cut", wished_s=8)
    assert found is not None
    assert found.first >= 130
    assert found.last - found.first + 1 == 200


def test_nothing_moves_and_everything_fits() -> None:
    looks, meshes = filmed(np.zeros(80))
    found = SeamSearch(looks, meshes, [(0, 79)], FPS).best(wished_s=20)
    assert found is not None
    assert found.kind == "cut"
    assert found.last - found.first >= 70


def test_long_videos_are_searched_coarsely_and_then_exactly() -> None:
    phase = even(13_000, 997)
    looks = np.zeros((13_000, 4, 4), dtype=np.uint8)
    _, meshes = filmed(phase[:997])
    meshes = np.concatenate([meshes] * 14)[:13_000]
    found = SeamSearch(looks, meshes, [(0, 12_999)], FPS).best("cut", wished_s=39)
    assert found is not None
    assert (found.last - found.first + 1) % 997 == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(20, 90), st.sampled_from(["cut", "crossfade", "pingpong"]))
def test_the_playing_order_goes_from_neighbour_to_neighbour(first: int, length: int, kind: str) -> None:
    fade = min(8, first) if kind == "crossfade" else 0
    loop = Loop(kind, first, first + length - 1, fade, 0.0)  # type: ignore[arg-type]
    order = loop.playing_order()
    numbers = [blend.picture for blend in order]
    steps = np.diff(numbers)
    assert set(np.abs(steps)) == {1}
    assert len(numbers) == (2 * length - 2 if kind == "pingpong" else length)
    if kind == "pingpong":
        assert abs(numbers[-1] - numbers[0]) == 1
        assert max(numbers.count(number) for number in numbers) <= 2
    else:
        assert len(set(numbers)) == len(numbers), "equal numbers show equal pictures"
    shares = [blend.share for blend in order if blend.other >= 0]
    assert len(shares) == fade
    assert shares == sorted(shares)
    assert all(0 < share < 1 for share in shares)
    if fade:
        assert order[-1].other == first - 1, "the mixed-in picture is the one before the first"
