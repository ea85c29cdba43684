"""The resampler: exact length, exact bits for any chunking, flat pass band, no images, no delay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.dsp.resample import Polyphase, Resampler, doubled, mono, resampled

pytestmark = pytest.mark.unit


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)


RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 23_999]


@given(
    rate=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 700), max_size=12),
    length=st.integers(0, 700),
    channels=st.sampled_from([1, 2]),
)
@settings(max_examples=80, deadline=None)
def test_any_chunking_gives_the_same_bits(rate: int, cuts: list[int], length: int, channels: int) -> None:
    samples = mono(noise(length * channels), channels)
    whole = Resampler(rate)
    expected = np.concatenate([whole.push(samples), whole.finish()])
    stream = Resampler(rate)
    edges = [0, *sorted(min(c, length) for c in cuts), length]
    parts = [stream.push(samples[a:b]) for a, b in pairwise(edges)]
    joined = np.concatenate([*parts, stream.finish()])
    assert len(joined) == -(-length * 48_000 // rate)
    assert np.array_equal(joined, expected)


@pytest.mark.parametrize("rate", [7_999, 48_001, 0, -1, 96_000])
def test_other_rates_are_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="samples per second"):
        Resampler(rate)


def test_two_channels_become_their_mean() -> None:
    assert mono(np.array([100, 201, -32768, -32768, 32767, -32767], dtype=np.int16), 2).tolist() == [150.5, -32768, 0]


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_of_any_rate_keeps_frequency_level_and_place(rate: int) -> None:
    place = np.arange(rate) / rate
    output = resampled(np.rint(20_000 * np.sin(2 * np.pi * 440 * place)).astype(np.int16), rate)
    expected = 20_000 * np.sin(2 * np.pi * 440 * np.arange(len(output)) / 48_000)
    assert len(output) == 48_000
    assert np.abs(output - expected)[500:-500].max() < 12


@pytest.mark.parametrize("rate", RATES)
def test_a_constant_stays_what_it_is(rate: int) -> None:
    output = resampled(np.full(rate // 10, 12_345, dtype=np.int16), rate)
    assert (output[400:-400] == 12_345).all()


@given(up=st.integers(1, 200), down=st.integers(1, 200), length=st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_any_ratio_gives_its_share_of_samples(up: int, down: int, length: int) -> None:
    stream = Polyphase(up, down)
    made = len(stream.push(noise(length).astype(np.float64))) + len(stream.finish())
    assert made == -(-length * up // down)


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
