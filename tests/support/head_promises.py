"""What every talking-head engine promises, as a class of tests for modules that can make the engine.

A module has a class `TestHeads(HeadPromises)` and the fixtures `fresh` (makes an engine that is not loaded), `engine`
(one that is) and `avatar`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcaster.errors import HeadError
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.head.track import Track
from broadcaster.ports import FacePack, TalkingHead, ThinningHead
from broadcaster.registry import HEADS
from broadcaster.types import MouthPatch, base_index, samples_at
from tests.support.faces import MS, babble, phones, track_of, voiced

Fresh = Callable[[], TalkingHead]

TICK = 1920


def rest(avatar: FacePack, patch: MouthPatch) -> bytes:
    """The base picture under the patch."""
    return b"".join(plane.tobytes() for plane in base_planes(avatar, patch.box, patch.base))


class HeadPromises:
    def test_names_are_those_of_the_table(self, engine: TalkingHead) -> None:
        assert engine.name in HEADS
        assert 0 <= engine.lead_ticks <= 25

    def test_beginning_before_loading_is_an_error(self, fresh: Fresh) -> None:
        with pytest.raises(HeadError):
            fresh().begin(1, 1, track_of(phones(("aa", 100))), 0, 0)

    def test_patches_come_in_order_over_the_right_base(self, engine: TalkingHead, avatar: FacePack) -> None:
        first = 3 * avatar.loop_frames - 10
        engine.begin(7, 3, track_of(babble(1.0)), first, 0)
        patches = list(engine.render(first, first + 20))
        assert [p.tick for p in patches] == list(range(first, first + 21))
        for patch in patches:
            box = patch.box
            assert (patch.generation, patch.epoch) == (7, 3)
            assert patch.base == base_index(patch.tick, avatar.loop_frames)
            assert len(patch.planes) == box.width * box.height * 3 // 2
            assert not (box.x | box.y | box.width | box.height) & 1
            assert 0 <= box.x < box.x + box.width <= avatar.width
            assert 0 <= box.y < box.y + box.height <= avatar.height

    def test_the_last_patches_are_at_rest(self, engine: TalkingHead, avatar: FacePack) -> None:
        track = track_of(phones(("aa", 300), ("E", 200), start_ms=0), tail_ms=20)
        engine.begin(1, 1, track, 0, 0)
        patches = list(engine.render(0, 400))
        assert len(patches) == round(track.samples / samples_at(1, avatar.fps)) + TRAIL_TICKS
        assert all(p.planes == rest(avatar, p) for p in patches[-TRAIL_TICKS:])

    def test_nothing_comes_before_the_anchor_or_before_any_anchor(
        self, fresh: Fresh, engine: TalkingHead, avatar: FacePack
    ) -> None:
        other = fresh()
        other.load(avatar)
        assert list(other.render(0, 10)) == []
        engine.begin(1, 1, track_of(babble(1.0)), 50, 0)
        assert [p.tick for p in engine.render(40, 52)] == [50, 51, 52]

    def test_unknown_speech_ends_the_patches_and_more_speech_goes_on(self, engine: TalkingHead) -> None:
        track = track_of(phones(("aa", 400)), complete=False)
        engine.begin(1, 1, track, 0, 0)
        known = list(engine.render(0, 100))
        assert 0 < len(known) < 20
        track.add(bytes(2 * 48_000), [])
        track.end()
        more = list(engine.render(known[-1].tick + 1, 100))
        assert more[0].tick == known[-1].tick + 1
        assert len(more) > 20

    def test_speech_that_is_due_is_rendered_to_its_end(self, engine: TalkingHead) -> None:
        track = track_of(phones(("aa", 400)), complete=False)
        engine.begin(1, 1, track, 0, 0)
        known = len(list(engine.render(0, 100)))
        track.due = True
        due = len(list(engine.render(0, 100)))
        assert known <= due
        assert due in (track.samples // TICK, track.samples // TICK + 1)

    def test_windows_and_skips_do_not_change_a_patch(self, engine: TalkingHead) -> None:
        track = track_of(babble(2.0))
        engine.begin(1, 1, track, 0, 0)
        whole = {p.tick: p.planes for p in engine.render(0, 45)}
        engine.begin(1, 2, track, 0, 0)
        skipped = [p for first, last in ((0, 3), (9, 9), (30, 45)) for p in engine.render(first, last)]
        assert [p.tick for p in skipped] == [0, 1, 2, 3, 9, *range(30, 46)]
        assert all(whole[p.tick] == p.planes for p in skipped)

    def test_an_anchor_in_mid_utterance_changes_no_patch(self, engine: TalkingHead) -> None:
        track = track_of(babble(1.5))
        engine.begin(1, 1, track, 0, 0)
        whole = {p.tick: p for p in engine.render(0, 30)}
        engine.begin(1, 2, track, 12, 12 * TICK)
        again = list(engine.render(12, 30))
        assert [p.tick for p in again] == list(range(12, 31))
        assert all((whole[p.tick].box, whole[p.tick].planes) == (p.box, p.planes) for p in again)

    def test_a_trimmed_utterance_comes_to_rest_at_its_new_end(self, engine: TalkingHead, avatar: FacePack) -> None:
        track = track_of(babble(2.0))
        engine.begin(1, 1, track, 0, 0)
        assert len(list(engine.render(0, 9))) == 10
        track.trim(20 * TICK)
        after = list(engine.render(10, 100))
        assert [p.tick for p in after] == list(range(10, 20 + TRAIL_TICKS))
        assert all(p.planes == rest(avatar, p) for p in after[-TRAIL_TICKS:])

    def test_an_engine_that_can_thin_out_makes_the_same_pictures(self, engine: TalkingHead) -> None:
        if not isinstance(engine, ThinningHead):
            return
        track = track_of(babble(1.0))
        engine.begin(1, 1, track, 5, 0)
        whole = {p.tick: p.planes for p in engine.render(5, 24)}
        for stride in (2, 3):
            engine.stride = stride
            engine.begin(1, 1, track, 5, 0)
            thinned = [p for first, last in ((5, 11), (12, 24)) for p in engine.render(first, last)]
            assert [p.tick for p in thinned] == list(range(5, 25, stride))
            assert all(whole[p.tick] == p.planes for p in thinned)
        engine.stride = 1

    def test_silence_shows_the_base_and_makes_no_face(self, engine: TalkingHead, avatar: FacePack) -> None:
        track = Track()
        track.add(voiced(400 * MS) + bytes(2 * 1600 * MS), [("a", "aa", 0, 400 * MS)])
        track.end()
        engine.begin(1, 1, track, 0, 0)
        patches = list(engine.render(0, 49))
        assert any(p.planes != rest(avatar, p) for p in patches[:10]) is (engine.name != "still")
        assert all(p.planes == rest(avatar, p) for p in patches[17:])
        if isinstance(engine, ThinningHead):
            made = dict(engine.counts)
            assert 0 < made["faces"] <= 17
            list(engine.render(17, 49))
            assert engine.counts["faces"] == made["faces"]
