"""What the sound encoder sees for a face depends on the sound around it, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.head.musetalk import mel
from broadcaster.head.musetalk.faces import AHEAD, BEHIND, STEP
from broadcaster.head.musetalk.window import KEPT_S, LOOK_AHEAD, POSITIONS, WINDOW, Heard, SoundWindow, Window
from broadcaster.types import SAMPLE_RATE

pytestmark = pytest.mark.unit

SECONDS = 6


def speech(seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    dice = np.random.default_rng(seed)
    at = np.arange(int(seconds * SAMPLE_RATE))
    return (dice.normal(size=len(at)) * 4000 * np.abs(np.sin(at / 9000))).astype(np.int16)


PCM = speech()


def window_over(pcm: np.ndarray, window: Window = WINDOW) -> SoundWindow:
    made = SoundWindow(window)
    made.hear(pcm.tobytes())
    return made


def same(one: Heard, other: Heard) -> bool:
    return (one.position, one.rows) == (other.position, other.rows) and np.array_equal(one.mel, other.mel)


WHOLE = window_over(PCM)


@settings(max_examples=6, deadline=None)
@given(
    pieces=st.lists(st.integers(1, 60_000), min_size=1, max_size=12),
    back=st.integers(0, SECONDS * SAMPLE_RATE),
    steps=st.lists(st.integers(-8, 50 * SECONDS + 8), min_size=1, max_size=3),
)
def test_pieces_and_rewinds_do_not_matter(pieces: list[int], back: int, steps: list[int]) -> None:
    made, at = SoundWindow(), 0
    for size in pieces:
        made.hear(PCM[at : at + size].tobytes())
        at = min(len(PCM), at + size)
    made.rewind(back)
    at = min(at, back)
    assert made.samples == at
    made.hear(PCM[at:].tobytes())
    assert all(same(made.heard(step), WHOLE.heard(step)) for step in steps)


TONE = (30_000 * np.sin(2 * np.pi * 440 / SAMPLE_RATE * np.arange(SAMPLE_RATE))).astype(np.int16)
"""Louder than a window takes sound to be at least: how deep silence is depends on it."""
OTHER = np.concatenate([PCM[: 3 * SAMPLE_RATE], PCM[::-1][: 2 * SAMPLE_RATE]])


def test_what_was_rewound_leaves_no_trace() -> None:
    """Not in the frames, nor in how loud it was."""
    start, cut = PCM[: 3 * SAMPLE_RATE], 3 * SAMPLE_RATE
    made = window_over(np.concatenate([start, TONE]))
    made.rewind(cut)
    assert same(made.heard(148), window_over(start).heard(148))
    made.hear(OTHER[cut:].tobytes())
    other = window_over(OTHER)
    assert all(same(made.heard(step), other.heard(step)) for step in (100, 148, 160, 246))


def test_what_comes_later_however_loud_changes_nothing() -> None:
    made = window_over(np.concatenate([PCM[: 4 * SAMPLE_RATE], TONE]))
    assert same(made.heard(150), WHOLE.heard(150))
    assert made.heard(240).mel.min() > WHOLE.heard(240).mel.min() + 0.1


def test_the_last_sound_is_as_loud_as_it_is() -> None:
    """Before its frames are settled, too."""
    burst = np.concatenate([PCM[: 2 * SAMPLE_RATE], TONE[:600]])
    followed = np.concatenate([burst, np.zeros(SAMPLE_RATE, np.int16)])
    assert np.array_equal(window_over(burst).heard(100).mel, window_over(followed).heard(100).mel)
    assert window_over(burst).heard(100).mel.min() > WHOLE.heard(100).mel.min() + 0.01


def test_a_step_that_is_not_whole_is_not_there() -> None:
    made = window_over(PCM[: 20 * STEP + STEP // 2])
    there = [row != WINDOW.steps for row in made.heard(19).rows]
    assert there == [19 - BEHIND + at < 20 for at in range(BEHIND + AHEAD)]


@pytest.mark.parametrize("step", [0, 7, 120, 250])
def test_a_face_looks_ahead_so_far_and_no_further(step: int) -> None:
    known = step * STEP + LOOK_AHEAD
    enough = window_over(PCM[:known]).heard(step)
    assert same(enough, WHOLE.heard(step))
    assert LOOK_AHEAD <= 0.137 * SAMPLE_RATE
    nearly = PCM.copy()
    nearly[known:] = 0
    nearly[known - 200 : known] = 30_000
    assert not same(window_over(nearly).heard(step), WHOLE.heard(step))


def test_sound_that_is_not_there_is_silence() -> None:
    short = window_over(PCM[: 2 * SAMPLE_RATE]).heard(97)
    padded = PCM.copy()
    padded[2 * SAMPLE_RATE :] = 0
    longer = window_over(padded).heard(97)
    assert np.array_equal(short.mel, longer.mel)
    assert [row == WINDOW.steps for row in short.rows] == [97 - BEHIND + at >= 100 for at in range(BEHIND + AHEAD)]


def test_before_the_utterance_and_behind_it_there_are_no_steps() -> None:
    none = (WINDOW.steps,) * (BEHIND + AHEAD)
    for step in (-60, -AHEAD, 50 * SECONDS + BEHIND, 50 * SECONDS + 900):
        assert WHOLE.heard(step).rows == none
    assert WHOLE.heard(-2).rows == (WINDOW.steps,) * 6 + (0, 1, 2, 3)
    assert SoundWindow().heard(0).rows == none


def test_the_window_slides_and_keeps_the_positions_of_the_clip() -> None:
    real = WINDOW.steps - WINDOW.pad
    assert WHOLE.heard(0).position == WHOLE.heard(real - AHEAD).position == 0
    for step in (real - AHEAD + 1, 250):
        heard = WHOLE.heard(step)
        assert heard.position == step + AHEAD - real
        assert heard.rows == tuple(range(real - AHEAD - BEHIND, real))
    late = window_over(speech(35)).heard(1700)
    assert late.position == POSITIONS - WINDOW.steps


def test_the_end_of_the_window_is_silent() -> None:
    heard = WHOLE.heard(200)
    silent = heard.mel[:, -2 * WINDOW.pad + 1 :]
    assert np.all(silent == heard.mel.min())
    assert heard.mel.shape == (mel.BANDS, 2 * WINDOW.steps)
    assert heard.mel.dtype == np.float32


def test_an_endless_utterance_is_kept_for_so_long() -> None:
    pcm = speech(2 * KEPT_S + 5)
    made = window_over(pcm)
    assert made.samples == len(pcm)
    step = len(pcm) // STEP - AHEAD - 1
    last = window_over(pcm[-(KEPT_S - 1) * SAMPLE_RATE :])
    assert np.allclose(made.heard(step).mel, last.heard(step - (2 * KEPT_S + 5 - KEPT_S + 1) * 50).mel, atol=0.05)
    made.begin()
    made.hear(PCM.tobytes())
    assert same(made.heard(99), WHOLE.heard(99))


def test_silence_before_the_first_word_is_as_deep_as_it_will_be() -> None:
    pcm = np.concatenate([np.zeros(SAMPLE_RATE, np.int16), (PCM * 1.5).astype(np.int16)])
    made = window_over(pcm)
    assert made.heard(10).mel.min() == pytest.approx(made.heard(290).mel.min(), abs=0.3)
