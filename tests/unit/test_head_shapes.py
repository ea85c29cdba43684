"""Mouth shapes from timed phones: closures close, vowels open on time, the ends are at rest."""

from __future__ import annotations

import numpy as np
import pytest

from broadcaster.head.shapes import LOOK_AHEAD, REST, TARGETS, MouthTrack
from broadcaster.head.track import Track
from broadcaster.types import Viseme, samples_at
from tests.support.faces import MS, babble, phones, track_of, voiced

pytestmark = pytest.mark.unit


def test_every_viseme_has_a_target_and_silence_is_rest() -> None:
    assert set(TARGETS) == set(Viseme)
    assert TARGETS[Viseme.SIL] is REST
    assert REST.at_rest
    assert not any(TARGETS[viseme].at_rest for viseme in Viseme if viseme is not Viseme.SIL)


def test_starts_and_ends_at_rest() -> None:
    track = track_of(phones(("aa", 300), ("E", 300), start_ms=0), tail_ms=0)
    mouth = MouthTrack(track)
    assert mouth.shape_at(0) == REST
    assert mouth.shape_at(-1) == REST
    assert mouth.shape_at(track.samples) == REST
    assert not mouth.shape_at(track.samples // 2).at_rest


@pytest.mark.parametrize("length", [30, 50, 80, 140])
def test_bilabials_are_shut_at_their_centre(length: int) -> None:
    rows = phones(("aa", 160), ("PP", length), ("aa", 160))
    mouth = MouthTrack(track_of(rows))
    _, _, start, end = rows[1]
    shape = mouth.shape_at((start + end) // 2)
    assert (shape.jaw, shape.upper, shape.lower, shape.tuck) == (0.0, 0.0, 0.0, 0.0)
    assert shape.press > 0.5


def test_some_tick_shows_every_closure_whatever_its_phase() -> None:
    rows = phones(("aa", 120), ("PP", 40), ("aa", 120))
    mouth = MouthTrack(track_of(rows))
    tick = samples_at(1, 25)
    for phase in range(0, tick, 5 * MS):
        shapes = [mouth.shape_at(phase + n * tick) for n in range(12)]
        centre = (rows[1][2] + rows[1][3]) / 2
        near = [s for n, s in enumerate(shapes) if abs(phase + n * tick - centre) <= tick]
        assert any(s.jaw == s.lower == s.upper == 0.0 for s in near)


def test_labiodentals_tuck_the_lower_lip_and_rounding_goes_with_u() -> None:
    rows = phones(("FF", 120), ("ou", 200), ("ih", 200))
    mouth = MouthTrack(track_of(rows))
    f, u, i = (mouth.shape_at((a + b) // 2) for _, _, a, b in rows)
    assert f.tuck > 0.5
    assert u.round > 0.6
    assert u.wide < 0.2
    assert i.wide > 0.5
    assert i.round < 0.2


def test_opening_follows_the_phones_without_lag() -> None:
    rows = babble(20.0)
    mouth = MouthTrack(track_of(rows))
    step = samples_at(1, 25) // 8
    times = np.arange(0, 20 * 48_000, step)
    opening = np.array([mouth.shape_at(int(t)).jaw for t in times])
    wanted = np.zeros(len(times))
    for _, viseme, start, end in rows:
        wanted[(times >= start) & (times < end)] = TARGETS[Viseme(viseme)].jaw
    lags = range(-16, 17)
    scores = [float(np.corrcoef(np.roll(opening, -lag)[32:-32], wanted[32:-32])[0, 1]) for lag in lags]
    best = lags[int(np.argmax(scores))]
    assert abs(best) <= 4, "more than half a tick between mouth and phones"
    assert max(scores) > 0.75


def test_louder_speech_opens_a_little_more() -> None:
    def jaw(level: float) -> float:
        track = Track()
        rows = phones(("aa", 400))
        track.add(voiced(rows[-1][3] + 100 * MS, level=level), rows)
        track.end()
        return MouthTrack(track).shape_at((rows[0][2] + rows[0][3]) // 2).jaw

    quiet, loud = jaw(0.01), jaw(0.2)
    assert quiet < loud < 1.5 * quiet


def test_speech_without_phones_moves_by_loudness() -> None:
    track = Track()
    track.add(voiced(24_000) + bytes(2 * 24_000) + voiced(24_000), [])
    track.end()
    mouth = MouthTrack(track)
    assert mouth.shape_at(12_000).jaw > 0.3
    assert mouth.shape_at(36_000).at_rest


def test_growing_the_track_does_not_change_what_was_ready() -> None:
    rows = babble(4.0)
    whole = MouthTrack(track_of(rows))
    pcm = voiced(rows[-1][3] + 160 * MS)
    growing, seen = Track(), {}
    mouth = MouthTrack(growing)
    at = 0
    for _, _, _, end in rows[3::4]:
        part = [(s, v, a - at, b - at) for s, v, a, b in rows if at <= a < end]
        growing.add(pcm[2 * at : 2 * end], part)
        at = end
        for sample in range(0, mouth.known_until(), samples_at(1, 25)):
            seen.setdefault(sample, mouth.shape_at(sample))
    assert len(seen) > 60
    assert all(shape == whole.shape_at(sample) for sample, shape in seen.items())


def test_nothing_is_ready_within_the_look_ahead() -> None:
    track = track_of(phones(("aa", 200)), complete=False)
    mouth = MouthTrack(track)
    assert mouth.known_until() == track.samples - LOOK_AHEAD
    track.due = True
    assert mouth.known_until() == track.samples
    track.add(b"", [])
    assert mouth.known_until() == track.samples - LOOK_AHEAD
    track.end()
    assert mouth.known_until() == track.samples
