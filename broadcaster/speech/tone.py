"""The test voice: a vowel-like tone, one syllable per character, at once. Not speech, and never a fallback for it.

For tests, benches of the chain alone and machines without the model. Every third syllable begins with closed lips
(PP, silent), so that lips can be checked against it. Runs wherever it is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from broadcaster.config import VoiceConfig
from broadcaster.errors import VoiceError
from broadcaster.speech.dsp.loudness import faded, levelled
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Phone, Speech, Viseme

log = logging.getLogger(__name__)

_SYLLABLE: Final = SAMPLE_RATE // 5
_CLOSURE: Final = SAMPLE_RATE * 3 // 50
_PITCH_HZ: Final = 150.0
_VOWELS: Final = (
    ("a", Viseme.AA, (700.0, 1200.0)),
    ("i", Viseme.IH, (300.0, 2300.0)),
    ("u", Viseme.OU, (320.0, 800.0)),
    ("e", Viseme.E, (500.0, 1900.0)),
    ("o", Viseme.OH, (480.0, 900.0)),
)


class ToneSynthesiser:
    """Port `Synthesiser`; takes any voice name. `speed` shortens the syllables, `pitch` raises the tone."""

    name = "tone"
    voices: tuple[str, ...] = ()

    def __init__(self, config: VoiceConfig, cache: Path | None = None) -> None:
        self._config = config

    def load(self) -> None:
        log.warning("voice engine 'tone' is a test signal, not speech; set voice.engine to 'kokoro' for a voice")

    def synthesise(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Speech:
        """200 ms of tone for each unit of text (see `units`), at least one."""
        if cancelled():
            raise VoiceError("cancelled", retryable=False)
        if spoken_units(text) == 0:
            raise VoiceError("nothing in this text can be spoken", retryable=False)
        syllables = max(1, round(spoken_units(text)))
        length = int(_SYLLABLE / speed)
        closure = int(_CLOSURE / speed)
        pcm = np.zeros(syllables * length, dtype=np.int16)
        phones: list[Phone] = []
        for n in range(syllables):
            symbol, viseme, formants = _VOWELS[n % len(_VOWELS)]
            start, end = n * length, (n + 1) * length
            if n % 3 == 0:
                phones.append(Phone("p", Viseme.PP, start, start + closure))
                start += closure
            phones.append(Phone(symbol, viseme, start, end))
            pcm[start:end] = _vowel(end - start, formants, _PITCH_HZ * 2.0 ** (pitch / 12.0))
        return Speech(faded(levelled(pcm, self._config.loudness_lufs), 240), tuple(phones))


def _vowel(
    samples: int, formants: tuple[float, float], pitch_hz: float
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    time = np.arange(samples) / SAMPLE_RATE
    sound = np.zeros(samples)
    for harmonic in range(1, 24):
        frequency = harmonic * pitch_hz
        strength = sum(1.0 / (1.0 + ((frequency - formant) / 120.0) ** 2) for formant in formants)
        sound += strength * np.sin(2 * np.pi * frequency * time)
    return faded(np.rint(sound * (8000.0 / np.abs(sound).max(initial=1.0))).astype(np.int16), 480)
