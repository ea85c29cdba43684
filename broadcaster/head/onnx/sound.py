"""What the network hears of each picture: a mel spectrum, or features of a speech encoder. The engine's thread.

Both are pure functions of the track around the picture, on grids counted from the utterance's start: the same speech
gives the same numbers, bit for bit, however it was cut into windows or anchored. What is not known yet is silence.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from broadcaster.head.downsample import FACTOR, LOW_RATE, REACH, downsampled
from broadcaster.head.onnx.network import MEL_BANDS, EncoderSound, MelSound
from broadcaster.head.slaney import mel_bands
from broadcaster.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from broadcaster.ports import SpeechTrack

    Floats = NDArray[np.float32]

_MS: Final = SAMPLE_RATE // 1000

WINDOW: Final = 800
HOP: Final = 200
LOW_HZ: Final = 55.0
HIGH_HZ: Final = 7600.0
PREEMPHASIS: Final = 0.97
FLOOR_DB: Final = -100.0
REFERENCE_DB: Final = 20.0
LIMIT: Final = 4.0
"""Wav2Lip's numbers (`hparams.py`): samples at 16 kHz, and the amplitude in decibels spread over -4..4."""

BLOCKS_KEPT: Final = 64
"""Blocks of encoder features kept: a picture needs a few, and one that is made again finds them."""

SPEECH_LEVEL: Final = 0.1
"""RMS of speech on the channel (-16 LUFS), about: what `normalise: speech` divides by."""


class Feature(Protocol):
    """One thread."""

    def begin(self) -> None:
        """Another utterance: what was kept of the last one is void."""

    def needs(self, start: int) -> int:
        """The sample of the utterance up to which a picture that starts at sample `start` hears."""

    def of(self, track: SpeechTrack, start: int) -> Floats:
        """float32 of the shape in network.yaml."""


class MelFeature:
    """Column c is the spectrum around sample 200 c (16 kHz) of the utterance; silence lies around it."""

    def __init__(self, sound: MelSound) -> None:
        self._sound = sound
        self._bands = mel_bands(MEL_BANDS, WINDOW, LOW_RATE, LOW_HZ, HIGH_HZ)
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)

    def begin(self) -> None:
        pass

    def needs(self, start: int) -> int:
        return FACTOR * (self._samples(start)[1] - 1) + REACH + 1

    def of(self, track: SpeechTrack, start: int) -> Floats:
        sound = _heard(track, *self._samples(start)).astype(np.float64)
        sharpened = sound[1:] - PREEMPHASIS * sound[:-1]
        frames = np.lib.stride_tricks.sliding_window_view(sharpened, WINDOW)[::HOP]
        amplitudes = np.abs(np.fft.rfft(frames * self._window, axis=1)) @ self._bands.T
        decibels = 20.0 * np.log10(np.maximum(10.0 ** (FLOOR_DB / 20.0), amplitudes)) - REFERENCE_DB
        spread = np.clip(2 * LIMIT * (decibels - FLOOR_DB) / -FLOOR_DB - LIMIT, -LIMIT, LIMIT)
        shaped: Floats = spread.T.astype(np.float32).reshape(self._sound.shape)
        return shaped

    def _samples(self, start: int) -> tuple[int, int]:
        """First and last + 1 sample (16 kHz): the sample before the first belongs to the pre-emphasis."""
        column = (start + self._sound.offset_ms * _MS) * LOW_RATE // (SAMPLE_RATE * HOP)
        last = column + self._sound.columns - 1
        return column * HOP - WINDOW // 2 - 1, last * HOP + WINDOW // 2


class EncoderFeature:
    """Features in blocks of a few, each from one run of the encoder over the block and the sound around it."""

    def __init__(self, sound: EncoderSound, open_encoder: Callable[[int, int], Any]) -> None:
        """`open_encoder` takes (samples of one run, features it must give) and has `features(waveform)`."""
        self._sound = sound
        self._past = sound.past_ms * sound.rate // 1000
        self._run = self._past + sound.block + -(-sound.future_ms * sound.rate // 1000)
        self._samples = (self._run - 1) * sound.hop + sound.field
        self._encoder = open_encoder(self._samples, self._run)
        self._kept: OrderedDict[tuple[int, int], Floats] = OrderedDict()

    def begin(self) -> None:
        self._kept.clear()

    def needs(self, start: int) -> int:
        last = self._first(start) + self._sound.before + self._sound.after - 1
        return self._end(last // self._sound.block)

    def of(self, track: SpeechTrack, start: int) -> Floats:
        """Features before the utterance and behind its end are zeros, as upstream pads them."""
        sound = self._sound
        first = self._first(start)
        low_samples = -(-track.samples // FACTOR)
        there = max(0, (low_samples - sound.field) // sound.hop + 1)
        window = np.zeros((sound.before + sound.after, sound.width), np.float32)
        for at in range(max(first, 0), min(first + len(window), there)):
            block, within = divmod(at, sound.block)
            window[at - first] = self._block(track, block)[within]
        shaped: Floats = window.reshape(sound.shape)
        return shaped

    def _first(self, start: int) -> int:
        """The first feature of a picture; negative before the utterance."""
        return (start + self._sound.offset_ms * _MS) * self._sound.rate // SAMPLE_RATE - self._sound.before

    def _end(self, block: int) -> int:
        """The sample (48 kHz) up to which a block is heard."""
        low = (block * self._sound.block - self._past) * self._sound.hop + self._samples
        return FACTOR * (low - 1) + REACH + 1

    def _block(self, track: SpeechTrack, block: int) -> Floats:
        key = block, min(self._end(block), track.samples)
        found = self._kept.get(key)
        if found is None:
            first = (block * self._sound.block - self._past) * self._sound.hop
            heard = self._normalised(_heard(track, first, first + self._samples))
            found = self._encoder.features(heard)[self._past : self._past + self._sound.block]
            self._kept[key] = found
            if len(self._kept) > BLOCKS_KEPT:
                self._kept.popitem(last=False)
        return found

    def _normalised(self, heard: Floats) -> Floats:
        match self._sound.normalise:
            case "window":
                spread = np.sqrt(heard.var(dtype=np.float64) + 1e-7)
                return np.asarray((heard - heard.mean(dtype=np.float64)) / spread, dtype=np.float32)
            case "speech":
                return np.asarray(heard / SPEECH_LEVEL, dtype=np.float32)
            case _:
                return heard


def _heard(track: SpeechTrack, first: int, last: int) -> Floats:
    """Samples first..last-1 (16 kHz) of the utterance in -1..1; silence outside of what is known."""
    low, high = FACTOR * first - REACH, FACTOR * (last - 1) + REACH + 1
    return downsampled(np.frombuffer(track.pcm(low, high), dtype="<i2"), first, last, low)
