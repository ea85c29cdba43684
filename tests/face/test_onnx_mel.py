"""Wav2Lip's mel against an independent one: transformers' spectrogram of the whole clip, librosa's parameters."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from broadcaster.head.downsample import downsampled
from broadcaster.head.onnx.network import MelSound
from broadcaster.head.onnx.sound import MelFeature
from broadcaster.head.slaney import mel_bands
from broadcaster.head.track import Track
from tests.support.faces import voiced

pytestmark = pytest.mark.contract


def test_bands_are_librosas() -> None:
    theirs = mel_filter_bank(401, 80, 55.0, 7600.0, 16_000, norm="slaney", mel_scale="slaney").T
    worst = np.abs(mel_bands(80, 800, 16_000, 55.0, 7600.0) - theirs).max()
    print(f"mel bands: {worst:.1e}")
    assert worst < 1e-9


def test_pictures_hear_what_upstream_hears_of_the_whole_clip() -> None:
    pcm = voiced(96_000, seed=2)
    track = Track()
    track.add(pcm, [])
    track.end()
    wave = downsampled(np.frombuffer(pcm, "<i2"), 0, 32_000).astype(np.float64)
    sharpened = np.append(wave[:1], wave[1:] - 0.97 * wave[:-1])
    theirs = spectrogram(
        sharpened,
        window_function(800, "hann"),
        frame_length=800,
        hop_length=200,
        power=1.0,
        pad_mode="constant",
        mel_filters=mel_filter_bank(401, 80, 55.0, 7600.0, 16_000, norm="slaney", mel_scale="slaney"),
        mel_floor=1e-5,
    )
    scaled = np.clip(8 * (20 * np.log10(theirs) - 20 + 100) / 100 - 4, -4, 4)
    feature = MelFeature(MelSound(feature="mel", input="audio", shape=[1, 80, 16]))
    worst = 0.0
    for tick in range(2, 40):
        column = int(tick * 80 / 25)
        mine = feature.of(track, tick * 1920)[0]
        worst = max(worst, float(np.abs(mine - scaled[:, column : column + 16]).max()))
    print(f"mel of a picture: {worst:.1e} from transformers' of the whole clip, on -4..4")
    assert worst < 1e-4
