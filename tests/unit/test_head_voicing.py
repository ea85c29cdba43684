"""How much of a generated mouth shows: speech, silence and what lies between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.head.track import Track
from broadcaster.head.voicing import AHEAD, FADE, HOLD, Voicing
from tests.support.faces import MS, babble, phones, track_of, voiced

pytestmark = pytest.mark.unit

TICK = 1920


def silent(ms: int) -> bytes:
    return bytes(2 * ms * MS)


def test_speech_shows_in_full_and_the_end_is_the_base() -> None:
    rows = phones(("aa", 600), ("PP", 80), ("E", 400))
    track = track_of(rows)
    voicing = Voicing(track)
    assert voicing.gain_at(rows[0][2] + 10) == voicing.gain_at(rows[1][2]) == 1.0
    assert voicing.gain_at(-1) == voicing.gain_at(track.samples) == voicing.gain_at(track.samples + TICK) == 0.0


def test_a_pause_between_phones_is_silence_and_a_short_gap_is_none() -> None:
    track = Track()
    track.add(voiced(500 * MS) + silent(700) + voiced(500 * MS), [("a", "aa", 0, 500 * MS)])
    track.add(silent(100) + voiced(300 * MS), [("a", "aa", 100 * MS, 400 * MS)])
    track.end()
    voicing = Voicing(track)
    assert voicing.gain_at(850 * MS) == 0.0
    assert voicing.gain_at(1300 * MS) == 1.0, "loud, without phones"
    assert min(voicing.gain_at(at * MS) for at in range(1700, 1800)) > 0.5


def test_a_phone_that_reaches_over_a_pause_does_not_hold_the_mouth_open() -> None:
    """As the embedded voice's last phone before a comma does."""
    track = Track()
    track.add(
        voiced(400 * MS) + silent(600) + voiced(400 * MS),
        [("u", "ou", 0, 950 * MS), ("a", "aa", 950 * MS, 1400 * MS)],
    )
    track.end()
    voicing = Voicing(track)
    assert voicing.gain_at(700 * MS) == 0.0
    assert voicing.gain_at(380 * MS) == voicing.gain_at(1050 * MS) == 1.0


def test_a_silent_phone_silences_noise() -> None:
    track = track_of(phones(("aa", 300), ("sil", 600), ("aa", 300)))
    assert Voicing(track).gain_at((80 + 300 + 300) * MS) == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.lists(st.integers(1, 90_000), max_size=4))
def test_the_gain_never_jumps_and_does_not_depend_on_the_pieces(seed: int, cuts: list[int]) -> None:
    rows = babble(1.5, seed)
    whole = track_of(rows)
    pieces = Track()
    at = 0
    for end in [*sorted(cut for cut in cuts if cut < whole.samples), whole.samples]:
        pieces.add(whole.pcm(at, end), [(s, v, a - at, b - at) for s, v, a, b in rows if at <= a < end])
        at = end
    pieces.end()
    one, other = Voicing(whole), Voicing(pieces)
    gains = np.array([one.gain_at(sample) for sample in range(0, whole.samples, TICK)])
    assert [other.gain_at(sample) for sample in range(0, whole.samples, TICK)] == gains.tolist()
    assert np.abs(np.diff(gains)).max(initial=0.0) < 0.75
    assert 0.0 <= gains.min()
    assert gains.max() <= 1.0


@pytest.mark.parametrize("with_phones", [True, False])
def test_what_is_known_ahead_is_bounded(with_phones: bool) -> None:
    track = Track()
    track.add(voiced(701 * MS), phones(("aa", 600)) if with_phones else [])
    voicing = Voicing(track)
    assert voicing.known_until() == track.samples - AHEAD
    track.due = True
    assert voicing.known_until() == track.samples
    track.due = False
    limit = voicing.known_until()
    before = [voicing.gain_at(sample) for sample in range(0, limit, 480)]
    track.add(voiced(TICK), [("a", "aa", 0, TICK)])
    assert [voicing.gain_at(sample) for sample in range(0, limit, 480)] == before


def test_a_trimmed_track_fades_to_its_new_end() -> None:
    track = track_of(babble(2.0))
    voicing = Voicing(track)
    assert voicing.gain_at(800 * MS) > 0.9
    track.trim(810 * MS)
    assert voicing.gain_at(800 * MS) < 0.1
    assert HOLD + FADE < 200 * MS


def test_soft_speech_is_speech_where_a_phone_says_so() -> None:
    """RMS 0.005, less than a voice without a phone needs; and what ended a moment ago still holds the mouth."""
    track = Track()
    track.add(voiced(500 * MS, level=0.005) + silent(500), [("a", "aa", 0, 500 * MS)])
    track.end()
    voicing = Voicing(track)
    assert voicing.gain_at(250 * MS) == voicing.gain_at(530 * MS) == 1.0
    unknown = Track()
    unknown.add(voiced(500 * MS, level=0.005) + silent(500), [])
    unknown.end()
    assert Voicing(unknown).gain_at(250 * MS) == 0.0


def test_noise_in_a_silent_phone_is_none_behind_it_either() -> None:
    track = Track()
    track.add(voiced(500 * MS) + silent(500), [("s", "sil", 0, 500 * MS)])
    track.end()
    assert [Voicing(track).gain_at(at * MS) for at in (490, 510, 530)] == [0.0] * 3
