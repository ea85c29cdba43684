"""How far the sound features of a stream are from upstream's, which hear the whole clip first, by the window's shape.

With the weights of whisper-base where they are installed (they are for the tests), else with random ones, whose
figures mean nothing. Per window: RMS difference of the encoder's states in units of how much these vary over the
clip, the mean over states (0: upstream's features, 1: those of any other moment), and the time of one window.
Needs torch: `.venv-face/bin/python -m bench --only whisper_window`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.latency_prompts import PROMPTS
from bench.run_tables import Row, table
from broadcaster.head.downsample import FACTOR, downsampled
from broadcaster.head.musetalk.window import POSITIONS, WINDOW, Window

WINDOWS: Final = {
    "as it is": WINDOW,
    "30 s": Window(POSITIONS),
    "30 s, 1 s ahead": Window(POSITIONS, ahead=50),
    "8 s": Window(400),
    "2 s": Window(100),
    "100 ms more ahead": Window(ahead=5),
    "200 ms more ahead": Window(ahead=10),
    "no silence at its end": Window(pad=1),
    "8 s, no silence": Window(400, pad=1),
    "1 s of silence": Window(pad=50),
}
CLIP_S: Final = 28
"""Within one segment of upstream's."""

EVERY: Final = {False: 13, True: 97}
"""Pictures from one that is looked at to the next."""


def run(*, quick: bool = False) -> list[Row]:
    if find_spec("torch") is None:
        print("\nwhisper_window needs torch: .venv-face/bin/python -m bench --only whisper_window")
        return []
    import torch

    from bench.whisper_weights import real_encoder
    from broadcaster.head.musetalk import features, networks

    torch.set_num_threads(1)
    encoder = real_encoder()
    title = "whisper-base's weights"
    if encoder is None:
        encoder, title = networks.tiny(encoder=False).sound, "RANDOM weights: these figures mean nothing"
    pcm = speech()
    reference = features.clip_states(encoder, downsampled(pcm, 0, len(pcm) // FACTOR))
    last = len(reference) // 2 - 10
    rows = []
    for name, window in WINDOWS.items():
        if quick and window.steps == POSITIONS:
            continue
        frames = range(2, last, EVERY[quick] * (8 if window.steps == POSITIONS else 1))
        began = time.perf_counter()
        found = deviation(encoder, window, pcm, reference, frames)
        ms = 1000 * (time.perf_counter() - began) / len(frames)
        states = " ".join(f"{value:.2f}" for value in found)
        rows.append(Row(name, statistics.fmean(found), "", None, f"{ms:.0f} ms; per state {states}"))
    table(f"Sound window beside the whole clip, {title}", rows)
    return rows


def speech() -> NDArray[np.int16]:
    """What the embedded voice says, Chinese and English, with pauses."""
    from broadcaster.config import VoiceConfig
    from broadcaster.speech.engines import create
    from broadcaster.speech.g2p import contains_han

    config = VoiceConfig()
    with tempfile.TemporaryDirectory() as cache:
        engine = create(config, Path(cache))
        engine.load()
        parts: list[NDArray[np.int16]] = []
        for text in PROMPTS:
            language = "zh" if contains_han(text) else "en"
            voice = config.zh if language == "zh" else config.en
            parts += [engine.synthesise(text, language, voice, 1.0, lambda: False).pcm, np.zeros(12_000, np.int16)]
            if sum(map(len, parts)) > CLIP_S * 48_000:
                break
    return np.concatenate(parts)[: CLIP_S * 48_000]


def deviation(
    sound: Any, window: Window, pcm: NDArray[np.int16], reference: Any, frames: Iterable[int]
) -> list[float]:
    """Per state: RMS of (window - `reference`) over the ten steps of each picture, divided by the RMS of what the
    reference differs from its mean over time. `reference`: (steps, states, width), upstream's."""
    import torch

    from broadcaster.head.musetalk.features import states
    from broadcaster.head.musetalk.window import SoundWindow

    streamed = SoundWindow(window)
    streamed.hear(pcm.tobytes())
    varies = (reference - reference.mean(dim=0)).square().mean(dim=(0, 2)).sqrt()
    squares = []
    for frame in frames:
        step = 2 * frame
        heard = streamed.heard(step)
        with torch.inference_mode():
            found = states(sound, torch.from_numpy(heard.mel)[None], torch.tensor([heard.position]))
        rows = list(heard.rows)
        ours = torch.stack([state[0, rows] for state in found], dim=1)
        squares.append((ours - reference[step - 4 : step + 6]).square().mean(dim=(0, 2)))
    return [float(value) for value in torch.stack(squares).mean(dim=0).sqrt() / varies]
