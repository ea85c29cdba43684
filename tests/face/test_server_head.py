"""Engine musetalk with faces from an engine server: the promises of every engine, and a server that goes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.musetalk.remote import RemoteFaces
from broadcaster.head.stepped import FIRST_RETRY_S, SteppedHead
from broadcaster.head.still import StillHead
from broadcaster.ports import FacePack, TalkingHead
from tests.face.support.serving import latents, serving, until
from tests.fakes.face_maker import FaceMaker
from tests.support.faces import babble, track_of
from tests.support.head_promises import Fresh, HeadPromises, rest
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> NoiseFace:
    return NoiseFace(tmp_path_factory.mktemp("pack"), loop_frames=9)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return latents(tmp_path_factory.mktemp("latents") / "latents.npy")


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "head.sock"


def head_at(path: Path, file: Path) -> MuseTalkHead:
    def supply(avatar: FacePack) -> tuple[RemoteFaces, Path]:
        return RemoteFaces(path, "1.5", 4), file

    return MuseTalkHead(supply, 4)


class TestPromises(HeadPromises):
    """The suite of every engine, over a socket."""

    @pytest.fixture(autouse=True)
    def server(self, path: Path) -> Iterator[None]:
        with serving(path, FaceMaker()):
            yield

    @pytest.fixture
    def fresh(self, server: None, path: Path, file: Path) -> Iterator[Fresh]:
        with ExitStack() as made:

            def make() -> TalkingHead:
                head = head_at(path, file)
                made.callback(head.close)
                return head

            yield make

    @pytest.fixture
    def engine(self, fresh: Fresh, avatar: NoiseFace) -> TalkingHead:
        head = fresh()
        head.load(avatar)
        return head


def nothing_is_loaded() -> bool:
    return all(thread.name != "head-loading" for thread in threading.enumerate())


def test_while_the_server_is_away_another_engine_moves_the_lips_or_shuts_them(
    path: Path, file: Path, avatar: NoiseFace
) -> None:
    now = 0.0
    head = SteppedHead(
        "musetalk", lambda name: head_at(path, file) if name == "musetalk" else StillHead(), lambda: now
    )
    with ExitStack() as evening:
        running = evening.enter_context(serving(path, FaceMaker()))
        head.load(avatar)
        head.begin(1, 1, track_of(babble(2.0)), 0, 0)
        first = list(head.render(0, 9))
        assert any(patch.planes != rest(avatar, patch) for patch in first)
        running.stop()
        until(lambda: not path.exists())
        second = list(head.render(10, 29))
    assert [patch.tick for patch in first + second] == list(range(30))
    assert (head.name, head.degraded) == ("still", True)
    assert "the server was stopped" in head.note
    now += FIRST_RETRY_S
    head.idle()
    until(nothing_is_loaded)
    head.begin(2, 1, track_of(babble(2.0)), 100, 0)
    assert (head.name, head.degraded) == ("still", True)
    assert "no engine server answers" in head.note
    with serving(path, FaceMaker()):
        now += 2 * FIRST_RETRY_S
        head.idle()
        until(nothing_is_loaded)
        assert (head.name, head.degraded) == ("still", True)
        head.begin(3, 1, track_of(babble(2.0)), 200, 0)
        third = list(head.render(200, 209))
        assert [patch.planes for patch in third] != [rest(avatar, patch) for patch in third]
        assert (head.name, head.degraded, head.counts["returned"]) == ("musetalk", False, 1)
        head._engine.close()  # type: ignore[attr-defined]
