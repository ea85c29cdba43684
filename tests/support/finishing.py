"""Raw sound by a script through `FinishedVoice` in virtual time: what comes out, or what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np

from broadcaster.config.voices import EdgeVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.finished import FinishedVoice
from broadcaster.types import Manner, PcmArray, Phone, Piece, RawSound, Speech, TimedWord, Viseme
from tests.fakes.raw_voice import ScriptedEngine, raw, voiced
from tests.fakes.voice import run_virtually

TEXT = "今天天气很好我们出去走走"
LINK = EdgeVoice(name="one", first_sound_timeout_s=4.0, gap_timeout_s=3.0)
SOUND = voiced(2.5)


class Mouth:
    """One phone per chunk; remembers what it was told."""

    def __init__(self, reading: str = "", language: str = "") -> None:
        self.reading = reading
        self.language = language
        self.lengths: list[int] = []
        self.lasts: list[bool] = []
        self.words: list[TimedWord] = []

    def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
        self.lengths.append(len(pcm))
        self.lasts.append(last)
        self.words += words
        return (Phone("a", Viseme.AA, 0, len(pcm)),)


class Mouths:
    """A `MouthMaker` that keeps what it made."""

    def __init__(self) -> None:
        self.made: list[Mouth] = []

    def __call__(self, reading: str, language: str) -> Mouth:
        self.made.append(Mouth(reading, language))
        return self.made[-1]


def voice(
    engine: ScriptedEngine, link: EdgeVoice = LINK, mouth: Mouths | None = None, **options: object
) -> FinishedVoice:
    """The engine's finished voice, all in the loop's thread."""
    return FinishedVoice(engine, link, loudness_lufs=-16.0, mouth=mouth or Mouths(), threads=False, **options)  # type: ignore[arg-type]


async def heard(finished: FinishedVoice, text: str = TEXT, manner: Manner = Manner()) -> list[Speech]:
    """The chunks of one piece, to its end."""
    stream = finished.speak(Piece(text, "zh", 0, manner), 1)
    async with aclosing(stream):  # type: ignore[type-var]
        return [chunk async for chunk in stream]


def spoken(script: Sequence[RawSound | float | Exception], text: str = TEXT, **options: object) -> PcmArray:
    """What one piece of a voice that was never heard before sounds like."""
    chunks = run_virtually(heard(voice(ScriptedEngine(script), **options), text))
    return np.concatenate([chunk.pcm for chunk in chunks])


def failure(
    script: Sequence[RawSound | float | Exception], **options: object
) -> tuple[VoiceError, list[Speech], float]:
    """The error, what was heard before it, and the loop's time when it came."""

    async def run() -> tuple[VoiceError, list[Speech], float]:
        engine = ScriptedEngine(script, **options)  # type: ignore[arg-type]
        chunks: list[Speech] = []
        try:
            async for chunk in voice(engine).speak(Piece(TEXT, "zh", 0), 1):
                chunks.append(chunk)
        except VoiceError as err:
            assert engine.open == 0
            return err, chunks, asyncio.get_running_loop().time()
        raise AssertionError("it was spoken")

    return run_virtually(run())


WHOLE = spoken([raw(SOUND)])
"""What the sound sent whole becomes."""
