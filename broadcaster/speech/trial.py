"""One voice asked for one text, without a channel: what `broadcaster voice try` and the benches measure. asyncio.

The text is cut as on air, a small first piece and larger ones behind it, and asked one piece after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.ports import Voice
from broadcaster.speech.dsp.loudness import integrated, true_peak
from broadcaster.speech.dsp.sound import with_pause
from broadcaster.speech.pacing import FIRST, LARGEST, LATER, SHORTEST_PACKAGE
from broadcaster.speech.packing import Packer, cut, language_of
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.units import spoken_units
from broadcaster.types import PLAIN, SAMPLE_RATE, Manner, PcmArray, Piece, Speech

GENERATION: Final = 1

Progress = Callable[[int, int, float], None]
"""Pieces made, pieces in all, seconds of sound so far."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`pcm`: int16 mono 48 kHz, with the pauses of the text. `units`: characters' worth of text (see `units`)."""

    engine: str
    pcm: PcmArray = field(repr=False)
    pieces: int
    units: float
    first_sound_s: float
    """From the request to the first chunk of the first piece."""
    took_s: float
    """All requests together."""
    spoken_s: float
    """Sound without the pauses between pieces."""

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of sound; below 1 it stays ahead of the air."""
        return self.took_s / self.spoken_s

    @property
    def characters_per_second(self) -> float:
        return self.units / self.spoken_s

    @property
    def loudness_lufs(self) -> float:
        return integrated(self.pcm.astype(np.float64) / 32768.0)

    @property
    def true_peak_dbtp(self) -> float:
        peak = true_peak(self.pcm.astype(np.float64) / 32768.0)
        return 20 * float(np.log10(max(peak, 1e-6)))


async def attempt(
    voice: Voice, text: str, manner: Manner = PLAIN, progress: Progress = lambda done, of, seconds: None
) -> Trial:
    """Has `voice` speak the text. Raises VoiceError."""
    clock = asyncio.get_running_loop().time
    pieces = list(pieces_of(text, manner))
    if not pieces:
        raise VoiceError("there is nothing to say in this text", retryable=False)
    parts: list[PcmArray] = []
    first: float | None = None
    took = spoken = 0.0
    for number, piece in enumerate(pieces, 1):
        began = clock()
        async with contextlib.aclosing(_stream(voice, piece)) as stream:
            chunks: list[PcmArray] = []
            async for chunk in stream:
                first = clock() - began if first is None else first
                chunks.append(chunk.pcm)
        took += clock() - began
        sound = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int16)
        if len(sound) == 0:
            raise VoiceError("the voice gave no sound", retryable=False)
        spoken += len(sound) / SAMPLE_RATE
        last = number == len(pieces)
        parts.append(sound if last else with_pause(Speech(sound), pause_ms(piece.text)).pcm)
        progress(number, len(pieces), spoken)
    units = sum(spoken_units(piece.text) for piece in pieces)
    return Trial(voice.name, np.concatenate(parts), len(pieces), units, first or 0.0, took, spoken)


def pieces_of(text: str, manner: Manner = PLAIN) -> Iterator[Piece]:
    """The pieces a voice is asked for when it has never been late."""
    packer = Packer()
    packer.feed(text)
    packer.finish()
    number = count = 0
    while (sentence := packer.take(SHORTEST_PACKAGE)) is not None:
        language = language_of(sentence)
        rest = sentence
        while rest:
            smallest, largest = FIRST if count == 0 else (LATER, LARGEST)
            end = cut(rest, smallest, largest)
            part, rest = rest[:end], rest[end:]
            if spoken_units(part) > 0:
                yield Piece(part.strip(), language, number, manner)
                count += 1
        number += 1


async def _stream(voice: Voice, piece: Piece) -> AsyncGenerator[Speech, None]:
    """Closes what it iterates, whatever kind of iterator that is."""
    stream = voice.speak(piece, GENERATION)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
