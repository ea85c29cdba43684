"""A presenter from a video on air, in virtual time: only the mouth changes, and a bad file is held, never dark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broadcaster.head.shapes import MouthShape
from broadcaster.head.still import StillHead, base_planes
from broadcaster.head.warp import TORN, WarpHead, opened
from broadcaster.ports import TalkingHead
from broadcaster.studio.avatar import ExpandedAvatar, expand
from broadcaster.studio.compositor import ALPHAS, STANDS_STILL, Compositor
from broadcaster.types import MouthBox, MouthPatch, Plane, base_index
from tests.support.air import EngineHead, NoiseAvatar, VirtualAir, air_of, differs_outside, split, virtual_air
from tests.support.clips import CALM, make_clip_avatar
from tests.support.faces import babble, planes, track_of

pytestmark = pytest.mark.unit

SIZE = (320, 180)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    motion = replace(CALM, period=2.0, nearer=0.25)
    return make_clip_avatar(tmp_path_factory.mktemp("clip"), size=SIZE, motion=motion)[0]


@pytest.fixture(scope="module", params=["raw", "decoded"])
def pack(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    budget = 0 if request.param == "decoded" else 1 << 30
    return expand(folder, tmp_path_factory.getbasetemp(), *SIZE, 25, budget=budget)


@pytest.fixture(params=[WarpHead, StillHead])
def engine(request: pytest.FixtureRequest) -> TalkingHead:
    made: TalkingHead = request.param()
    return made


def check(air: VirtualAir, exact: ExpandedAvatar, talks: int) -> list[MouthBox]:
    """Steps through some utterances and silences; returns where mouths were shown."""
    boxes: list[MouthBox] = []
    for number in range(talks):
        pcm = np.random.default_rng(number).integers(1, 9000, 30_000).astype(np.int16)
        air.speak(f"u{number}", pcm, babble(0.6, number), generation=number + 1)
        quiet = 0
        while quiet < 7:
            if number % 3 == 2 and air.tick % 11 == 0:
                air.talk.cut(number + 2)
            shown = air.step()
            base = exact.frame(base_index(shown.tick, exact.loop_frames))
            mouth = [] if shown.mouth is None else [shown.mouth.patch.box]
            assert not differs_outside(shown.picture, base, air.label.box, *mouth), f"tick {shown.tick}"
            boxes += mouth
            quiet = 0 if air.talk.busy else quiet + 1
    return boxes


def test_idle_talk_idle_changes_nothing_but_the_moving_mouth(
    pack: ExpandedAvatar, engine: TalkingHead, folder: Path, tmp_path: Path
) -> None:
    exact = expand(folder, tmp_path, *SIZE, 25)
    air = air_of(pack, EngineHead(engine, pack), engine.lead_ticks)
    boxes = check(air, exact, talks=6)
    assert len(boxes) > 30
    assert len({(box.x, box.y) for box in boxes}) > 8
    assert {(box.width, box.height) for box in boxes} == {(pack.mouth_box.width, pack.mouth_box.height)}
    assert air.talk.counters.patches_late == 0
    assert (air.compositor.held, pack.held) == (0, 0)


def test_lips_part_where_the_mouth_is_in_every_frame(pack: ExpandedAvatar) -> None:
    engine = WarpHead()
    engine.load(pack)
    wide = MouthShape(jaw=1.0, upper=0.3)
    for base in range(0, pack.loop_frames, 6):
        box = pack.mouth_box_at(base)
        open_, rest = planes(engine.patch(base, wide), box.width, box.height), base_planes(pack, box, base)
        changed = np.abs(open_[0].astype(np.int16) - rest[0])
        edge = np.ones_like(changed, dtype=bool)
        edge[4:-4, 4:-4] = False
        assert changed[edge].max() <= 2, "the patch ends in the base picture, however near the head comes"
        rows, columns = np.nonzero(changed > 40)
        line = pack.points("lip_line", base).mean(axis=0) - (box.x, box.y)
        assert abs(columns.mean() - line[0]) < 0.2 * engine._fields.width
        assert 0 < rows.mean() - line[1] < 0.5 * engine._fields.width
        assert engine.patch(base, MouthShape()) == b"".join(plane.tobytes() for plane in rest)


def test_the_avatar_says_how_far_its_mouth_opens(pack: ExpandedAvatar) -> None:
    def changed(opening: float) -> float:
        engine = WarpHead()
        engine.load(replace(pack, mouth=pack.mouth.model_copy(update={"opening": opening})))
        box = pack.mouth_box_at(0)
        patch = planes(engine.patch(0, MouthShape(jaw=0.8)), box.width, box.height)[0]
        return float(np.abs(patch.astype(np.int16) - base_planes(pack, box, 0)[0]).sum())

    assert changed(0.3) < 0.7 * changed(1.0) < 0.7 * changed(1.5)


def test_openings_scale_the_jaw_and_spare_the_rest() -> None:
    shape = MouthShape(jaw=0.5, wide=0.4, round=0.3, upper=0.2, lower=0.1, tuck=0.6, press=0.7)
    assert opened(shape, 1.0) is shape
    assert opened(shape, 0.5) == MouthShape(0.25, 0.4, 0.3, 0.1, 0.05, 0.6, 0.7)
    assert opened(MouthShape(jaw=1.0), 1.5).jaw == TORN


def test_playout_and_head_may_read_one_loop_at_different_places(pack: ExpandedAvatar, folder: Path) -> None:
    """The head is ahead, begins anywhere, and goes back after a new anchor."""
    engine = WarpHead()
    engine.load(pack)
    for first in (3, 40, 17, 95):
        engine.begin(1, first, track_of(babble(0.4)), first, 0)
        for patch in engine.render(first, first + 8):
            assert patch.base == patch.tick % pack.loop_frames
            assert patch.box == pack.mouth_box_at(patch.base)
            around = base_planes(pack, patch.box, patch.base)[0]
            luma = planes(patch.planes, patch.box.width, patch.box.height)[0]
            assert np.array_equal(luma[:3], around[:3])
    assert pack.held == 0


class LateAvatar(NoiseAvatar):
    """Has not decoded some pictures: gives the last one, as the port says."""

    def __init__(self, missing: set[int]) -> None:
        super().__init__()
        self.missing = missing
        self._last = super().frame(0)

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        if index not in self.missing:
            self._last = super().frame(index)
        return self._last


def test_a_base_frame_that_is_not_there_is_the_last_picture_again() -> None:
    missing = {5, *range(12, 12 + STANDS_STILL + 3)}
    avatar = LateAvatar(missing)
    label = virtual_air().label
    compositor = Compositor(avatar, label)
    box = MouthBox(280, 180, 80, 48)
    before = split(np.zeros(640 * 360 * 3 // 2, np.uint8), 640, 360)
    good = 0
    for tick in range(30):
        pixels = np.full(box.width * box.height * 3 // 2, 20 + tick, np.uint8).tobytes()
        frame = compositor.compose(tick, MouthPatch(1, 1, tick, tick, box, pixels))
        picture = split(np.ascontiguousarray(frame.to_ndarray(), dtype=np.uint8).reshape(-1), 640, 360)
        if tick not in missing:
            good = tick
            base = NoiseAvatar.frame(avatar, tick)
            assert not differs_outside(picture, base, label.box, box)
            assert picture[0][200, 320] == 20 + tick
        elif tick in (5, *range(12, 12 + STANDS_STILL)):
            assert not differs_outside(picture, before), "the very picture again, with its mouth"
        else:
            base = NoiseAvatar.frame(avatar, good)
            assert not differs_outside(picture, base, label.box), "the last base frame without a mouth"
        before = picture
    assert compositor.held == len(missing)


def test_weights_of_many_sizes_do_not_pile_up() -> None:
    avatar = NoiseAvatar()
    compositor = Compositor(avatar, virtual_air().label)
    for tick in range(4 * ALPHAS):
        box = MouthBox(100, 100, 32 + 2 * tick, 32)
        pixels = bytes(box.width * box.height * 3 // 2)
        compositor.compose(tick, MouthPatch(1, 1, tick, base_index(tick, avatar.loop_frames), box, pixels))
    assert len(compositor._alphas) == ALPHAS
