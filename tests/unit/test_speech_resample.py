"""The resampler: exact length, exact bits for any chunking, flat pass band, no images, no delay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.resample import Doubler, doubled

pytestmark = pytest.mark.unit


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)


@given(cuts=st.lists(st.integers(0, 700), max_size=12), length=st.integers(0, 700))
@settings(max_examples=60, deadline=None)
def test_any_chunking_gives_the_same_bits(cuts: list[int], length: int) -> None:
    samples = noise(length)
    doubler = Doubler()
    edges = [0, *sorted(min(c, length) for c in cuts), length]
    parts = [doubler.push(samples[a:b]) for a, b in pairwise(edges)]
    joined = np.concatenate([*parts, doubler.finish()])
    assert len(joined) == 2 * length
    assert np.array_equal(joined, doubled(samples))


def test_the_input_is_in_the_output_without_delay() -> None:
    samples = noise(5000)
    assert np.array_equal(doubled(samples)[0::2], samples)


def spectrum_db(output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    window = np.blackman(len(output))
    level = np.abs(np.fft.rfft(output * window)) / window.sum() * 2
    return np.fft.rfftfreq(len(output), 1 / 48000), 20 * np.log10(level + 1e-9)


@pytest.mark.parametrize("hertz", [50, 1000, 5000, 8000, 10_000, 10_500])
def test_a_tone_keeps_its_level_and_has_no_image(hertz: int) -> None:
    time = np.arange(24_000) / 24_000
    output = doubled(np.rint(20_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16))[12_000:36_000]
    frequencies, level = spectrum_db(output.astype(np.float64))
    tone = level[np.abs(frequencies - hertz) < 20].max()
    image = level[np.abs(frequencies - (24_000 - hertz)) < 50].max()
    assert abs(tone - 20 * np.log10(20_000)) < 0.1
    assert image < tone - 60


def test_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(2000) // 12 % 2 == 0, 32767, -32768).astype(np.int16)
    between = doubled(square)[1::2][:-1]
    level = square[:-1] == square[1:]  # in-between samples of a flat stretch: ringing goes over the top there
    assert (np.abs(between[level].astype(int)) > 25_000).all()
    assert (np.sign(between[level]) == np.sign(square[:-1][level])).all()
