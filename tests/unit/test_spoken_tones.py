"""The ears of the bench `voice_faults`: what was missing, said twice, too high or late is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bench.spoken_tones import HIGH, LOST, SENTENCES, STRANGE, Played, judged, tones
from broadcaster.types import SAMPLE_RATE, PcmArray

pytestmark = pytest.mark.unit


def silence(ms: int) -> PcmArray:
    return np.zeros(SAMPLE_RATE * ms // 1000, np.int16)


def spoken(*sounds: PcmArray, pause_ms: int = 300, engine: str = "one") -> list[Played]:
    """One sentence after the other, from the first of the script on."""
    played, at = [], 0
    for number, sound in enumerate(sounds):
        pcm = np.concatenate([sound, silence(pause_ms)])
        played.append(Played(at, pcm, number, engine))
        at += len(pcm)
    return played


WHOLE = [tones(sentence, SAMPLE_RATE) for sentence in SENTENCES]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    report = judged(spoken(*WHOLE), 3)
    assert (str(report), report.gap_ms) == ("one, one, one", 0)


def test_a_pause_of_the_text_is_no_gap_and_what_is_beyond_it_is() -> None:
    assert judged(spoken(*WHOLE, pause_ms=700), 3).gap_ms == pytest.approx(400, abs=10)
    cut = np.concatenate([WHOLE[0][: SAMPLE_RATE // 2], silence(250), WHOLE[0][SAMPLE_RATE // 2 :]])
    assert judged(spoken(cut), 1).gap_ms == pytest.approx(250, abs=10)


def test_half_a_sentence_is_missing() -> None:
    report = judged(spoken(WHOLE[0], WHOLE[1][: len(WHOLE[1]) // 2]), 2)
    assert report.remarks == ("", "8 of 16 characters missing")


def test_a_clause_is_said_again() -> None:
    clause = tones("早上的市场很热闹，", SAMPLE_RATE)
    report = judged(spoken(WHOLE[0], np.concatenate([clause, silence(200), WHOLE[1]])), 2)
    assert report.remarks == ("", "8 characters again")


def test_sound_of_another_rate_is_too_fast_and_too_high() -> None:
    fast = tones(SENTENCES[0], SAMPLE_RATE * 2 // 3)
    report = judged(spoken(fast, WHOLE[1]), 2)
    assert report.remarks == ("1.5x as fast, 1.5x as high", "")
    assert report.gap_ms == 0


def test_who_spoke_and_what_was_not_heard() -> None:
    first, *_ = spoken(WHOLE[0])
    half = len(first.pcm) // 2
    parts = [Played(0, first.pcm[:half], 0, "one"), Played(half, first.pcm[half:], 0, "last")]
    assert str(judged(parts, 2)) == "one+last, nobody (NOT HEARD)"


def test_sentences_that_come_in_another_order_are_told() -> None:
    one, two = spoken(*WHOLE[:2])
    swapped = [Played(0, two.pcm, 1, "one"), Played(len(two.pcm), one.pcm, 0, "one")]
    assert not judged(swapped, 2).in_order
    other = judged(spoken(WHOLE[1], WHOLE[0]), 2)
    assert other.has(STRANGE)
    assert not other.has(LOST, HIGH)
