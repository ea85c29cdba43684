"""Raw sound as engines send it, and an engine that sends it by a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from broadcaster.errors import VoiceError
from broadcaster.types import Piece, RawSound, TimedWord


def voiced(seconds: float, rate: int = 24_000, *, level: float = 0.3, seed: int = 0) -> NDArray[np.int16]:
    """Syllables of a voice: 30 harmonics under an envelope of four hills a second. Mono, peak at `level`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(100, 240)
    sound = sum(
        np.sin(2 * np.pi * pitch * h * time + rng.uniform(0, 6)) / h for h in range(1, 31) if pitch * h < 0.45 * rate
    )
    sound = sound * (0.1 + np.abs(np.sin(2 * np.pi * 2 * time + rng.uniform(0, 3))))
    peak = np.abs(sound).max(initial=1e-9)
    return np.rint(level * 32767 * sound / peak).astype(np.int16)


def silence(seconds: float, rate: int = 24_000, offset: int = 0) -> NDArray[np.int16]:
    return np.full(round(seconds * rate), offset, dtype=np.int16)


def raw(pcm: NDArray[np.int16], rate: int = 24_000, channels: int = 1, words: Sequence[TimedWord] = ()) -> RawSound:
    return RawSound(np.repeat(pcm, channels).astype("<i2").tobytes(), rate, channels, tuple(words))


def cut_up(pcm: NDArray[np.int16], size: int, rate: int = 24_000) -> list[RawSound]:
    """In chunks of `size` bytes, which may be odd."""
    data = pcm.astype("<i2").tobytes()
    return [RawSound(data[i : i + size], rate) for i in range(0, len(data), size)]


@dataclass
class ScriptedEngine:
    """Port `VoiceEngine`. The script is what each piece gets: a sound is sent, a number is waited for, an error is
    raised. `per_piece` gives pieces after the first scripts of their own, the last one for all that follow."""

    script: Sequence[RawSound | float | Exception]
    per_piece: list[Sequence[RawSound | float | Exception]] = field(default_factory=list)
    name: str = "scripted"
    own_speed: bool = False
    own_pitch: bool = False
    hangs_on_close: bool = False
    asked: list[Piece] = field(default_factory=list)
    sent: int = 0
    open: int = 0
    closed: bool = False

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        scripts = [self.script, *self.per_piece]
        script = scripts[min(len(self.asked), len(scripts) - 1)]
        self.asked.append(piece)
        self.open += 1
        try:
            for step in script:
                if isinstance(step, RawSound):
                    self.sent += 1
                    yield step
                elif isinstance(step, Exception):
                    raise step
                else:
                    await asyncio.sleep(step)
        finally:
            self.open -= 1
            if self.hangs_on_close:
                await asyncio.sleep(1e6)

    async def close(self) -> None:
        self.closed = True


def broken(message: str = "the server ended") -> VoiceError:
    return VoiceError(message)
