"""Recordings of nobody: sound with the level and the rhythm of speech, written as whatever file a person may have."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SENTENCE = "今天天气晴朗，适合出门走走。"
"""Twelve characters: 2.4 characters per second in the five seconds of `babble`."""


def babble(seconds: float = 5.0, rate: int = 24_000, level: float = 0.3) -> NDArray[np.int16]:
    """Four syllables a second of a buzzing 120 Hz tone; shape (samples,). `level`: peak of full scale."""
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * n * t) / n for n in range(1, 8)) / 2.0
    syllables = np.sin(np.pi * ((4 * t) % 1.0)) ** 2
    return np.asarray(np.rint(32767 * level * np.clip(buzz, -1, 1) * syllables), dtype=np.int16)


def write(
    path: Path, pcm: NDArray[np.int16], rate: int = 24_000, *, codec: str = "pcm_s16le", channels: int = 1
) -> Path:
    """Writes mono `pcm` to every channel of a file whose format follows from its name."""
    layout = {1: "mono", 2: "stereo"}[channels]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm, channels).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
        for made in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return path
