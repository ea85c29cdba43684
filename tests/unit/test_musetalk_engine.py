"""Engine musetalk over painted faces: what is asked for, when, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.musetalk.window import LOOK_AHEAD
from broadcaster.head.track import Track
from broadcaster.types import MouthPatch, base_index, samples_at
from tests.fakes.painted_faces import PaintedFaces, painted_head
from tests.support.faces import MS, babble, track_of, voiced
from tests.support.head_promises import Fresh, HeadPromises, rest
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.unit

TICK = samples_at(1, 25)
BATCH = 4
Heads = Callable[..., tuple[MuseTalkHead, PaintedFaces]]


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> NoiseFace:
    return NoiseFace(tmp_path_factory.mktemp("pack"))


@pytest.fixture
def heads(tmp_path: Path, avatar: NoiseFace) -> Heads:
    def made(batch: int = BATCH, patience: int = 0) -> tuple[MuseTalkHead, PaintedFaces]:
        head, faces = painted_head(tmp_path, batch, patience)
        head.load(avatar)
        return head, faces

    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    return lambda: painted_head(tmp_path)[0]


@pytest.fixture
def engine(fresh: Fresh, avatar: NoiseFace) -> MuseTalkHead:
    head = fresh()
    head.load(avatar)
    assert isinstance(head, MuseTalkHead)
    return head


class TestPromises(HeadPromises):
    """The suite of every engine."""


def growing(milliseconds: int) -> Track:
    """Speech of one vowel, of which more may come."""
    track = Track()
    more(track, milliseconds)
    return track


def more(track: Track, milliseconds: int) -> None:
    track.add(voiced(milliseconds * MS, seed=track.samples + 1), [("a", "aa", 0, milliseconds * MS)])


def ticks(patches: list[MouthPatch]) -> list[int]:
    return [patch.tick for patch in patches]


def test_faces_are_asked_for_in_whole_batches_two_ahead(heads: Heads) -> None:
    head, faces = heads()
    head.begin(1, 1, track_of(babble(2.0)), 0, 0)
    patches = head.render(0, 29)
    first = next(patches)
    while head.counts["faces"] == 0:
        first = next(patches)
    assert faces.asked == 2 * BATCH
    while head.counts["faces"] < 10:
        next(patches)
        assert BATCH < faces.asked <= 2 * BATCH
    list(patches)
    assert set(faces.maker.batches) == {BATCH}
    assert first.tick <= faces.wanted[0].key


def test_one_at_a_time_is_never_ahead(heads: Heads) -> None:
    """On a CPU a face is seconds of work that nothing can break off."""
    head, faces = heads(batch=1)
    head.begin(1, 1, track_of(babble(1.0)), 0, 0)
    for _ in head.render(0, 20):
        assert len(faces.wanted) == head.counts["faces"]


def test_nothing_is_asked_for_twice_and_the_rest_of_a_batch_serves_the_next_window(heads: Heads) -> None:
    head, faces = heads()
    head.begin(1, 1, track_of(babble(2.0)), 0, 0)
    found = [patch for first in range(0, 40, 3) for patch in head.render(first, first + 2)]
    assert ticks(found) == list(range(42))
    assert head.counts["faces"] + head.counts["silent"] == 42
    assert head.counts["wasted"] == 0
    assert len(faces.wanted) - head.counts["faces"] < 2 * BATCH


def test_only_what_fills_no_batch_is_hurried(heads: Heads) -> None:
    """Full batches may wait a moment at a server, to share their run with other channels."""
    head, faces = heads()
    track = growing(5 * 40 + 136)
    head.begin(1, 1, track, 0, 0)
    assert ticks(list(head.render(0, 30))) == [0, 1, 2, 3]
    assert faces.flushed == 0
    track.due = True
    assert ticks(list(head.render(4, 30))) == [4, 5, 6, 7]
    assert faces.flushed == len(faces.maker.batches) - 1


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_short_bursts_leave_no_face_behind(heads: Heads, patience: int) -> None:
    head, _ = heads(patience=patience)
    rows = [("a", "aa", at * MS, at * MS + 120 * MS) for at in range(100, 4000, 500)]
    head.begin(1, 1, track_of(rows), 0, 0)
    found = [patch for first in range(0, 95, 5) for patch in head.render(first, first + 4)]
    assert ticks(found) == list(range(95))
    assert head.counts["faces"] + head.counts["silent"] == 95
    assert head.counts["faces"] > 40


def test_each_face_is_of_its_step_and_of_its_base_frames_row(heads: Heads, avatar: NoiseFace) -> None:
    head, faces = heads(batch=1)
    head.begin(1, 1, track_of(babble(2.0)), 1000, 0)
    voiced_ticks = [p.tick for p in head.render(1000, 1040) if p.planes != rest(avatar, p)]
    asked = faces.wanted[: len(voiced_ticks)]
    assert [each.step for each in asked] == [2 * (tick - 1000) for tick in voiced_ticks]
    assert [each.row for each in asked] == [base_index(tick, 41) // 2 for tick in voiced_ticks]


def test_a_batch_waits_for_its_sound_until_it_is_due(heads: Heads) -> None:
    head, faces = heads()
    track = growing(2 * 40 + 136)
    head.begin(1, 1, track, 0, 0)
    assert list(head.render(0, 20)) == []
    assert faces.wanted == []
    track.due = True
    assert ticks(list(head.render(0, 20))) == [0, 1, 2, 3, 4]
    assert faces.maker.batches == [3, 2]


def test_sound_that_comes_fills_the_batch(heads: Heads) -> None:
    head, faces = heads()
    track = growing(2 * 40 + 136)
    head.begin(1, 1, track, 0, 0)
    assert list(head.render(0, 20)) == []
    more(track, 200)
    assert ticks(list(head.render(0, 20))) == list(range(8))
    assert faces.maker.batches == [BATCH, BATCH]


def test_no_face_is_made_ahead_of_its_sound(heads: Heads) -> None:
    head, faces = heads()
    track = growing(1000)
    track.due = True
    head.begin(1, 1, track, 0, 0)
    patches = head.render(0, 30)
    for _ in range(8):
        next(patches)
    known = (track.samples - LOOK_AHEAD) // TICK
    assert {each.step // 2 for each in faces.wanted} == set(range(min(known + 1, 16)))


def test_the_look_ahead_is_136_milliseconds(heads: Heads) -> None:
    head, _ = heads(batch=1)
    for samples, known in ((LOOK_AHEAD - 1, 0), (LOOK_AHEAD, 1), (LOOK_AHEAD + TICK, 2)):
        track = Track()
        track.add(voiced(samples), [("a", "aa", 0, samples)])
        head.begin(1, 1, track, 0, 0)
        assert len(list(head.render(0, 20))) == known
    assert LOOK_AHEAD <= 136 * MS


def test_a_new_anchor_drops_what_is_in_flight(heads: Heads, avatar: NoiseFace) -> None:
    head, faces = heads(patience=2)
    track = track_of(babble(2.0))
    head.begin(1, 1, track, 0, 0)
    patches = head.render(0, 29)
    while head.counts["faces"] == 0:
        next(patches)
    in_flight = faces.asked
    assert in_flight > 0
    head.begin(1, 2, track, 100, 0)
    assert faces.void == in_flight
    assert head.counts["wasted"] == in_flight + BATCH - 1
    again = list(head.render(100, 129))
    assert {patch.epoch for patch in again} == {2}
    head.begin(1, 3, track, 100, 0)
    assert [p.planes for p in head.render(100, 129)] == [p.planes for p in again]


@pytest.mark.parametrize("first", [0, 500 * TICK])
def test_a_trim_makes_void_what_saw_beyond_it(heads: Heads, first: int) -> None:
    head, faces = heads()
    track = track_of(babble(2.0 + first / 48_000))
    head.begin(1, 1, track, 0, first)
    patches = head.render(0, 40)
    shown = []
    while len(shown) < 8:
        shown.append(next(patches))
    track.trim(first + 12 * TICK)
    after = list(head.render(8, 60))
    whole, _ = heads()
    short = Track()
    short.add(track.pcm(0, first + 12 * TICK), list(track.phones()))
    short.end()
    whole.begin(1, 1, short, 0, first)
    wanted = {p.tick: p.planes for p in whole.render(0, 60)}
    assert ticks(after) == list(range(8, 16))
    assert [p.planes for p in after] == [wanted[p.tick] for p in after]
    assert head.counts["wasted"] > 0
    assert faces.asked == 0


def test_no_work_in_silence(heads: Heads, avatar: NoiseFace) -> None:
    head, faces = heads()
    track = Track()
    track.add(voiced(400 * MS) + bytes(2 * 3000 * MS) + voiced(400 * MS), [])
    track.end()
    head.begin(1, 1, track, 0, 0)
    patches = list(head.render(0, 94))
    asked = [each.step // 2 for each in faces.wanted]
    assert max(tick for tick in asked if tick < 50) < 15
    assert min(tick for tick in asked if tick > 50) > 80
    assert all(p.planes == rest(avatar, p) for p in patches[16:80])
    assert head.counts["silent"] >= 65
    assert faces.maker.batches[-1] <= BATCH


def test_the_mouth_eases_out_into_silence(heads: Heads, avatar: NoiseFace) -> None:
    head, _ = heads()
    track = Track()
    track.add(voiced(400 * MS) + bytes(2 * 600 * MS), [("a", "aa", 0, 400 * MS)])
    track.end()
    head.begin(1, 1, track, 0, 0)
    away = []
    for patch in head.render(0, 20):
        base = np.frombuffer(rest(avatar, patch), np.uint8).astype(int)
        away.append(int(np.abs(np.frombuffer(patch.planes, np.uint8) - base).sum()))
    ending = away[10:16]
    assert ending[0] > ending[2] > ending[3] >= 0
    assert ending[-1] == 0
    assert 2 <= sum(0 < now < 0.9 * away[9] for now in ending) <= 4


def test_an_anchor_far_into_a_reading_hears_only_its_last_seconds(heads: Heads) -> None:
    head, faces = heads()
    track = track_of(babble(30.0))
    head.begin(1, 1, track, 0, 20 * 48_000)
    assert len(list(head.render(0, 24))) == 25
    assert max(each.step for each in faces.wanted) < 50 * 10
    assert min(each.step for each in faces.wanted) >= 50 * 8 - 1
    first = [each.step for each in faces.wanted]
    head.begin(1, 2, track, 0, 20 * 48_000)
    list(head.render(0, 24))
    assert [each.step for each in faces.wanted][len(first) :] == first


def test_a_closed_engine_says_so(heads: Heads) -> None:
    head, _ = heads()
    track = track_of(babble(1.0))
    head.begin(1, 1, track, 0, 0)
    head.close()
    assert list(head.render(0, 10)) == []
    with pytest.raises(HeadError, match="before an avatar was loaded"):
        head.begin(1, 2, track, 0, 0)


def test_faces_that_never_come_are_an_error_that_may_pass(heads: Heads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.musetalk.engine.PATIENCE_S", -1.0)
    head, _ = heads(patience=10**9)
    head.begin(1, 1, track_of(babble(1.0)), 0, 0)
    with pytest.raises(HeadError, match="no face was made") as raised:
        list(head.render(0, 10))
    assert raised.value.retryable


def test_an_avatar_without_a_mesh_is_refused_before_networks_are_loaded(tmp_path: Path) -> None:
    class Bare(NoiseFace):
        def crop(self, index: int) -> None:  # type: ignore[override]
            raise AssetError("no face mesh")

    head = MuseTalkHead(lambda avatar: pytest.fail("loaded"), BATCH)
    with pytest.raises(AssetError, match="no face mesh"):
        head.load(Bare(tmp_path))


def test_nothing_outside_the_mask_is_touched(heads: Heads, avatar: NoiseFace) -> None:
    head, _ = heads()
    head.begin(1, 1, track_of(babble(2.0)), 0, 0)
    changed = 0
    for patch in head.render(0, 45):
        crop, box = avatar.crop(patch.base), patch.box
        assert box.y >= (crop.top + crop.bottom) // 2 - 16
        edge = np.frombuffer(patch.planes, np.uint8)[: box.width * box.height].reshape(box.height, box.width)
        base = np.frombuffer(rest(avatar, patch), np.uint8)[: box.width * box.height].reshape(edge.shape)
        differs = edge != base
        changed += differs.any()
        assert not differs[:8].any()
        assert not differs[-8:].any()
        assert not differs[:, :8].any()
        assert not differs[:, -8:].any()
    assert changed > 30
