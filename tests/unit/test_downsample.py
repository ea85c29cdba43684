"""48 to 16 kHz: what is let through, and that it does not matter how the sound comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.head.downsample import FACTOR, LOW_RATE, REACH, downsampled, settled
from broadcaster.types import SAMPLE_RATE

pytestmark = pytest.mark.unit


def tone(hertz: float, seconds: float = 0.25) -> np.ndarray:
    at = np.arange(int(seconds * SAMPLE_RATE))
    return np.rint(20_000 * np.sin(2 * np.pi * hertz * at / SAMPLE_RATE)).astype(np.int16)


def middle(hertz: float) -> np.ndarray:
    """The result without its ends, where the tone begins and stops."""
    pcm = tone(hertz)
    return downsampled(pcm, 0, len(pcm) // FACTOR)[200:-200]


@pytest.mark.parametrize("hertz", [60, 440, 3000, 7100])
def test_speech_is_let_through_in_time_and_at_its_height(hertz: float) -> None:
    low = middle(hertz)
    at = np.arange(200, 200 + len(low))
    expected = 20_000 / 32768 * np.sin(2 * np.pi * hertz * at / LOW_RATE)
    assert np.abs(low - expected).max() < 2e-4


@pytest.mark.parametrize("hertz", [8100, 11_000, 15_000, 23_000])
def test_what_would_fold_back_is_gone(hertz: float) -> None:
    assert np.abs(middle(hertz)).max() < 20_000 / 32768 * 10 ** (-75 / 20)


@given(known=st.integers(0, 3000), more=st.integers(0, 1000), seed=st.integers(0, 99))
def test_what_is_settled_stays(known: int, more: int, seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-32768, 32768, known + more, dtype=np.int16)
    last = settled(known)
    assert np.array_equal(downsampled(pcm[:known], 0, last), downsampled(pcm, 0, last))
    assert last * FACTOR >= known - REACH - FACTOR or last == 0


def test_a_stretch_is_a_stretch_of_the_whole() -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32768, 6000, dtype=np.int16)
    whole = downsampled(pcm, 0, 2000)
    assert np.array_equal(downsampled(pcm[900:], 400, 2000, start=900), whole[400:])
