"""Speech tracks: pieces join without a gap and the past is forgotten, but only the distant past."""

from __future__ import annotations

import numpy as np
import pytest

from broadcaster.head.track import KEPT_BEHIND, Track

pytestmark = pytest.mark.unit


def ramp(start: int, count: int) -> bytes:
    return (np.arange(start, start + count) % 30_000).astype("<i2").tobytes()


def test_pieces_are_joined_and_phones_count_in_the_utterance() -> None:
    track = Track()
    track.add(ramp(0, 100), [("a", "aa", 10, 90)])
    track.add(ramp(100, 50), [("m", "PP", 0, 50)])
    assert track.samples == 150
    assert track.phones() == [("a", "aa", 10, 90), ("m", "PP", 100, 150)]
    assert track.pcm(90, 110) == ramp(90, 20)


def test_pcm_outside_what_is_known_is_silence() -> None:
    track = Track()
    track.add(ramp(1, 10), [])
    assert track.pcm(-5, 15) == bytes(10) + ramp(1, 10) + bytes(10)
    assert track.pcm(3, 3) == b""


def test_the_distant_past_is_forgotten_and_the_near_kept() -> None:
    track = Track()
    for index in range(30):
        track.add(ramp(index * 48_000, 48_000), [("a", "aa", 0, 48_000)])
    now = 29 * 48_000
    track.forget(now)
    kept_from = now - KEPT_BEHIND
    assert track.pcm(kept_from, now) == ramp(kept_from, KEPT_BEHIND)
    assert track.pcm(0, 100) == bytes(200)
    assert len(track.phones()) == 30 - kept_from // 48_000
    assert track.samples == 30 * 48_000


def test_any_slice_equals_the_whole() -> None:
    track = Track()
    sizes = [7, 1, 480, 3, 1920]
    at = 0
    for size in sizes:
        track.add(ramp(at, size), [])
        at += size
    whole = ramp(0, at)
    for start in range(0, at, 97):
        assert track.pcm(start, min(at, start + 511)) == whole[2 * start : 2 * (start + 511)]
