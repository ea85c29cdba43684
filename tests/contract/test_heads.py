"""What every talking-head engine of the table promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.errors import ConfigError, HeadError
from broadcaster.head.engines import FALLBACKS
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.ports import TalkingHead
from broadcaster.registry import HEADS
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import MouthPatch, base_index, samples_at
from tests.support.engines import engine_named
from tests.support.faces import babble, host, phones, track_of

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


@pytest.fixture(params=FALLBACKS)
def engine(request: pytest.FixtureRequest, avatar: ExpandedAvatar) -> TalkingHead:
    made = engine_named(request.param)
    made.load(avatar)
    return made


def rest(avatar: ExpandedAvatar, patch: MouthPatch) -> bytes:
    return b"".join(plane.tobytes() for plane in base_planes(avatar, avatar.mouth_box, patch.base))


def test_names_are_those_of_the_table(engine: TalkingHead) -> None:
    assert engine.name in HEADS
    assert 0 <= engine.lead_ticks <= 25
    assert set(FALLBACKS) <= set(HEADS)


def test_patches_come_in_order_over_the_right_base(engine: TalkingHead, avatar: ExpandedAvatar) -> None:
    first = 3 * avatar.loop_frames - 10
    engine.begin(7, 3, track_of(babble(1.0)), first, 0)
    patches = list(engine.render(first, first + 20))
    assert [p.tick for p in patches] == list(range(first, first + 21))
    box = avatar.mouth_box
    for patch in patches:
        assert (patch.generation, patch.epoch, patch.box) == (7, 3, box)
        assert patch.base == base_index(patch.tick, avatar.loop_frames)
        assert len(patch.planes) == box.width * box.height * 3 // 2


def test_the_first_and_the_last_patches_are_at_rest(engine: TalkingHead, avatar: ExpandedAvatar) -> None:
    track = track_of(phones(("aa", 300), ("E", 200), start_ms=0), tail_ms=20)
    engine.begin(1, 1, track, 0, 0)
    patches = list(engine.render(0, 400))
    assert len(patches) == round(track.samples / samples_at(1, avatar.fps)) + TRAIL_TICKS
    assert all(p.planes == rest(avatar, p) for p in patches[-TRAIL_TICKS:])


def test_nothing_comes_before_the_anchor_or_before_any_anchor(avatar: ExpandedAvatar, engine: TalkingHead) -> None:
    fresh = engine_named(engine.name)
    fresh.load(avatar)
    assert list(fresh.render(0, 10)) == []
    engine.begin(1, 1, track_of(babble(1.0)), 50, 0)
    assert [p.tick for p in engine.render(40, 52)] == [50, 51, 52]


def test_unknown_speech_ends_the_patches_and_more_speech_goes_on(engine: TalkingHead) -> None:
    track = track_of(phones(("aa", 400)), complete=False)
    engine.begin(1, 1, track, 0, 0)
    known = list(engine.render(0, 100))
    assert 0 < len(known) < 20
    track.add(bytes(2 * 48_000), [])
    track.end()
    more = list(engine.render(known[-1].tick + 1, 100))
    assert more[0].tick == known[-1].tick + 1
    assert len(more) > 20


def test_windows_and_skips_do_not_change_a_patch(engine: TalkingHead) -> None:
    track = track_of(babble(2.0))
    engine.begin(1, 1, track, 0, 0)
    whole = {p.tick: p.planes for p in engine.render(0, 45)}
    engine.begin(1, 2, track, 0, 0)
    skipped = [p for first, last in ((0, 3), (9, 9), (30, 45)) for p in engine.render(first, last)]
    assert [p.tick for p in skipped] == [0, 1, 2, 3, 9, *range(30, 46)]
    assert all(whole[p.tick] == p.planes for p in skipped)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_beginning_before_loading_is_an_error(name: str) -> None:
    with pytest.raises(HeadError):
        engine_named(name).begin(1, 1, track_of(phones(("aa", 100))), 0, 0)


def test_an_unknown_engine_is_a_configuration_error() -> None:
    with pytest.raises(
        ConfigError, match=r"no talking-head engine named .nobody. -> use one of: musetalk, onnx, still, warp"
    ):
        engine_named("nobody")


def test_a_pack_without_teeth_is_an_asset_error(avatar: ExpandedAvatar, tmp_path: Path) -> None:
    from dataclasses import replace

    from broadcaster.errors import AssetError

    with pytest.raises(AssetError, match=r"inner\.npz: damaged"):
        engine_named("warp").load(replace(avatar, root=tmp_path))
