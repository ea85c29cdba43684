"""Engine musetalk with real (tiny, random) networks: what every engine promises, and a render of an avatar."""

from __future__ import annotations

import pytest

from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.track import Track
from tests.face.support.least import least_head
from tests.support.faces import voiced
from tests.support.head_promises import Fresh, HeadPromises
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> NoiseFace:
    return NoiseFace(tmp_path_factory.mktemp("pack"), loop_frames=9)


@pytest.fixture
def fresh() -> Fresh:
    return least_head


@pytest.fixture
def engine(avatar: NoiseFace) -> MuseTalkHead:
    head = least_head()
    head.load(avatar)
    return head


class TestPromises(HeadPromises):
    """The suite of every engine."""


def test_a_face_depends_on_the_sound_and_on_the_base(engine: MuseTalkHead) -> None:
    """Random weights prove no lips, but that sound and latents go in at all."""
    patches = []
    for seed, first in ((3, 0), (4, 0), (3, 3)):
        track = Track()
        track.add(voiced(48_000, seed), [("a", "aa", 0, 48_000)])
        track.end()
        engine.begin(1, 1, track, first, 0)
        patches += [p.planes for p in engine.render(first + 8, first + 10)]
    assert len(set(patches)) == 9
