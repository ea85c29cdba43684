"""Loudness against an independent meter; the limiter's ceiling; fades."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.dsp.loudness import CEILING, faded, integrated, levelled, limited

pytestmark = pytest.mark.unit


def voice_like(seconds: float, seed: int, level: float = 0.1, crest: float = 1.0) -> np.ndarray:
    """Harmonics of a pitch under a syllable envelope, with a few peaks that stick out by `crest`."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 48_000)) / 48_000
    pitch = rng.uniform(90, 260)
    sound = sum(np.sin(2 * np.pi * pitch * h * time + rng.uniform(0, 6)) / h for h in range(1, 30))
    sound = sound * (0.15 + np.abs(np.sin(2 * np.pi * rng.uniform(1.5, 3) * time)))
    sound[rng.integers(0, len(sound), 5)] *= crest
    return level * sound / np.abs(sound).max()


@pytest.mark.parametrize("seed", range(6))
def test_the_measurement_agrees_with_an_independent_meter(seed: int) -> None:
    sound = voice_like(0.5 + 0.7 * seed, seed)
    sound[: len(sound) // 4] *= 0.01  # so that the relative gate has something to do
    assert integrated(sound) == pytest.approx(pyloudnorm.Meter(48_000).integrated_loudness(sound), abs=0.1)


@pytest.mark.parametrize("target", [-24.0, -16.0, -12.0])
@pytest.mark.parametrize("level", [0.02, 0.3, 0.95])
def test_a_piece_comes_out_at_the_target_whatever_it_was(target: float, level: float) -> None:
    pcm = np.rint(voice_like(2.0, 3, level) * 32767).astype(np.int16)
    measured = pyloudnorm.Meter(48_000).integrated_loudness(levelled(pcm, target) / 32768.0)
    assert measured == pytest.approx(target, abs=0.5)


@given(seconds=st.floats(0.0, 0.6), seed=st.integers(0, 99), crest=st.floats(1, 30))
@settings(max_examples=40, deadline=None)
def test_nothing_is_over_the_ceiling_nor_has_dc(seconds: float, seed: int, crest: float) -> None:
    if seconds * 48_000 < 1:
        pcm = np.zeros(0, dtype=np.int16)
    else:
        pcm = np.rint(voice_like(seconds, seed, 0.5, crest) * 20_000 + 900).astype(np.int16)
    output = levelled(pcm, -16.0).astype(np.float64)
    assert len(output) == len(pcm)
    assert np.abs(output).max(initial=0) <= CEILING * 32767 + 1
    if len(output) > 14_400:  # in less, the mean of the noise itself is not nothing
        assert abs(output.mean()) < 60


def test_the_limiter_leaves_quiet_sound_alone_and_lowers_the_rest_smoothly() -> None:
    quiet = voice_like(1.0, 1, 0.8)
    assert limited(quiet) is quiet
    loud = quiet.copy()
    loud[24_000] = 3.0
    gain = np.divide(limited(loud), loud, out=np.ones_like(loud), where=np.abs(loud) > 1e-3)
    assert np.abs(np.diff(gain[np.abs(loud) > 1e-3])).max() < 0.02
    assert np.allclose(limited(loud)[:23_000], loud[:23_000], rtol=1e-12)


def test_silence_stays_silence() -> None:
    assert not levelled(np.zeros(48_000, dtype=np.int16), -16.0).any()


@pytest.mark.parametrize("length", [0, 1, 2, 100, 10_000])
def test_fades_begin_and_end_near_nothing_and_keep_the_middle(length: int) -> None:
    pcm = np.full(length, 20_000, dtype=np.int16)
    output = faded(pcm, 240)
    assert len(output) == length
    if length > 480:
        assert abs(int(output[0])) < 20
        assert abs(int(output[-1])) < 20
        assert np.array_equal(output[240:-240], pcm[240:-240])
