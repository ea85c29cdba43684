"""The pipeline beside a plain reading of what upstream does, stage by stage; the greatest differences are printed.

Random weights, small networks of the real classes; bench/face_full.py does the same with networks of full size.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from broadcaster.head.musetalk import networks as nets
from broadcaster.head.musetalk.window import WINDOW, SoundWindow
from tests.face import plain
from tests.face.support.agreement import CLIP_S, FPS, Agreement, clip_window, speech

pytestmark = pytest.mark.unit

FRAMES = (0, 1, 31, FPS * CLIP_S - 2, FPS * CLIP_S - 1)


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    torch.set_num_threads(1)
    return Agreement(nets.tiny(encoder=True))


def test_spectrum(agreement: Agreement) -> None:
    found = agreement.spectrum()
    print(f"log-mel spectrum, Transformers' and ours and the plain one: {found:.1e}")
    assert found <= 1e-4


def test_features(agreement: Agreement) -> None:
    found = agreement.features(FRAMES)
    print(f"sound features of {len(FRAMES)} pictures: {found:.1e}")
    assert found <= 1e-4


def test_latents(agreement: Agreement) -> None:
    found = agreement.latents()
    print(f"latents: {found:.1e}")
    assert found <= 1e-4


def test_the_unets_output(agreement: Agreement) -> None:
    found = agreement.samples(FRAMES)
    print(f"UNet's output: {found:.1e}")
    assert found <= 1e-4


def test_decoded_patch(agreement: Agreement) -> None:
    found = agreement.pictures(FRAMES)
    print(f"decoded patch: {found} levels")
    assert found <= 1


def test_blended_frame(agreement: Agreement) -> None:
    found = agreement.frames(FRAMES)
    print(f"blended frame: {found} levels in Y, U and V")
    assert found <= 1


def test_transformers_names_the_normalised_state_last(agreement: Agreement) -> None:
    """Upstream stacks `hidden_states` as they are; what the last one is has been different between libraries."""
    encoder = agreement.networks.sound
    mel = torch.zeros(1, 80, 3000)
    with torch.no_grad():
        out = encoder(mel, output_hidden_states=True)
    assert len(out.hidden_states) == 5
    assert torch.equal(out.hidden_states[-1], out.last_hidden_state)


def test_the_sliding_windows_deviation_is_printed(agreement: Agreement) -> None:
    """With random weights the figures mean nothing; bench/whisper_window.py prints those of real ones."""
    deviations = agreement.deviation(WINDOW, range(8, FPS * CLIP_S - 8, 9))
    print("deviation of the sliding window per state, random weights:", [f"{value:.3f}" for value in deviations])
    assert len(deviations) == 5
    assert deviations[0] < 0.1


def test_a_window_over_the_whole_clip_is_the_whole_clip() -> None:
    sound = SoundWindow(clip_window())
    sound.hear(speech().tobytes())
    heard = sound.heard(20)
    assert heard.position == 0
    assert heard.rows == tuple(range(16, 26))
    assert plain.log_mel(np.zeros(10, np.float32)).shape == heard.mel.shape
