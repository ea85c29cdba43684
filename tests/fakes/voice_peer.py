"""A speaker without a voice process: real sentences and pieces, a soft tone, scripted latency and failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.ports import Hands
from broadcaster.types import PLAIN, SAMPLE_RATE, Manner, Phone, Speech, SpokenPiece, Viseme

SENTENCE = re.compile(r"[^。！？!?.\n]*[。！？!?.\n]+|[^。！？!?.\n]+$")


class ScriptedSpeaker:
    """Implements `ports.Speaker`: two pieces a sentence, `seconds` of sound per character.

    `failures` are raised in turn, each before the piece whose number (over all runs) it is given for.
    `hang_at` stops for ever before that piece. `runs` and `closed` count begun and ended runs.
    """

    def __init__(self, *, seconds: float = 0.1, latency: float = 0.0) -> None:
        self.seconds = seconds
        self.latency = latency
        self.failures: dict[int, VoiceError] = {}
        self.hang_at: int | None = None
        self.made = 0
        self.runs: list[int] = []
        self.manners: list[Manner] = []
        self.closed = 0
        self.texts: list[str] = []

    async def speak(
        self,
        text: AsyncIterator[str],
        generation: int,
        manner: Manner = PLAIN,
        hands: Hands | None = None,
    ) -> AsyncIterator[SpokenPiece]:
        self.runs.append(generation)
        self.manners.append(manner)
        buffer = ""
        number = 0
        try:
            async for part in text:
                self.texts.append(part)
                buffer += part
                whole = [m for m in SENTENCE.findall(buffer) if m[-1] in "。！？!?.\n"]
                buffer = buffer[sum(map(len, whole)) :]
                for sentence in whole:
                    async for piece in self._sentence(sentence, number):
                        yield piece
                    number += 1
            if buffer.strip():
                async for piece in self._sentence(buffer, number):
                    yield piece
        finally:
            self.closed += 1

    async def _sentence(self, sentence: str, number: int) -> AsyncIterator[SpokenPiece]:
        half = max(1, len(sentence) // 2)
        for opens, part in ((sentence, sentence[:half]), (None, sentence[half:])):
            if not part:
                continue
            at, self.made = self.made, self.made + 1
            if at == self.hang_at:
                await asyncio.Event().wait()
            if self.latency:
                await asyncio.sleep(self.latency)
            failure = self.failures.pop(at, None)
            if failure is not None:
                raise failure
            yield SpokenPiece(number, opens, tone(int(len(part) * self.seconds * SAMPLE_RATE)), "tone")


def tone(samples: int) -> Speech:
    pcm = (2000 * np.sin(np.arange(samples) * 0.05)).astype(np.int16)
    return Speech(pcm, (Phone("a", Viseme.AA, 0, samples),))
