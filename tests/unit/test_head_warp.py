"""The warp engine on the shipped presenter: rest is the base picture, lips open, close and repeat bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from broadcaster.errors import HeadError
from broadcaster.head.shapes import REST, TARGETS, MouthShape
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.head.warp import WarpHead
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import Viseme, samples_at
from tests.support.faces import babble, host, phones, planes, track_of
from tests.support.lips import CLOSED, LipGauge

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def engine(avatar: ExpandedAvatar) -> WarpHead:
    made = WarpHead()
    made.load(avatar)
    return made


Painted = Callable[[int, MouthShape], "np.ndarray[tuple[int, int], np.dtype[np.uint8]]"]


@pytest.fixture(scope="module")
def painted(avatar: ExpandedAvatar, engine: WarpHead) -> Painted:
    """The whole Y plane of a base frame with the mouth in a shape."""

    def paint(base: int, shape: MouthShape) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        box = avatar.mouth_box
        luma = avatar.frame(base)[0].copy()
        patch = planes(engine.patch(base, shape), box.width, box.height)[0]
        luma[box.y : box.y + box.height, box.x : box.x + box.width] = patch
        return luma

    return paint


def base_bytes(avatar: ExpandedAvatar, base: int) -> bytes:
    return b"".join(plane.tobytes() for plane in base_planes(avatar, avatar.mouth_box, base))


@pytest.mark.parametrize("base", [0, 41, 249])
def test_rest_is_the_base_picture_bit_for_bit(engine: WarpHead, avatar: ExpandedAvatar, base: int) -> None:
    assert engine.patch(base, REST) == base_bytes(avatar, base)


@pytest.mark.parametrize("viseme", [v for v in Viseme if v is not Viseme.SIL])
@pytest.mark.parametrize("base", [0, 120])
def test_the_edge_of_the_box_is_never_touched(
    engine: WarpHead, avatar: ExpandedAvatar, viseme: Viseme, base: int
) -> None:
    box = avatar.mouth_box
    rim = max(2, min(box.width, box.height) // 25)
    moved = planes(engine.patch(base, TARGETS[viseme]), box.width, box.height)[0]
    still = planes(base_bytes(avatar, base), box.width, box.height)[0]
    inner = (slice(rim, -rim), slice(rim, -rim))
    changed = moved != still
    assert changed[inner].any()
    changed[inner] = False
    assert not changed.any()


def test_vowels_open_in_the_order_of_speech(engine: WarpHead) -> None:
    opening = {v: engine.opening(TARGETS[v]) for v in Viseme}
    assert opening[Viseme.SIL] == 0.0
    assert opening[Viseme.PP] < 0.01
    assert opening[Viseme.AA] > opening[Viseme.OH] > opening[Viseme.OU] > opening[Viseme.FF] > 0.5
    assert opening[Viseme.AA] > opening[Viseme.E] > opening[Viseme.IH] > opening[Viseme.SS]


def test_pixels_show_what_the_shapes_say(avatar: ExpandedAvatar, painted: Painted) -> None:
    for base in (0, 60, 170):
        gauge = LipGauge(avatar, base)
        seen = {v: gauge.opening(painted(base, TARGETS[v])) for v in Viseme}
        assert abs(seen[Viseme.SIL]) < 0.01
        assert seen[Viseme.PP] < CLOSED
        assert seen[Viseme.AA] > 0.2
        assert seen[Viseme.AA] > seen[Viseme.E] > seen[Viseme.IH] > CLOSED
        assert seen[Viseme.AA] > seen[Viseme.OH] > seen[Viseme.OU] > CLOSED


def test_same_speech_same_patches(avatar: ExpandedAvatar) -> None:
    rows = babble(2.0)

    def spoken(cuts: list[int]) -> list[bytes]:
        head = WarpHead()
        head.load(avatar)
        head.begin(1, 1, track_of(rows), 100, 0)
        edges = [100, *cuts, 160]
        return [p.planes for a, b in pairwise(edges) for p in head.render(a, b - 1)]

    once = spoken([])
    assert len(once) == 60
    assert once == spoken([104, 105, 131])


def test_a_new_anchor_moves_the_same_mouth_to_other_ticks(engine: WarpHead, avatar: ExpandedAvatar) -> None:
    track = track_of(babble(2.0))
    engine.begin(1, 1, track, 100, 0)
    first = list(engine.render(100, 140))
    engine.begin(1, 2, track, 100 + avatar.loop_frames, 0)
    again = list(engine.render(100 + avatar.loop_frames, 140 + avatar.loop_frames))
    assert [p.planes for p in first] == [p.planes for p in again]
    assert {p.epoch for p in again} == {2}
    engine.begin(1, 3, track, 120, samples_at(20, 25))
    rest = list(engine.render(120, 140))
    assert [p.planes for p in rest] == [p.planes for p in first[20:]]


def test_ends_with_pictures_at_rest(engine: WarpHead, avatar: ExpandedAvatar) -> None:
    track = track_of(phones(("aa", 300), ("PP", 100)), tail_ms=0)
    engine.begin(1, 1, track, 10, 0)
    patches = list(engine.render(10, 500))
    spoken = track.samples / samples_at(1, 25)
    assert patches[-1].tick == 10 + round(spoken) + TRAIL_TICKS - 1
    assert all(p.planes == base_bytes(avatar, p.base) for p in patches[-TRAIL_TICKS:])
    assert patches[0].planes == base_bytes(avatar, patches[0].base)
    assert any(p.planes != base_bytes(avatar, p.base) for p in patches)


def test_render_stops_where_the_speech_is_not_known(engine: WarpHead) -> None:
    track = track_of(phones(("aa", 400)), complete=False)
    engine.begin(1, 1, track, 0, 0)
    known = list(engine.render(0, 100))
    assert 5 < len(known) < 100
    assert list(engine.render(known[-1].tick + 1, 100)) == []
    track.add(bytes(96_000), [])
    assert next(engine.render(known[-1].tick + 1, 100)).tick == known[-1].tick + 1


def test_speaking_before_loading_is_an_error() -> None:
    with pytest.raises(HeadError, match="before an avatar was loaded"):
        WarpHead().begin(1, 1, track_of(phones(("aa", 100))), 0, 0)
