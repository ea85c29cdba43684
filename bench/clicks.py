"""Finds clicks at cuts of speech, and shows on the same recording that it would find them.

The embedded voice makes nothing above 12 kHz, and a sound that breaks off does: what counts is the level between 13
and 17 kHz around the cut, over the loudest of the second of speech before it. Steps from sample to sample say less:
an "s" just before a cut has larger ones than the second before, with or without a click.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE

CUT_MS: Final = 60.0
"""Before the first silent frame: the frame with the cut in it, the fade, and the codec's overlap."""
SPEECH_MS: Final = 1000.0
LOUDER: Final = 1.5
"""Speech that nobody cut stays under 1.1 (60 places); half of hard cuts are over 2."""

_FRAME: Final = 64
_HOP: Final = 16
_BAND_HZ: Final = (13_000, 17_000)
_AAC_FRAME: Final = 1024

Samples = NDArray[np.float32]


def _high_band(samples: Samples) -> NDArray[np.float64]:
    """Level between 13 and 17 kHz, one value for every 16 samples."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * np.hanning(_FRAME)
    first, last = (round(hz * _FRAME / SAMPLE_RATE) for hz in _BAND_HZ)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, first:last] ** 2
    return np.asarray(np.sqrt(power.sum(axis=1)))


def loudness_of_cut(samples: Samples, end: int) -> float | None:
    """High band of the last 60 ms before sample `end` over the second before; None where that is not there."""
    near = end - round(CUT_MS * SAMPLE_RATE / 1000)
    far = near - round(SPEECH_MS * SAMPLE_RATE / 1000)
    if far < 0 or end > len(samples):
        return None
    band = _high_band(samples[far:end])
    split = (near - far) // _HOP
    return float(band[split:].max() / max(float(band[:split].max()), 1e-9))


def count_clicks(samples: Samples, ends: Sequence[int]) -> int:
    ratios = [loudness_of_cut(samples, end) for end in ends]
    return sum(ratio is not None and ratio > LOUDER for ratio in ratios)


def count_hard_cuts_found(samples: Samples, ends: Sequence[int]) -> int:
    """How many would be found, were the same speech broken off 100 ms earlier without a fade and encoded again."""
    found = 0
    for end in ends:
        at = end - SAMPLE_RATE // 10
        start = at - round((CUT_MS + SPEECH_MS) * SAMPLE_RATE / 1000)
        if start < 0:
            continue
        broken = samples[start : end + SAMPLE_RATE // 10].copy()
        broken[at - start :] = 0.0
        ratio = loudness_of_cut(_through_aac(broken), at - start + _AAC_FRAME + 480)
        found += ratio is not None and ratio > LOUDER
    return found


def _through_aac(samples: Samples) -> Samples:
    """The same sound after the station's codec, one frame (the encoder's delay) later."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        stream.bit_rate = 128_000
        for start in range(0, len(samples) - _AAC_FRAME + 1, _AAC_FRAME):
            part = np.ascontiguousarray(np.stack([samples[start : start + _AAC_FRAME]] * 2), dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]).astype(np.float32)
