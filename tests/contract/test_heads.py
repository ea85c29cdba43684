"""What every talking-head engine of the table promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.errors import ConfigError
from broadcaster.head.engines import FALLBACKS
from broadcaster.head.onnx.engine import OnnxHead
from broadcaster.ports import TalkingHead
from broadcaster.registry import HEADS
from broadcaster.studio.avatar import ExpandedAvatar, expand
from tests.support.clips import make_clip_avatar
from tests.support.engines import engine_named
from tests.support.faces import babble, host, track_of
from tests.support.head_promises import Fresh, HeadPromises
from tests.support.onnx_heads import feathertalk, wav2lip

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module", params=["still", "decoded clip"])
def avatar(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    """The shipped presenter, and a head that moves far, whose pictures are decoded."""
    if request.param == "still":
        return host(tmp_path_factory.getbasetemp())
    folder, _ = make_clip_avatar(tmp_path_factory.mktemp("clip"))
    return expand(folder, tmp_path_factory.getbasetemp(), 320, 180, 25, budget=0)


@pytest.fixture(params=[*FALLBACKS, "onnx", "onnx with features"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    if request.param == "onnx":
        return lambda: OnnxHead(wav2lip(tmp_path))
    if request.param == "onnx with features":
        return lambda: OnnxHead(feathertalk(tmp_path))
    return lambda: engine_named(request.param)


@pytest.fixture
def engine(fresh: Fresh, avatar: ExpandedAvatar) -> TalkingHead:
    made = fresh()
    made.load(avatar)
    return made


class TestHeads(HeadPromises):
    """The engines that need no torch; `tests/face` has the others."""


@pytest.mark.parametrize("name", FALLBACKS)
def test_a_mesh_engine_covers_the_avatars_mouth_box(name: str, avatar: ExpandedAvatar) -> None:
    engine = engine_named(name)
    engine.load(avatar)
    engine.begin(1, 1, track_of(babble(1.0)), 0, 0)
    assert all(patch.box == avatar.mouth_box_at(patch.base) for patch in engine.render(0, 5))


def test_the_fallbacks_are_in_the_table() -> None:
    assert set(FALLBACKS) <= set(HEADS)


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
