"""The head process over a real socket: first patches, windows, late work, cuts, new anchors, a restarted playout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from broadcaster.config import HeadConfig
from broadcaster.errors import HeadError
from broadcaster.head import stepped
from broadcaster.head.desk import EAGER_TICKS
from broadcaster.head.process import run_head
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.paths import Paths
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import base_index, samples_at
from broadcaster.wire import Anchor, Cut, End, Patch, Speak, Window
from tests.fakes.head_peer import HeadPeer
from tests.fakes.heads import DyingHead
from tests.support.faces import babble, host, voiced

pytestmark = pytest.mark.integration

LEAD = 2
FIRST = LEAD + EAGER_TICKS


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


Errors = SimpleQueue[BaseException]
Start = Callable[..., Errors]


@pytest.fixture
def paths(short_dir: Path) -> Paths:
    return Paths(short_dir, short_dir, short_dir)


@pytest.fixture
def start(paths: Paths) -> Iterator[Start]:
    """Runs the head in a thread; gives the queue its error lands in."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def run(avatar: ExpandedAvatar, beats: list[tuple[int, bool, str]], engine: str = "warp") -> Errors:
        errors: Errors = SimpleQueue()

        def body() -> None:
            try:
                run_head(HeadConfig(engine=engine), paths, avatar, lambda *beat: beats.append(beat), stop)
            except BaseException as err:
                errors.put(err)

        thread = threading.Thread(target=body)
        threads.append(thread)
        thread.start()
        return errors

    yield run
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def peer(paths: Paths, avatar: ExpandedAvatar) -> Iterator[HeadPeer]:
    with HeadPeer(paths.playout_socket, avatar.fps, avatar.loop_frames) as made:
        yield made


def speech(seconds: float, utterance: str = "u", generation: int = 1) -> Speak:
    rows = babble(seconds)
    pcm = voiced(rows[-1][3] + samples_at(4, 25))
    return Speak(generation, utterance, 0, "text", pcm, rows)


def ticks(patches: list[Patch]) -> list[int]:
    return [patch.tick for patch in patches]


def test_an_anchor_brings_the_first_patches_unasked_and_the_end_is_at_rest(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar
) -> None:
    beats: list[tuple[int, bool, str]] = []
    errors = start(avatar, beats)
    hello = peer.meet()
    assert (hello.role, hello.engine, hello.ready, hello.lead_ticks) == ("head", "warp", True, LEAD)
    assert not peer.status().degraded
    said = speech(2.0)
    peer.send(said, End(1, "u"), Anchor(1, "u", 1, 500, 0))
    early = peer.patches(FIRST)
    assert ticks(early) == list(range(500, 500 + FIRST))
    assert all(p.base == base_index(p.tick, avatar.loop_frames) for p in early)
    spoken = -(-len(said.pcm) // 2 // samples_at(1, 25))
    peer.send(Window(502, 600))
    rest = peer.patches(spoken + TRAIL_TICKS - FIRST)
    assert ticks(early + rest) == list(range(500, 500 + spoken + TRAIL_TICKS))
    for patch in rest[-TRAIL_TICKS:]:
        assert patch.planes == b"".join(p.tobytes() for p in base_planes(avatar, avatar.mouth_box, patch.base))
    assert beats[0] == (0, False, "loading warp")
    assert any(ready for _, ready, _ in beats)
    assert errors.empty()


def test_pieces_that_come_later_go_on_where_the_speech_stopped(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar
) -> None:
    start(avatar, [])
    peer.meet()
    first, second = speech(0.6), speech(0.8)
    peer.send(Anchor(1, "u", 1, 10, 0), Window(9, 400), first)
    known = (len(first.pcm) // 2 - samples_at(2, 25)) // samples_at(1, 25)
    before = peer.patches(known)
    peer.send(second, End(1, "u"))
    total = -(-(len(first.pcm) + len(second.pcm)) // 2 // samples_at(1, 25)) + TRAIL_TICKS
    after = peer.patches(total - known)
    assert ticks(before + after) == list(range(10, 10 + total))


def test_late_work_is_skipped_not_made_up(start: Start, peer: HeadPeer, avatar: ExpandedAvatar) -> None:
    start(avatar, [])
    peer.meet()
    assert peer.status().skipped == 0
    peer.send(speech(3.0), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    assert ticks(peer.patches(FIRST)) == list(range(100, 100 + FIRST))
    peer.send(Window(120, 123))
    assert ticks(peer.patches(3)) == [121, 122, 123]
    peer.send(Window(122, 130))
    assert ticks(peer.patches(7)) == list(range(124, 131))
    peer.send(Window(150, 1000))
    last = peer.patches(10)
    assert last[0].tick == 151
    peer.hang_up()
    peer.meet()
    assert peer.status().skipped == (121 - 108) + (151 - 131)


def test_a_cut_ends_the_patches_and_the_next_generation_speaks(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar
) -> None:
    start(avatar, [])
    peer.meet()
    peer.send(speech(20.0), End(1, "u"), Anchor(1, "u", 1, 0, 0), Window(0, 10_000))
    peer.patches(3)
    peer.send(Cut(2), speech(1.0, "v", 2), End(2, "v"), Anchor(2, "v", 1, 40, 0))
    found = peer.patches(1)[0]
    stale = 0
    while found.generation == 1:
        stale += 1
        found = peer.patches(1)[0]
    assert (found.generation, found.tick) == (2, 40)
    assert stale < 400, "the whole of the old utterance was rendered"
    assert {p.generation for p in peer.patches(20)} == {2}


def test_a_new_anchor_voids_the_old_one(start: Start, peer: HeadPeer, avatar: ExpandedAvatar) -> None:
    start(avatar, [])
    peer.meet()
    peer.send(speech(2.0), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    old = peer.patches(FIRST)
    peer.send(Anchor(1, "u", 2, 100 + avatar.loop_frames, 0))
    new = peer.patches(FIRST)
    assert {p.epoch for p in new} == {2}
    assert ticks(new) == [p.tick + avatar.loop_frames for p in old]
    assert [p.planes for p in new] == [p.planes for p in old]


def test_the_head_comes_back_to_a_restarted_playout(
    start: Start, paths: Paths, peer: HeadPeer, avatar: ExpandedAvatar
) -> None:
    errors = start(avatar, [])
    peer.meet()
    peer.send(speech(2.0), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    peer.patches(2)
    peer.close()
    with HeadPeer(paths.playout_socket, avatar.fps, avatar.loop_frames) as again:
        again.meet(tick=200)
        assert again.status().rendered >= 2
        again.send(speech(1.0, "v", 5), End(5, "v"), Anchor(5, "v", 1, 210, 0))
        assert ticks(again.patches(FIRST)) == list(range(210, 210 + FIRST))
    assert errors.empty()


def test_an_engine_that_cannot_load_leaves_the_mouth_shut_and_says_so(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar, tmp_path: Path
) -> None:
    from dataclasses import replace

    beats: list[tuple[int, bool, str]] = []
    start(replace(avatar, root=tmp_path), beats)
    assert peer.meet().engine == "still"
    status = peer.status()
    assert (status.engine, status.degraded) == ("still", True)
    assert "inner.npz" in status.note
    peer.send(speech(1.0), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    for patch in peer.patches(EAGER_TICKS):
        assert patch.planes == b"".join(p.tobytes() for p in base_planes(avatar, avatar.mouth_box, patch.base))
    assert any("warp cannot be loaded" in note for _, _, note in beats)


def test_a_head_that_is_passed_by_the_air_makes_every_second_picture(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar
) -> None:
    start(avatar, [], engine="tests.fakes.heads:make")
    peer.meet()
    peer.send(speech(20.0), End(1, "u"), Anchor(1, "u", 1, 100, 0), Window(99, 130))
    assert ticks(peer.patches(31)) == list(range(100, 131))
    peer.send(Window(140, 150))
    assert ticks(peer.patches(10)) == list(range(141, 151))
    status = peer.statuses[-1]
    assert (status.step, status.engine, status.degraded, status.skipped) == ("half", "plain", False, 10)
    assert status.counts["stepped_down"] == 1


def test_a_head_whose_device_is_lost_ends_when_nothing_is_to_be_rendered(
    start: Start, peer: HeadPeer, avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DyingHead, "lost", False)
    monkeypatch.setattr(stepped, "FIRST_RETRY_S", 0.0)
    errors = start(avatar, [], engine="tests.fakes.heads:dying")
    peer.meet()
    peer.send(speech(1.0), End(1, "u"), Anchor(1, "u", 1, 100, 0), Window(99, 160))
    with pytest.raises(AssertionError, match=r"then None"):
        peer.patches(1000)
    assert (peer.statuses[-1].engine, peer.statuses[-1].rendered > 25) == ("warp", True), (
        "a stand-in spoke to the end"
    )
    with pytest.raises(HeadError, match=r"starts anew.*the device was lost"):
        raise errors.get(timeout=10)


def test_another_avatar_in_playout_is_an_error(start: Start, paths: Paths, avatar: ExpandedAvatar) -> None:
    with HeadPeer(paths.playout_socket, avatar.fps, avatar.loop_frames + 1) as other:
        errors = start(avatar, [])
        other.meet()
        with pytest.raises(AssertionError, match="then None"):
            other.patches(1)
    error = errors.get(timeout=10)
    assert isinstance(error, HeadError)
    assert not error.retryable
