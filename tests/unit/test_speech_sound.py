"""The stages of `finishing`, one by one: true peak, repair, trim, tempo, levels, plausible length and clipping."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broadcaster.speech.dsp.levelling import VOICES_KEPT, Level, Leveller, Levels
from broadcaster.speech.dsp.loudness import (
    CEILING,
    Limiter,
    integrated,
    limited,
    loudness,
    true_peak,
    weighted_energy,
)
from broadcaster.speech.dsp.plausible import Plausibility
from broadcaster.speech.dsp.repair import DcBlocker, Repairer, fade_in, fade_out
from broadcaster.speech.dsp.tempo import Tempo
from broadcaster.speech.dsp.trim import LEAD, TAIL, Trimmer
from broadcaster.speech.punctuation import ELLIPSIS_PAUSE_MS, PARAGRAPH_PAUSE_MS, SENTENCE_PAUSE_MS, pause_ms
from tests.fakes.raw_voice import voiced

pytestmark = pytest.mark.unit

RATE = 48_000
VOICE = voiced(1.2, RATE, level=0.5).astype(np.float64)


def through(stage: Any, samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    edges = [0, *sorted(min(c, len(samples)) for c in cuts), len(samples)]
    return np.concatenate([*(stage.push(samples[a:b]) for a, b in pairwise(edges)), stage.finish()])


STAGES: dict[str, Any] = {
    "limiter": lambda: (Limiter(), VOICE / 12_000),
    "leveller": lambda: (Leveller(-16, None), VOICE / 32_768),
    "known": lambda: (Leveller(-16, Level(-20.0, 0.5)), VOICE / 32_768),
    "repair": lambda: (Repairer(RATE), VOICE + 20_000 * (np.arange(len(VOICE)) % 7_001 == 3_000)),
    "trim": lambda: (Trimmer(), np.pad(VOICE / 32_768, 20_000)),
    "tempo": lambda: (Tempo(1.3, -2), VOICE / 32_768),
}


@pytest.mark.parametrize("name", STAGES)
@given(cuts=st.lists(st.integers(0, 90_000), max_size=12))
@settings(max_examples=8, deadline=None)
def test_any_chunking_gives_the_same_samples(name: str, cuts: list[int]) -> None:
    stage, samples = STAGES[name]()
    expected = through(STAGES[name]()[0], samples, [])
    assert np.array_equal(through(stage, samples, cuts), expected)
    if name not in ("trim", "tempo"):
        assert len(expected) == len(samples)


# -- true peak ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hertz", "level"), [(997, 1.0), (6_000, 0.5), (12_000, 1.0), (12_000, 0.25)])
def test_the_true_peak_of_a_tone_is_its_amplitude_wherever_the_samples_fall(hertz: int, level: float) -> None:
    tone = level * np.sin(2 * np.pi * hertz * np.arange(4_800) / RATE + np.pi / 4) * np.hanning(4_800)
    assert true_peak(tone) == pytest.approx(level, rel=0.02)


@given(seed=st.integers(0, 99), gain=st.floats(0.1, 30), length=st.integers(0, 4_000))
@settings(max_examples=40, deadline=None)
def test_no_true_peak_is_over_the_ceiling(seed: int, gain: float, length: int) -> None:
    noise = gain * np.random.default_rng(seed).normal(0, 0.3, length)
    output = limited(noise)
    assert len(output) == length
    assert true_peak(output) <= CEILING * 1.01  # white noise has peaks between the four places, too


def test_the_limiter_tells_what_it_took() -> None:
    limiter = Limiter()
    output = np.concatenate([limiter.push(VOICE / 8_000), limiter.finish()])
    assert limiter.loss_db == pytest.approx(10 * np.log10(np.sum((VOICE / 8_000) ** 2) / np.sum(output**2)), abs=0.01)


# -- repair ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_click_is_replaced_by_a_curve_and_nothing_else_is_touched(width: int, sign: int) -> None:
    time = np.arange(12_000) / 24_000
    clean = np.rint(8_000 * np.sin(2 * np.pi * 180 * time))
    broken = clean.copy()
    broken[7_000 : 7_000 + width] += sign * 12_000
    repairer = Repairer(24_000)
    mended = through(repairer, broken, [])
    assert repairer.mended == 1
    assert np.abs(mended - clean).max() < 150
    assert np.array_equal(np.delete(mended, np.s_[6_990:7_015]), np.delete(clean, np.s_[6_990:7_015]))


def test_a_step_between_two_stretches_becomes_a_slope() -> None:
    time = np.arange(12_000) / 24_000
    broken = np.rint(6_000 * np.sin(2 * np.pi * 150 * time))
    broken[6_000:] += 7_000
    assert np.abs(np.diff(broken)).max() > 6_000
    assert np.abs(np.diff(through(Repairer(24_000), broken, []))).max() < 1_000


def test_a_plosive_is_left_alone() -> None:
    rng = np.random.default_rng(3)
    sound = np.zeros(12_000)
    for place in range(2_000, 11_000, 2_000):
        sound[place : place + 240] = rng.normal(0, 9_000, 240) * np.exp(-np.arange(240) / 80)
    repairer = Repairer(24_000)
    assert np.array_equal(through(repairer, np.rint(sound), []), np.rint(sound))
    assert repairer.mended == 0


def test_a_peak_that_wrapped_comes_back_over_full_scale() -> None:
    loud = np.rint(40_000 * np.sin(2 * np.pi * 300 * np.arange(12_000) / 24_000))
    wrapped = (loud + 32_768) % 65_536 - 32_768
    out = through(Repairer(24_000), wrapped, [])
    assert np.array_equal(out[1:-1], loud[1:-1])  # the tone's own ends are torn off


def test_an_offset_goes_without_a_bump_at_the_beginning() -> None:
    blocker = DcBlocker(24_000)
    out = np.concatenate([blocker.push(part) for part in np.split(np.full(24_000, 900.0), 50)])
    assert np.abs(out).max() < 1e-6
    tone = 5_000 * np.sin(2 * np.pi * 200 * np.arange(24_000) / 24_000)
    out = DcBlocker(24_000).push(tone + 900)
    assert abs(out[4_800:].mean()) < 5
    assert np.sqrt(np.mean(out[4_800:] ** 2)) == pytest.approx(5_000 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("length", [0, 1, 2, 240])
def test_fades_begin_and_end_near_nothing(length: int) -> None:
    ones = np.ones(length)
    assert np.array_equal(fade_in(ones), fade_out(ones)[::-1])
    if length == 240:
        assert fade_in(ones)[0] < 1e-4
        assert (np.diff(fade_in(ones)) > 0).all()


# -- trim -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front", [0, 100, 5_000, 40_000])
@pytest.mark.parametrize("behind", [0, 100, 5_000, 40_000])
def test_silence_is_trimmed_to_30_and_50_ms(front: int, behind: int) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 500 * np.arange(9_600) / RATE)
    trimmer = Trimmer()
    out = through(trimmer, np.concatenate([np.zeros(front), tone, np.zeros(behind)]), [])
    assert len(out) == pytest.approx(9_600 + min(front, LEAD) + min(behind, TAIL), abs=480)
    assert trimmer.dropped == pytest.approx(max(0, front - LEAD), abs=240)


def test_a_pause_inside_stays_and_silence_alone_is_nothing() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 500 * np.arange(4_800) / RATE)
    paused = np.concatenate([tone, np.zeros(48_000), tone])
    assert len(through(Trimmer(), paused, [])) == len(paused)
    trimmer = Trimmer()
    assert len(through(trimmer, 0.0005 * np.sin(np.arange(48_000)), [])) == 0
    assert not trimmer.heard


def test_a_soft_voice_is_heard_when_it_is_known_to_be_soft() -> None:
    soft = 0.002 * np.sin(2 * np.pi * 500 * np.arange(9_600) / RATE)
    assert len(through(Trimmer(), soft, [])) == 0
    assert len(through(Trimmer(0.25), soft, [])) == 9_600


# -- tempo ----------------------------------------------------------------------------------------------------------


@given(speed=st.floats(0.4, 2.5), semitones=st.floats(-13, 13), length=st.integers(0, 20_000))
@example(speed=2.0, semitones=-8.0, length=2160)
@settings(max_examples=25, deadline=None)
def test_the_length_is_what_the_speed_says_whatever_the_pitch(speed: float, semitones: float, length: int) -> None:
    tempo = Tempo(speed, semitones)
    assert abs(len(through(tempo, VOICE[:length], [3_000])) - length / tempo.speed) <= 4


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("semitones", [0, 3, -4])
def test_a_tone_changes_its_pitch_only_when_it_is_asked_to(speed: float, semitones: float) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(48_000) / RATE)
    out = through(Tempo(speed, semitones), tone, [])
    middle = out[2_400:-2_400] * np.hanning(len(out) - 4_800)
    spectrum = np.abs(np.fft.rfft(middle, 1 << 18))
    assert np.argmax(spectrum) * RATE / (1 << 18) == pytest.approx(200 * 2 ** (semitones / 12), rel=0.01)


def test_what_nobody_hears_is_not_done() -> None:
    tempo = Tempo(1.004, 0.02)
    assert not tempo.changes
    assert np.array_equal(through(tempo, VOICE, []), VOICE)


# -- levels ---------------------------------------------------------------------------------------------------------


def test_loudness_hop_by_hop_is_loudness_of_the_whole() -> None:
    sound = voiced(3.0, RATE).astype(np.float64) / 32_768
    hops = np.split(sound, 30)
    before = [np.zeros(4_800), *hops[:-1]]
    energies = [weighted_energy(a, b) for a, b in zip(before, hops, strict=True)]
    assert loudness(energies) == pytest.approx(integrated(sound), abs=0.01)


@pytest.mark.parametrize("error", [-6.0, -2.0, 2.0, 6.0])
def test_a_wrong_memory_is_put_right_smoothly(error: float) -> None:
    sound = voiced(6.0, RATE).astype(np.float64) / 32_768
    out = through(Leveller(-20, Level(integrated(sound) + error)), sound, [])
    assert integrated(out[-96_000:]) == pytest.approx(-20, abs=0.3 * abs(error) + 0.2)
    heard = np.abs(sound) > 0.01
    gain_db = 20 * np.log10(out[heard] / sound[heard])
    assert np.abs(np.diff(gain_db)).max() < 0.01


def test_levels_are_means_of_what_was_heard_and_bounded() -> None:
    levels = Levels()
    assert levels.of("a") is None
    levels.learn("a", Level(-20.0, 1.0), 2.0)
    levels.learn("a", Level(-26.0, 0.0), 1.0)
    levels.learn("a", Level(-60.0), 0.2)
    levels.learn("a", Level(float("-inf")), 3.0)
    known = levels.of("a")
    assert known is not None
    assert (known.lufs, known.loss) == (pytest.approx(-22.0), pytest.approx(2 / 3))
    for number in range(VOICES_KEPT):
        levels.learn(f"b{number}", Level(-20.0), 1.0)
    assert levels.of("a") is None


# -- plausibility ---------------------------------------------------------------------------------------------------

TWELVE = "今天天气很好我们出去走走"


@pytest.mark.parametrize(
    ("text", "seconds", "fault"),
    [
        (TWELVE, 0.9, "too short"),
        (TWELVE, 1.1, None),
        (TWELVE, 8.9, None),
        (TWELVE, 9.1, "too long"),
        ("好。", 0.1, None),
        ("好。", 3.5, None),
        ("好。", 4.0, "too long"),
        ("<speak>" + TWELVE + "<break time='9s'/></speak>", 9.1, "too long"),
        ("What a wonderful day it is, let us go out", 3.0, None),
        (TWELVE, 0.0, "silence"),
    ],
)
def test_length_is_held_against_the_text(text: str, seconds: float, fault: str | None) -> None:
    check = Plausibility(text)
    check.raw(np.ones(480, dtype=np.int16), 48_000)
    found = check.whole(seconds)
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)
    if fault != "too long":
        assert check.so_far(seconds) is None


def test_a_voice_that_was_told_to_hurry_may_be_short() -> None:
    hurried = Plausibility(TWELVE, speed=2.0)
    hurried.raw(np.ones(480, dtype=np.int16), 48_000)
    assert hurried.whole(0.6) is None


@given(cuts=st.lists(st.integers(0, 9_600), max_size=6), share=st.sampled_from([0.0, 0.01, 0.04, 0.2]))
@settings(max_examples=30, deadline=None)
def test_clipping_is_counted_alike_for_any_chunking(cuts: list[int], share: float) -> None:
    pcm = np.full(9_600, 1_000, dtype=np.int16)
    for start in range(0, 9_600, 400):
        pcm[start : start + round(400 * share)] = 32_767
    check = Plausibility("好")
    edges = [0, *sorted(cuts), 9_600]
    soon = [check.raw(pcm[a:b], 9_600) for a, b in pairwise(edges)]
    assert ("clipped" in str(check.whole(1.0))) == (share > 0.02)
    assert any(soon) == (share > 0.1)


def test_single_samples_at_full_scale_are_no_clipping() -> None:
    check = Plausibility("好")
    pcm = np.full(9_600, 1_000, dtype=np.int16)
    pcm[::20] = 32_767
    check.raw(pcm, 9_600)
    assert check.whole(1.0) is None


# -- pauses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("好。\n", SENTENCE_PAUSE_MS),
        ("好\n", SENTENCE_PAUSE_MS),
        ("好。\n\n", PARAGRAPH_PAUSE_MS),
        ("好。 \r\n \r\n", PARAGRAPH_PAUSE_MS),
        ("嗯……", ELLIPSIS_PAUSE_MS),
        ("嗯……\n", ELLIPSIS_PAUSE_MS),
        ("well...", ELLIPSIS_PAUSE_MS),
        ("嗯。。。”", ELLIPSIS_PAUSE_MS),
        ("那么——", 220),
        ("\n", SENTENCE_PAUSE_MS),
        ("", 0),
    ],
)
def test_ellipses_dashes_and_paragraphs_have_pauses_of_their_own(text: str, expected: int) -> None:
    assert pause_ms(text) == expected
