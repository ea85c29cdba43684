"""A sink's queue: opens at a key frame, is bounded in milliseconds, drops pictures first and says how many."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.media import EncodedPacket
from broadcaster.playout.sinkqueue import AUDIO_LIMIT_FACTOR, SinkQueue

pytestmark = pytest.mark.unit

FPS = 25
GOP = 50


def picture(tick: int, size: int = 100) -> EncodedPacket:
    return EncodedPacket("video", tick, 1, tick % GOP == 0, bytes(size), 0)


def sound(tick: int) -> EncodedPacket:
    return EncodedPacket("audio", tick * 1920, 1920, True, b"a", 0)


def feed(queue: SinkQueue, first: int, last: int) -> None:
    for tick in range(first, last):
        queue.put(sound(tick))
        queue.put(picture(tick))


def taken(queue: SinkQueue) -> list[EncodedPacket]:
    return queue.take(1 << 30)


def test_closed_until_begun() -> None:
    queue = SinkQueue(1500, FPS)
    feed(queue, 0, 60)
    assert not queue
    assert queue.total_video == 0


def test_opens_at_the_next_key_frame_and_takes_no_sound_before_it() -> None:
    queue = SinkQueue(1500, FPS)
    queue.begin()
    feed(queue, 10, 53)
    packets = taken(queue)
    assert [(p.kind, p.pts) for p in packets[:2]] == [("video", 50), ("audio", 51 * 1920)]
    assert queue.total_video == 3
    assert queue.dropped_video == 0


def test_begins_with_the_group_of_pictures_in_hand() -> None:
    queue = SinkQueue(8000, FPS)
    queue.begin([picture(50), sound(51), picture(51)])
    feed(queue, 52, 54)
    assert [p.pts for p in taken(queue) if p.kind == "video"] == [50, 51, 52, 53]


def test_take_is_bounded_in_bytes_and_gives_at_least_one() -> None:
    queue = SinkQueue(8000, FPS)
    queue.begin([picture(0, 5000), picture(1, 10), picture(2, 10)])
    assert [p.pts for p in queue.take(100)] == [0]
    assert [p.pts for p in queue.take(100)] == [1, 2]
    assert queue.take(100) == []


def test_full_drops_pictures_to_the_next_key_frame_and_no_sound() -> None:
    queue = SinkQueue(1000, FPS)
    queue.begin()
    feed(queue, 0, 40)
    assert queue.dropped_video > 0
    kept = taken(queue)
    assert {p.kind for p in kept} == {"audio"}
    assert len(kept) == 39
    feed(queue, 40, 60)
    after = taken(queue)
    assert [p.pts for p in after if p.kind == "video"] == list(range(50, 60))
    assert [p.pts for p in after if p.kind == "audio"] == [tick * 1920 for tick in range(40, 60)]
    assert queue.dropped_video == 50
    assert queue.dropped_audio == 0


def test_a_key_frame_into_a_full_queue_is_dropped_too() -> None:
    queue = SinkQueue(1000, FPS)
    queue.begin()
    feed(queue, 0, 99)
    assert {p.kind for p in taken(queue)} == {"audio"}
    feed(queue, 99, 101)
    assert [p.pts for p in taken(queue) if p.kind == "video"] == [100]


def test_sound_has_a_bound_as_well() -> None:
    queue = SinkQueue(1000, FPS)
    queue.begin()
    feed(queue, 0, 1000)
    assert queue.queued_ms <= 1000 * 1000
    assert len(taken(queue)) <= AUDIO_LIMIT_FACTOR * 25 + 1
    assert queue.dropped_audio >= 1000 - AUDIO_LIMIT_FACTOR * 25 - 2


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 200_000)), min_size=1, max_size=30))
def test_whatever_the_peer_takes_the_pictures_can_be_decoded_and_are_accounted_for(
    rounds: list[tuple[int, int]],
) -> None:
    """Every picture that is kept follows its predecessor or is a key frame; kept + dropped + queued = offered."""
    queue = SinkQueue(1500, FPS)
    queue.begin()
    tick, out = 0, []
    for ticks, room in rounds:
        feed(queue, tick, tick + ticks)
        tick += ticks
        if room:
            out += queue.take(room)
    out += taken(queue)
    pictures = [p for p in out if p.kind == "video"]
    for before, after in itertools.pairwise(pictures):
        assert after.keyframe or after.pts == before.pts + 1
    assert len(pictures) + queue.dropped_video == queue.total_video == tick
    sounds = [p.pts for p in out if p.kind == "audio"]
    assert sounds == sorted(sounds)
    assert len(sounds) + queue.dropped_audio == tick - 1
