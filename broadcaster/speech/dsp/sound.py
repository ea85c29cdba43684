"""A piece's sound while it comes in, and what is cut from it: joins, fades, pauses. Pure; whole samples at 48 kHz."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, Speech, Viseme

KEPT_SILENCE_MS: Final = 80
"""What voices leave around a piece (30 ms before, 50 ms behind); part of every pause."""


class Tape:
    """Sound and phones of one piece, in the order of their coming."""

    def __init__(self) -> None:
        self.samples = 0
        self._pcm: list[PcmArray] = []
        self._phones: list[Phone] = []

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    def append(self, chunk: Speech) -> None:
        self._phones += [replace(p, start=p.start + self.samples, end=p.end + self.samples) for p in chunk.phones]
        self._pcm.append(chunk.pcm)
        self.samples += len(chunk.pcm)

    def cut(self, start: int, end: int) -> Speech:
        """Samples start..end with their phones, counted from `start`."""
        if len(self._pcm) > 1:
            self._pcm = [np.concatenate(self._pcm)]
        pcm = self._pcm[0][start:end] if self._pcm else np.zeros(0, dtype=np.int16)
        end = start + len(pcm)
        phones = tuple(
            Phone(p.symbol, p.viseme, max(p.start, start) - start, min(p.end, end) - start)
            for p in self._phones
            if p.start < end and p.end > start
        )
        return Speech(pcm, phones)


def with_silence(speech: Speech, samples: int) -> Speech:
    """`speech` and so many samples of silence behind it, lips closed."""
    if samples <= 0:
        return speech
    length = len(speech.pcm)
    pcm = np.concatenate([speech.pcm, np.zeros(samples, dtype=np.int16)])
    return Speech(pcm, (*speech.phones, Phone("", Viseme.SIL, length, length + samples)))


def with_pause(speech: Speech, milliseconds: int) -> Speech:
    """`speech` with a pause behind it, of which the silence that it ends with is a part."""
    return with_silence(speech, (milliseconds - KEPT_SILENCE_MS) * SAMPLE_RATE // 1000)


def faded_out(speech: Speech) -> Speech:
    """Goes down to nothing over all of its length."""
    slope = np.linspace(1.0, 0.0, len(speech.pcm), dtype=np.float32)
    return Speech(np.rint(speech.pcm * slope).astype(np.int16), speech.phones)
