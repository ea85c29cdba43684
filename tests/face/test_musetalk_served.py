"""Engine musetalk with an engine server: the same pictures as with networks of its own; a server that goes away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.config import HeadConfig
from broadcaster.config.head import MuseTalkConfig
from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.engine import MuseTalkHead, make
from broadcaster.head.musetalk.latents import coder_of, find, make_latents
from tests.face.support.least import least
from tests.face.support.serving import ABOUT, serving
from tests.fakes.face_maker import FaceMaker
from tests.fakes.painted_faces import PaintedFaces
from tests.support.faces import babble, track_of
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> NoiseFace:
    pack = NoiseFace(tmp_path_factory.mktemp("pack"), loop_frames=5)
    make_latents(pack, "1.5", replace(coder_of(least()), fingerprint=ABOUT.fingerprint))
    return pack


def served(socket: Path) -> MuseTalkHead:
    return make(HeadConfig(musetalk=MuseTalkConfig(server=socket)), Path("no-models-here"))


def test_a_server_makes_the_same_pictures(short_dir: Path, avatar: NoiseFace) -> None:
    latents = find(avatar, "1.5")
    assert latents is not None
    own = MuseTalkHead(lambda _: (PaintedFaces(), latents), 4)
    with serving(short_dir / "s", FaceMaker()):
        shared = served(short_dir / "s")
        shown = []
        for head in (own, shared):
            head.load(avatar)
            head.begin(1, 1, track_of(babble(2.0)), 3, 0)
            shown.append(list(head.render(3, 60)))
            assert head.counts["faces"] > 40
        assert shown[0] == shown[1]
        shared.close()


def test_a_server_that_goes_away_is_a_fault_that_may_pass(short_dir: Path, avatar: NoiseFace) -> None:
    with serving(short_dir / "s", FaceMaker()):
        head = served(short_dir / "s")
        head.load(avatar)
        head.begin(1, 1, track_of(babble(5.0)), 0, 0)
        patches = head.render(0, 100)
        next(patches)
    with pytest.raises(HeadError) as gone:
        list(patches)
    assert gone.value.retryable
    with pytest.raises(HeadError) as away:
        served(short_dir / "s").load(avatar)
    assert away.value.retryable


def test_without_tensors_the_command_is_named(short_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="broadcaster avatar tensors"):
        served(short_dir / "s").load(NoiseFace(tmp_path, loop_frames=5))
