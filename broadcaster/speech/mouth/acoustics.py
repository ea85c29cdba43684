"""What is heard in each 10 ms of speech: log energies of 16 bands, and how well they fit each class of phones. Pure.

Everything is taken relative to the sound itself (its loudest frames, its own average spectrum), so that a voice, a
level or a microphone that the model has never met fits it as well. The model is a net of 3,400 numbers; how it was
made is in `bench/fit_mouth.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import SAMPLE_RATE, PcmArray

Floats = NDArray[np.float64]

FRAME: Final = SAMPLE_RATE // 100
"""Samples per frame: 10 ms. Frame n stands for samples n*FRAME to (n+1)*FRAME."""

BANDS: Final = 16
CONTEXT: Final = (-5, -2, 0, 2, 5)
"""A frame is judged together with these neighbours, 50 ms to both sides: a burst or a glide is a change."""

AHEAD: Final = max(CONTEXT)

ANY: Final = "*"
"""Among the lengths of a `SoundModel`: of a symbol that has none of its own."""

_WINDOW: Final = SAMPLE_RATE // 40
_REACH: Final = (_WINDOW + FRAME) // 2
"""Samples from a frame's first to the end of its window."""

_LOW_HZ: Final = 80.0
_HIGH_HZ: Final = 7600.0
"""Engines of 16 kHz have nothing above 8 kHz."""

_FLOOR: Final = 1e-4
"""Band energy below this share of the loud frames' energy is noise or nothing."""

_SPEECH: Final = 10**-2.5
"""Frames within 25 dB of the loud ones are speech and make the average spectrum."""

_WORST: Final = -8.0

_PRIOR_FRAMES: Final = 60.0
"""The model's own average spectrum counts as much as so many frames of the sound."""


_BLOCK: Final = 32
"""Frames transformed at a time: what fits into a core's cache takes a third of the time."""


def _bank() -> Floats:
    """Triangles on the mel scale: shape (bins of the window's spectrum, BANDS)."""
    mel = 2595 * np.log10(1 + np.array([_LOW_HZ, _HIGH_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(mel[0], mel[1], BANDS + 2) / 2595) - 1)
    at = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)[:, np.newaxis]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles: Floats = np.clip(np.minimum((at - low) / (middle - low), (high - at) / (high - middle)), 0, None)
    return triangles


_BANK: Final = _bank()
_TAPER: Final = np.hanning(_WINDOW)


@dataclass(frozen=True, slots=True)
class SoundModel:
    """How classes of phones sound and how long phones last.

    `classes` maps a phone symbol to its class; "" (silence) is class 0. `spectrum` (BANDS,) is the average of log
    bands under the loud frames. `hidden` (features, units) and `output` (units, classes) with their biases are a net
    of one hidden layer whose output is a log likelihood per class, up to a constant per frame. `lengths` maps a
    symbol to mean and deviation of the logarithm of its length in frames; `final` is how many times longer a phone
    gets before a pause.
    """

    classes: dict[str, int]
    spectrum: Floats
    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: Floats
    lengths: dict[str, tuple[float, float]]
    final: float

    def scores(self, features: Floats) -> Floats:
        """Log likelihoods (frames, classes) against the best class of each frame, never worse than `_WORST`.

        The bound keeps one sound that the text does not have from bending everything around it.
        """
        units = np.maximum(features @ self.hidden + self.hidden_bias, 0.0)
        found: Floats = units @ self.output + self.output_bias
        bounded: Floats = np.maximum(found - found.max(axis=1, keepdims=True), _WORST)
        return bounded


@cache
def sound_model() -> SoundModel:
    """The shipped model, read once per process (2 ms)."""
    text = resources.files("broadcaster.speech").joinpath("assets", "mouth.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    groups: list[str] = data["classes"]
    hidden, output = np.array(data["hidden"]), np.array(data["output"])
    return SoundModel(
        classes={symbol: n for n, group in enumerate(groups) for symbol in group} | {"": 0},
        spectrum=np.array(data["spectrum"]),
        hidden=hidden[:, :-1].T.copy(),
        hidden_bias=hidden[:, -1],
        output=output[:, :-1].T.copy(),
        output_bias=output[:, -1],
        lengths={symbol: (mean, deviation) for symbol, (mean, deviation) in data["lengths"].items()},
        final=float(data["final"]),
    )


class Listener:
    """Frames of one growing sound. Not thread-safe."""

    def __init__(self, spectrum: Floats) -> None:
        self._spectrum = spectrum
        self._rest = np.zeros(_REACH - FRAME, dtype=np.float64)
        self._power = np.zeros((0, BANDS))
        self.samples = 0
        self.whole = 0
        """Frames whose window is complete."""

    @property
    def frames(self) -> int:
        """Frames that the sound has begun."""
        return -(-self.samples // FRAME)

    @property
    def settled(self) -> int:
        """Frames whose features will not change any more, but for the normalisation."""
        return max(0, self.whole - AHEAD)

    def push(self, pcm: PcmArray, *, last: bool = False) -> None:
        self.samples += len(pcm)
        line = np.concatenate([self._rest, pcm.astype(np.float64) / 32768.0])
        if last:
            line = np.concatenate([line, np.zeros(_WINDOW)])
        count = (len(line) - _WINDOW) // FRAME + 1 if len(line) >= _WINDOW else 0
        if last:
            count = self.frames - self.whole
        if count > 0:
            pieces = np.lib.stride_tricks.sliding_window_view(line, _WINDOW)[: count * FRAME : FRAME]
            blocks = [pieces[n : n + _BLOCK] for n in range(0, count, _BLOCK)]
            powers = [(np.abs(np.fft.rfft(block * _TAPER)) ** 2) @ _BANK for block in blocks]
            self._power = np.concatenate([self._power, *powers])
            self.whole += count
        self._rest = line[max(0, count) * FRAME :]

    def levels(self, first: int) -> Floats:
        """Log energy of the frames from `first` on, below the sound's loud frames: 0 is loud, -9 is silence."""
        total = self._power.sum(axis=1)
        return self._to_end(np.log(total[first:] / self._loud(total) + _FLOOR), first)

    def features(self, first: int) -> Floats:
        """Normalised bands with their context for the frames from `first` on: (frames, BANDS * len(CONTEXT))."""
        if self.whole == 0:
            return np.zeros((self.frames - first, BANDS * len(CONTEXT)))
        total = self._power.sum(axis=1)
        loud = self._loud(total)
        bands = np.log(self._power / loud + _FLOOR)
        spoken = bands[total > loud * _SPEECH]
        mean = (spoken.sum(axis=0) + _PRIOR_FRAMES * self._spectrum) / (len(spoken) + _PRIOR_FRAMES)
        at = np.arange(first, self.frames)[:, np.newaxis] + np.array(CONTEXT)
        rows: Floats = (bands - mean)[np.clip(at, 0, self.whole - 1)]
        return rows.reshape(len(at), -1)

    def spoken(self) -> int:
        """Frames that are loud enough to be speech."""
        total = self._power.sum(axis=1)
        return int(np.count_nonzero(total > self._loud(total) * _SPEECH))

    def average(self) -> Floats:
        """Average spectrum of the speech alone (for the fit)."""
        total = self._power.sum(axis=1)
        loud = self._loud(total)
        spectrum: Floats = np.log(self._power[total > loud * _SPEECH] / loud + _FLOOR).mean(axis=0)
        return spectrum

    def _loud(self, total: Floats) -> float:
        return max(1e-12, float(np.percentile(total, 95))) if len(total) else 1e-12

    def _to_end(self, known: Floats, first: int) -> Floats:
        missing = self.frames - first - len(known)
        return np.concatenate([known, np.full(missing, known[-1] if len(known) else np.log(_FLOOR))])
