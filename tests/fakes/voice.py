"""Voices with scripted speed and failures, and an event loop whose clock jumps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Phone, Piece, Speech, Viseme

T = TypeVar("T")

SECONDS_PER_UNIT = 0.2


def sound_of(text: str) -> Speech:
    """A constant that is not silence, 0.2 s for each unit of text, with one phone over all of it."""
    length = round(max(1.0, spoken_units(text)) * SECONDS_PER_UNIT * SAMPLE_RATE)
    return Speech(np.full(length, 1000, dtype=np.int16), (Phone("a", Viseme.AA, 0, length),))


class ScriptedVoice:
    """Port `Voice`. `seconds(units, call)` says how long each call takes; `fails(piece, call)` may name an error."""

    name = "scripted"

    def __init__(
        self,
        seconds: Callable[[float, int], float] = lambda units, call: 0.0,
        fails: Callable[[Piece, int], VoiceError | None] = lambda piece, call: None,
    ) -> None:
        self.asked: list[Piece] = []
        self.cancelled = 0
        self._seconds = seconds
        self._fails = fails

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        call = len(self.asked)
        self.asked.append(piece)
        try:
            await asyncio.sleep(self._seconds(spoken_units(piece.text), call))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if (error := self._fails(piece, call)) is not None:
            raise error
        yield sound_of(piece.text)


class ScriptedSynthesiser:
    """Port `Synthesiser`. Texts with "卡住" hang until `release` is set or they are cancelled; "坏" fails for good,
    "崩" raises what no engine should."""

    name = "scripted"
    voices: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.cancelled: list[str] = []
        self.release = threading.Event()
        self.working = threading.Event()

    def load(self) -> None:
        pass

    def synthesise(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Speech:
        self.asked.append((text, language, voice))
        self.working.set()
        if "坏" in text:
            raise VoiceError("cannot say that", retryable=False)
        if "崩" in text:
            raise RuntimeError("engine bug")
        while "卡住" in text and not self.release.wait(0.005):
            if cancelled():
                self.cancelled.append(text)
                raise VoiceError("cancelled", retryable=False)
        return sound_of(text)


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: the time asked for is added to the clock. Only a wait without end is a real one."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
