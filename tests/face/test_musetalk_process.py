"""The head process with engine musetalk over a real socket, networks tiny: first patches, cut, trim, late work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from broadcaster.config import HeadConfig
from broadcaster.config.head import MuseTalkConfig
from broadcaster.head.desk import EAGER_TICKS
from broadcaster.head.musetalk.latents import load_coder, make_latents
from broadcaster.head.process import run_head
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.paths import Paths
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import MouthBox, base_index, samples_at
from broadcaster.wire import Anchor, Cut, End, Patch, Speak, Trim, Window
from tests.face.support.weights import write_published
from tests.fakes.head_peer import HeadPeer
from tests.support.faces import babble, host, voiced

pytestmark = pytest.mark.integration

LEAD = 2
FIRST = LEAD + EAGER_TICKS
LOOP = 6
TICK = samples_at(1, 25)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> ExpandedAvatar:
    """A quarter of a second of the presenter, with tensors."""
    whole = host(tmp_path_factory.getbasetemp(), 320, 180)
    short = replace(
        whole, loop_frames=LOOP, motion=whole.motion[:LOOP], source_frames=np.arange(LOOP, dtype=np.int32)
    )
    make_latents(short, "1.5", load_coder(weights, torch.device("cpu")))
    return short


@pytest.fixture
def peer(short_dir: Path, avatar: ExpandedAvatar, weights: Path) -> Iterator[HeadPeer]:
    """A head that has connected."""
    paths = Paths(short_dir, short_dir, short_dir)
    config = HeadConfig(engine="musetalk", musetalk=MuseTalkConfig(models=weights, device="cpu", batch=LEAD))
    stop = threading.Event()
    with HeadPeer(paths.playout_socket, avatar.fps, avatar.loop_frames) as made:
        head = threading.Thread(
            target=run_head, args=(config, paths, avatar, lambda *_: None, stop), kwargs={"patient": True}
        )
        head.start()
        try:
            hello = made.meet()
            assert (hello.engine, hello.lead_ticks) == ("musetalk", LEAD)
            yield made
        finally:
            stop.set()
            made.close()
            head.join(20)
            assert not head.is_alive()


def speech(seconds: float, utterance: str = "u", generation: int = 1) -> Speak:
    rows = babble(seconds)
    return Speak(generation, utterance, 0, "text", voiced(rows[-1][3] + samples_at(4, 25)), rows)


def ticks(patches: list[Patch]) -> list[int]:
    return [patch.tick for patch in patches]


def rest(avatar: ExpandedAvatar, patch: Patch) -> bytes:
    return b"".join(plane.tobytes() for plane in base_planes(avatar, MouthBox(*patch.box), patch.base))


def test_an_anchor_brings_lips_and_the_end_is_at_rest(peer: HeadPeer, avatar: ExpandedAvatar) -> None:
    said = speech(0.6)
    peer.send(said, End(1, "u"), Anchor(1, "u", 1, 500, 0), Window(499, 600))
    count = -(-len(said.pcm) // 2 // TICK) + TRAIL_TICKS
    patches = peer.patches(count)
    assert ticks(patches) == list(range(500, 500 + count))
    assert all(p.base == base_index(p.tick, LOOP) for p in patches)
    assert all(p.planes == rest(avatar, p) for p in patches[-TRAIL_TICKS:])
    assert sum(p.planes != rest(avatar, p) for p in patches) > 10


def test_a_cut_ends_the_patches_and_the_next_generation_speaks(peer: HeadPeer) -> None:
    peer.send(speech(5.0), End(1, "u"), Anchor(1, "u", 1, 0, 0), Window(0, 10_000))
    peer.patches(3)
    peer.send(Cut(2), speech(0.4, "v", 2), End(2, "v"), Anchor(2, "v", 1, 40, 0))
    found = peer.patches(1)[0]
    stale = 0
    while found.generation == 1:
        stale += 1
        found = peer.patches(1)[0]
    assert (found.generation, found.tick) == (2, 40)
    assert stale < 100, "the whole of the old utterance was rendered"
    assert {p.generation for p in peer.patches(5)} == {2}


def test_a_trim_ends_the_utterance_early(peer: HeadPeer, avatar: ExpandedAvatar) -> None:
    peer.send(speech(5.0), Anchor(1, "u", 1, 100, 0), Window(99, 110))
    assert ticks(peer.patches(11)) == list(range(100, 111))
    peer.send(Trim(1, "u", 0, 15 * TICK), Window(104, 200))
    after = peer.patches(8)
    assert ticks(after) == list(range(111, 119))
    assert all(p.planes == rest(avatar, p) for p in after[-TRAIL_TICKS:])


def test_late_work_is_skipped_not_made_up(peer: HeadPeer) -> None:
    peer.send(speech(2.0), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    assert ticks(peer.patches(FIRST)) == list(range(100, 100 + FIRST))
    peer.send(Window(109, 112))
    assert ticks(peer.patches(3)) == [110, 111, 112]
