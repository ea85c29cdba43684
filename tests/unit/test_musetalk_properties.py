"""Engine musetalk under any order of sound, windows, skips, anchors and trims: the same pictures, none left over."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.head.track import Track
from broadcaster.types import samples_at
from tests.fakes.painted_faces import PaintedFaces, painted_head
from tests.support.faces import MS, PhoneRow, babble, voiced
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.unit

TICK = samples_at(1, 25)
SECONDS = 2.0
FADE = 120 * MS
"""Pictures this near to the end of a track fade out once it is known to be the end."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> NoiseFace:
    return NoiseFace(tmp_path_factory.mktemp("pack"), 160, 90, loop_frames=7)


@cache
def spoken() -> tuple[bytes, list[PhoneRow]]:
    """Syllables with a pause of half a second in them."""
    pause = (800 * MS, 1300 * MS)
    rows = [row for row in babble(SECONDS) if row[3] <= pause[0] or row[2] >= pause[1]]
    length = rows[-1][3] + 200 * MS
    sound = bytearray(voiced(length))
    sound[2 * pause[0] : 2 * pause[1]] = bytes(2 * (pause[1] - pause[0]))
    return bytes(sound), rows


def head(pack: NoiseFace, batch: int, patience: int) -> tuple[MuseTalkHead, PaintedFaces]:
    made, faces = painted_head(pack.root, batch, patience)
    made.load(pack)
    return made, faces


@cache
def whole(pack: NoiseFace, samples: int) -> dict[int, bytes]:
    """Every patch of the utterance's first `samples`, in one go, one face at a time."""
    track = Track()
    pcm, rows = spoken()
    track.add(pcm, rows)
    track.trim(samples)
    engine, _ = head(pack, 1, 0)
    engine.begin(1, 1, track, 0, 0)
    return {patch.tick: patch.planes for patch in engine.render(0, 200)}


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 6),
    patience=st.integers(0, 2),
    pieces=st.lists(st.integers(1, 500), min_size=1, max_size=12),
    windows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=12),
    anchors=st.sets(st.integers(0, 11), max_size=3),
    trim=st.integers(200, 4000),
)
def test_any_order_gives_the_same_pictures(
    pack: NoiseFace,
    batch: int,
    patience: int,
    pieces: list[int],
    windows: list[tuple[int, int]],
    anchors: set[int],
    trim: int,
) -> None:
    engine, faces = head(pack, batch, patience)
    pcm, rows = spoken()
    track, told = Track(), 0
    engine.begin(1, 1, track, 0, 0)
    shown: dict[int, bytes] = {}
    at = 0
    for number, (skipped, length) in enumerate(windows):
        if number < len(pieces):
            end = min(len(pcm) // 2, told + pieces[number] * MS)
            inside = [(a, b, start - told, stop - told) for a, b, start, stop in rows if told <= start < end]
            track.add(pcm[2 * told : 2 * end], inside)
            told = end
        if number in anchors:
            engine.begin(1, 2 + number, track, at, at * TICK)
        for patch in engine.render(at + skipped, at + skipped + length):
            assert patch.tick >= at
            at = patch.tick + 1
            shown[patch.tick] = patch.planes
    wanted = whole(pack, len(pcm) // 2)
    for tick, planes in shown.items():
        if len(pcm) // 2 - tick * TICK > FADE + TICK:
            assert planes == wanted[tick], tick
    track.trim(min(trim * MS, track.samples))
    rest = [patch.tick for patch in engine.render(at, 400)]
    end = -(-(track.samples - TICK // 2) // TICK) + TRAIL_TICKS
    assert rest == list(range(at, end))
    assert faces.asked == 0 or engine.counts["faces"] < len(faces.wanted)
    assert engine.counts["faces"] + engine.counts["silent"] == len(shown) + len(rest)
