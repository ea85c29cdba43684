"""What finishing raw sound costs, stage by stage and as a whole: CPU per second of sound. `python -m bench.sound`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.run_tables import Row, table
from broadcaster.speech.dsp.finishing import Finisher
from broadcaster.speech.dsp.levelling import Level, Leveller
from broadcaster.speech.dsp.loudness import Limiter
from broadcaster.speech.dsp.repair import DcBlocker, Repairer
from broadcaster.speech.dsp.resample import Resampler
from broadcaster.speech.dsp.tempo import Tempo
from broadcaster.speech.dsp.trim import Trimmer

RATE = 24_000
SECONDS = 5
TEXT = "今天我们来聊一聊人工智能的最新进展和用处"


def speech_like() -> NDArray[np.int16]:
    """Harmonics under a syllable envelope, loud enough that the limiter has work."""
    dice = np.random.default_rng(0)
    moment = np.arange(RATE * SECONDS) / RATE
    sound = sum(np.sin(2 * np.pi * 180 * h * moment + dice.uniform(0, 6)) / h for h in range(1, 50))
    sound = sound * (0.1 + np.abs(np.sin(2 * np.pi * 2 * moment)))
    return np.asarray(np.rint(9_000 * sound / np.abs(sound).max()), dtype=np.int16)


def _stage(make: Callable[[], Any], rate: int, scale: float, repeats: int) -> float:
    """Seconds of CPU per second of sound, pushed 20 ms at a time; the best of several runs."""
    pcm = speech_like().astype(np.float64) * scale
    sound = np.tile(pcm, rate // RATE)
    best = float("inf")
    for _ in range(repeats):
        stage = make()
        begun = time.process_time()
        for start in range(0, len(sound), rate // 50):
            stage.push(sound[start : start + rate // 50])
        best = min(best, time.process_time() - begun)
    return best / SECONDS


def _whole(repeats: int, tempo: Callable[[], Tempo] = Tempo) -> float:
    data = speech_like().astype("<i2").tobytes()
    best = float("inf")
    for _ in range(repeats):
        finisher = Finisher(TEXT, target_lufs=-16.0, known=Level(-28.0), tempo=tempo())
        begun = time.process_time()
        for start in range(0, len(data), RATE // 5):
            finisher.push(data[start : start + RATE // 5], RATE, 1)
        finisher.finish()
        best = min(best, time.process_time() - begun)
    return best / SECONDS


def run(*, quick: bool) -> list[Row]:
    repeats = 2 if quick else 7
    stages: dict[str, tuple[Callable[[], Any], int, float]] = {
        "clicks": (lambda: Repairer(RATE), RATE, 1.0),
        "DC": (lambda: DcBlocker(RATE), RATE, 1.0),
        "24 -> 48 kHz": (lambda: Resampler(RATE), RATE, 1.0),
        "trim": (Trimmer, 48_000, 1 / 32_768),
        "tempo 1.2, 2 semitones": (lambda: Tempo(1.2, 2.0), 48_000, 1 / 32_768),
        "level": (lambda: Leveller(-16.0, Level(-28.0)), 48_000, 1 / 32_768),
        "true peak": (Limiter, 48_000, 4 / 32_768),
    }
    rows = [
        Row(name, 1000 * _stage(make, rate, scale, repeats), "ms", note="per second of sound")
        for name, (make, rate, scale) in stages.items()
    ]
    rows.append(Row("all, tempo unchanged", 1000 * _whole(repeats), "ms", note="per second of sound"))
    rows.append(Row("all, tempo 1.2, 2 semitones", 1000 * _whole(repeats, lambda: Tempo(1.2, 2.0)), "ms"))
    table("Finishing raw sound", rows)
    return rows


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
