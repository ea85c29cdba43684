"""Links of a chain with scripted faults, whose sound says which characters were spoken, and ears that read it.

Every character sounds as a constant of its own, so that a test can tell what was heard, in which order and how
often, across joints, takeovers and fades.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, Piece, Speech, SpokenPiece, Viseme

SECONDS_PER_UNIT = 0.2
FADED = "✂"
FAULTS = ("slow start", "stall", "cut inside", "error", "silence", "refuse")

FIRST_SOUND_S = 4.0
GAP_S = 3.0


def said(text: str) -> str:
    """What of a text can be heard."""
    return "".join(char for char in text if spoken_units(char) > 0)


def _length(char: str) -> int:
    return round(spoken_units(char) * SECONDS_PER_UNIT * SAMPLE_RATE)


def spelled(text: str) -> PcmArray:
    """The sound of a text."""
    parts = [np.full(_length(char), _value(char), dtype=np.int16) for char in said(text)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


def _value(char: str) -> int:
    return ord(char) if ord(char) < 0x80 else ord(char) - 0x4E00 + 1000


def _char(value: int) -> str:
    return chr(value) if value < 0x80 else chr(value - 1000 + 0x4E00)


@dataclass
class Ears:
    """Takes pieces as they are let go. `text`: the characters heard, with FADED where something was faded out."""

    text: str = ""
    openings: list[str] = field(default_factory=list)
    engines: list[tuple[int, str]] = field(default_factory=list)
    """(sentence, engine), each once, in order."""
    gaps: list[float] = field(default_factory=list)
    """Seconds of silence before each sentence but the first, beyond the pause of its punctuation."""
    holes: list[float] = field(default_factory=list)
    """The same inside of sentences."""
    play_end: float | None = None
    _value: int = 0
    _run: int = 0
    _fading: int = 0

    def take(self, at: float, piece: SpokenPiece) -> None:
        if self.play_end is not None:
            (self.gaps if piece.opens is not None else self.holes).append(max(0.0, at - self.play_end))
        self.play_end = max(at, self.play_end or at) + len(piece.speech.pcm) / SAMPLE_RATE
        if piece.opens is not None:
            self.openings.append(piece.opens)
        if not self.engines or self.engines[-1] != (piece.sentence, piece.engine):
            self.engines.append((piece.sentence, piece.engine))
        self._listen(piece.speech.pcm)

    def silence(self) -> None:
        """An utterance has been heard to its end: what comes next comes after no gap."""
        self.play_end = None

    def end(self) -> None:
        self._settle()

    def _listen(self, pcm: PcmArray) -> None:
        edges = [0, *(np.flatnonzero(np.diff(pcm)) + 1).tolist(), len(pcm)]
        for start, end in pairwise(edges):
            if end == start:
                continue
            value = int(pcm[start])
            if value != self._value:
                self._settle()
                self._value, self._run = value, 0
            self._run += end - start

    def _settle(self) -> None:
        """The run has ended. Short runs of falling values are a fade."""
        if self._value and self._run < 400:
            self._fading += 1
            if self._fading == 20:
                self.text += FADED
        elif self._run:
            self._fading = 0
            if self._value:
                char = _char(self._value)
                self.text += char * round(self._run / _length(char))
        self._run = 0


def once_and_in_order(heard: str, text: str) -> list[str]:
    """What is wrong with `heard`: empty when all of `text` was heard in order, once. Behind a fade the clause that
    was cut is said again from its start, and only that."""
    parts = heard.split(FADED)
    at = 0
    for number, part in enumerate(parts):
        if number:
            back = next((b for b in range(40) if at - b >= 0 and text.startswith(part[:30], at - b)), None)
            if back is None:
                return [f"behind a fade at {at}: {part[:30]!r}"]
            at -= back
        if number < len(parts) - 1:
            kept = next(k for k in range(len(part), -1, -1) if text.startswith(part[:k], at))
            if kept < len(part) - 1:  # the last character was cut in its middle
                return [f"before a fade at {at}: {part[:30]!r}"]
            at += kept
        elif text[at:] != part:
            return [f"{part[:30]!r} instead of {text[at : at + 30]!r}"]
        else:
            at = len(text)
    return [] if at == len(text) else [f"it ends at {at} of {len(text)}"]


class FaultyLink:
    """Port `Voice` that streams, with a finished link's time-outs. `fault(piece, call)`: one of FAULTS or None."""

    def __init__(
        self,
        name: str,
        fault: Callable[[Piece, int], str | None] = lambda piece, call: None,
        *,
        first_s: float = 0.4,
        rtf: float = 0.3,
        chunk_s: float = 0.4,
        cut_at: float | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self.name = name
        self.asked: list[Piece] = []
        self.faults: list[str] = []
        self.under_way = 0
        self.most_under_way = 0
        self.cancelled = 0
        self.fault = fault
        self.fades = False
        """What is cut inside stalls, and ends with 20 ms that fade out, as a finished voice's does."""
        self._first_s = first_s
        self._rtf = rtf
        self._cut_at = cut_at
        self._chunk = round(chunk_s * SAMPLE_RATE)
        self._dice = dice or random.Random(1)

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        fault = self.fault(piece, len(self.asked))
        self.asked.append(piece)
        self.faults += [fault] if fault else []
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            async for chunk in self._chunks(spelled(piece.text), fault):
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1

    async def _chunks(self, pcm: PcmArray, fault: str | None) -> AsyncIterator[Speech]:
        match fault:
            case "error":
                await asyncio.sleep(0.05)
                raise VoiceError(f"{self.name}: connection refused")
            case "refuse":
                await asyncio.sleep(0.1)
                raise VoiceError(f"{self.name}: this text is not allowed", retryable=False)
            case "denied":
                await asyncio.sleep(0.1)
                raise VoiceError(f"{self.name}: wrong key", denied=True)
            case "stall":
                await asyncio.sleep(FIRST_SOUND_S)
                raise VoiceError(f"{self.name}: no sound for {FIRST_SOUND_S} s")
            case "silence":
                await asyncio.sleep(self._first_s + self._rtf * len(pcm) / SAMPLE_RATE)
                raise VoiceError(f"{self.name}: the sound is silent")
            case "slow start":
                await asyncio.sleep(self._dice.uniform(0.5, 0.95) * FIRST_SOUND_S)
            case _:
                await asyncio.sleep(self._first_s)
        end = len(pcm) if fault != "cut inside" else round((self._cut_at or self._dice.uniform(0.2, 0.9)) * len(pcm))
        for start in range(0, end, self._chunk):
            part = pcm[start : min(start + self._chunk, end)]
            await asyncio.sleep(self._rtf * len(part) / SAMPLE_RATE)
            yield Speech(part, (Phone("a", Viseme.AA, 0, len(part)),))
        if fault == "cut inside":
            await asyncio.sleep(GAP_S if self.fades else self._dice.choice((0.0, GAP_S)))
            if self.fades and end:
                tail = np.linspace(int(pcm[end - 1]), 0, SAMPLE_RATE // 50).astype(np.int16)
                yield Speech(tail, (Phone("a", Viseme.AA, 0, len(tail)),))
            raise VoiceError(f"{self.name}: the connection was lost in mid-piece")


class SureLink:
    """Port `Voice` like the embedded one: each piece whole, one at a time. `fails` may name an error."""

    def __init__(
        self,
        name: str = "last",
        *,
        fixed_s: float = 0.4,
        per_unit_s: float = 0.08,
        fails: Callable[[Piece, int], VoiceError | None] = lambda piece, call: None,
    ) -> None:
        self.name = name
        self.asked: list[Piece] = []
        self.cancelled = 0
        self._fixed_s = fixed_s
        self._per_unit_s = per_unit_s
        self._fails = fails
        self._one = asyncio.Lock()

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        call = len(self.asked)
        self.asked.append(piece)
        try:
            async with self._one:
                await asyncio.sleep(self._fixed_s + self._per_unit_s * spoken_units(piece.text))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if (error := self._fails(piece, call)) is not None:
            raise error
        pcm = spelled(piece.text)
        yield Speech(pcm, (Phone("a", Viseme.AA, 0, len(pcm)),))
