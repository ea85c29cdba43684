"""The sound of one utterance as it comes, and the stretch of it that the sound encoder sees for one face.

Pure numpy, one thread. Each spectrum frame is computed once. What a face sees depends on the sound around it alone:
not on how it came in, nor on which faces were asked for before. So a picture that is made again is the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.head.downsample import FACTOR, LOW_RATE, REACH, downsampled, settled
from broadcaster.head.musetalk import mel
from broadcaster.head.musetalk.faces import AHEAD, BEHIND, STEP
from broadcaster.types import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES: Final = 2
"""Spectrum frames in a step: the encoder's second convolution has a stride of two."""

POSITIONS: Final = 1500
"""Steps the encoder knows positions for: 30 s."""

KEPT_S: Final = 30
"""Seconds of sound that are kept."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the encoder sees: `steps` in all, the last `pad` of them silence, and `ahead` before these that lie beyond
    the face's last.

    The sizes are measured (bench/whisper_window.py, with the weights of whisper-base). Whisper was trained on 30 s
    that end in silence and parks there what it does not need: half a second of it keeps a window of 4 s as near to
    upstream's features as one of 30 s would be. What is left of the difference is the sound to come: it shrinks by a
    quarter with 100 ms more of `ahead`. Positions are those of the whole clip: they are part of the first state.
    """

    steps: int = 200
    ahead: int = 0
    pad: int = 25
    """At least 1: the convolutions of the last step look one frame further."""
    loudest: float = 1.5
    """log10 of the loudest spectrum value, at least. Whisper's spectrum is cut off 8 decades below the loudest of all
    30 s, which a stream does not know yet: with this (speech on air reaches it within 2 s) the silence before the
    first word is cut off where it will be later."""

    @property
    def look_ahead(self) -> int:
        """Samples (48 kHz) after its picture's start that a face depends on."""
        frames = FRAMES * (AHEAD + self.ahead)
        return FACTOR * (mel.HOP * frames + mel.HALF - 1) + REACH + 1


WINDOW: Final = Window()

LOOK_AHEAD: Final = WINDOW.look_ahead


@dataclass(frozen=True, slots=True)
class Heard:
    """What the sound encoder is given for one face."""

    mel: NDArray[np.float32] = field(repr=False)
    """(BANDS, FRAMES * steps), scaled as the encoder takes it."""
    position: int
    """Of the window's first step, among the POSITIONS."""
    rows: tuple[int, ...]
    """BEHIND + AHEAD places in the window, oldest first; `steps` of the window stands for a step that is not there,
    before the utterance or behind its end: upstream gives the face zeros for these."""


class _Kept:
    """The newest columns of an endless array, in place: the oldest go when twice as many as are kept are there."""

    def __init__(self, rows: int, kept: int, dtype: Any) -> None:
        self._kept = kept
        self._data = np.zeros((rows, 2 * kept), dtype)
        self.start = 0
        self.end = 0

    def add(self, columns: NDArray[Any]) -> None:
        """At most `kept` columns."""
        if self.end - self.start + columns.shape[1] > self._data.shape[1]:
            first = self.end - self._kept
            self._data[:, : self._kept] = self._data[:, first - self.start : self.end - self.start]
            self.start = first
        at = self.end - self.start
        self._data[:, at : at + columns.shape[1]] = columns
        self.end += columns.shape[1]

    def cut(self, end: int) -> None:
        self.end = max(self.start, min(self.end, end))

    def view(self, first: int, last: int) -> NDArray[Any]:
        """Columns first..last-1 as far as they are kept."""
        low, high = (max(0, min(at, self.end) - self.start) for at in (first, last))
        return self._data[:, low:high]


class SoundWindow:
    """One channel's sound. 12 MB at most, however long the utterance."""

    def __init__(self, window: Window = WINDOW) -> None:
        self.window = window
        self._pcm = _Kept(1, KEPT_S * SAMPLE_RATE, np.int16)
        self._sound = _Kept(1, KEPT_S * LOW_RATE, np.float32)
        self._frames = _Kept(mel.BANDS, KEPT_S * LOW_RATE // mel.HOP, np.float32)
        self._loudest = _Kept(1, KEPT_S * LOW_RATE // mel.HOP, np.float32)

    @property
    def samples(self) -> int:
        """Sound heard so far, samples at 48 kHz."""
        return self._pcm.end

    def begin(self) -> None:
        """A new utterance."""
        for kept in (self._pcm, self._sound, self._frames, self._loudest):
            kept.start = kept.end = 0

    def hear(self, pcm: bytes) -> None:
        """The next stretch: s16le mono 48 kHz."""
        samples = np.frombuffer(pcm, "<i2", len(pcm) // 2)
        for at in range(0, len(samples), SAMPLE_RATE):
            self._pcm.add(samples[None, at : at + SAMPLE_RATE])
            self._sound.add(self._more_sound(settled(self._pcm.end))[None])
            frames, loudest = self._more_frames(mel.settled(self._sound.end), self._sound_tail(self._sound.end))
            self._frames.add(frames)
            self._loudest.add(loudest[None])

    def rewind(self, sample: int) -> None:
        """Forgets everything from `sample` (48 kHz) on."""
        if sample >= self._pcm.end:
            return
        self._pcm.cut(max(0, sample))
        self._sound.cut(settled(self._pcm.end))
        self._frames.cut(mel.settled(self._sound.end))
        self._loudest.cut(self._frames.end)

    def heard(self, step: int) -> Heard:
        """What the encoder sees for the face whose picture starts at `step`. Sound that is not there is silence."""
        window, steps = self.window, self.window.steps
        end = max(step + AHEAD + window.ahead, 0)
        first = max(0, end + window.pad - steps)
        last = FRAMES * end + 1
        frames, loudest = self._spectrum(FRAMES * first, last)
        out = np.full((mel.BANDS, FRAMES * steps), mel.FLOOR, np.float32)
        out[:, : frames.shape[1]] = frames
        there = self._pcm.end // STEP
        rows = tuple(
            at - first if first <= at < there and at >= 0 else steps for at in range(step - BEHIND, step + AHEAD)
        )
        return Heard(mel.scaled(out, max(window.loudest, loudest)), min(first, POSITIONS - steps), rows)

    def _spectrum(self, first: int, last: int) -> tuple[NDArray[np.float32], float]:
        """Frames first..last-1, and the loudest value of all up to there."""
        kept = self._frames
        frames = np.full((mel.BANDS, last - first), mel.FLOOR, np.float32)
        low, high = max(first, kept.start), min(last, kept.end)
        if low < high:
            frames[:, low - first : high - first] = kept.view(low, high)
        until = self._loudest.view(min(last, kept.end) - 1, min(last, kept.end)) if kept.end else np.zeros((1, 0))
        loudest = float(until[0, 0]) if until.size else mel.FLOOR
        if last > kept.end:
            tail, heights = self._more_frames(last, self._sound_tail((self._pcm.end + REACH) // FACTOR + 1))
            at = max(first, kept.end)
            frames[:, at - first :] = tail[:, at - kept.end :]
            loudest = float(heights[-1])
        return frames, loudest

    def _more_sound(self, last: int) -> NDArray[np.float32]:
        """Samples (16 kHz) behind those that are kept, up to `last`."""
        first = FACTOR * self._sound.end - REACH
        pcm = self._pcm.view(max(first, self._pcm.start), self._pcm.end)[0]
        return downsampled(pcm, self._sound.end, last, max(first, self._pcm.start))

    def _sound_tail(self, last: int) -> tuple[NDArray[np.float32], int]:
        """The sound (16 kHz) that the frames behind the kept ones are made of, and its first sample's number."""
        first = max(self._sound.start, mel.HOP * self._frames.end - mel.WINDOW)
        kept = self._sound.view(first, last)[0]
        return (np.concatenate([kept, self._more_sound(last)]) if last > self._sound.end else kept), first

    def _more_frames(
        self, last: int, sound: tuple[NDArray[np.float32], int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Frames behind those that are kept, up to `last`, and the loudest value up to each."""
        frames = mel.frames(sound[0], self._frames.end, last, sound[1])
        before = self._loudest.view(self._frames.end - 1, self._frames.end)[0]
        heights = np.concatenate([before, frames.max(axis=0, initial=mel.FLOOR)])
        loudest: NDArray[np.float32] = np.maximum.accumulate(heights)[len(before) :]
        return frames, loudest
