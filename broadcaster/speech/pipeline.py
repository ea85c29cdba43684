"""The whole of `speech/` as the director sees it: port `Speaker`. Director's event loop.

Three things go on at once for an utterance: text is read and cut into sentences; pieces of them are synthesised
one behind the other; finished pieces are let go when the pacing says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.ports import Voice
from broadcaster.speech import words
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.pacing import AHEAD_S, LARGEST, LATER, Pacer, Size, SpeedModel
from broadcaster.speech.packing import SentenceSplitter, cut
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.units import spoken_units
from broadcaster.types import PLAIN, SAMPLE_RATE, Manner, PcmArray, Phone, Piece, Speech, SpokenPiece, Viseme

log = logging.getLogger(__name__)

PIECE_ATTEMPTS: Final = 2
"""A piece whose failure may be a passing one is asked once more before it is left out."""

FAILURES_IN_A_ROW: Final = 2
"""So many pieces left out one behind the other mean that the voice is down, not that the text is bad."""

KEPT_SILENCE_MS: Final = 80
"""What voices leave around a piece (30 ms before, 50 ms behind); part of every pause."""

SETTLED_S: Final = 0.06
"""An end mark with nothing behind it for so long is the end: a model writes its next word sooner."""

SHORTEST_WAIT_S: Final = 0.001

STARVED_S: Final = 0.4
"""Text that stands still for so long in mid-sentence is spoken up to its last comma when nothing else is in hand."""


@dataclass(frozen=True, slots=True)
class _Made:
    piece: SpokenPiece
    seconds: float


class PacedSpeaker:
    """Port `Speaker`. The speed it has learned is kept from one utterance to the next.

    Without `paced` (off-line rendering) nothing is held back and the pieces are the same whatever the machine's
    speed. `cache` is a private folder for jieba's dictionary.
    """

    def __init__(
        self,
        voice: Voice,
        *,
        paced: bool = True,
        cache: Path | None = None,
    ) -> None:
        self.speed = SpeedModel()
        self._voice = voice
        self._paced = paced
        self._cache = cache

    async def warm(self) -> None:
        """Loads the word list; the first utterance does it otherwise, and is 0.5 s late."""
        if not words.loaded():
            await asyncio.to_thread(words.load, self._cache)

    async def speak(
        self, text: AsyncIterator[str], generation: int, manner: Manner = PLAIN
    ) -> AsyncIterator[SpokenPiece]:
        """Paced pieces of `text`, each with the pause behind it.

        `last` is set on the last piece when that is known in time; the end of the iterator is what counts. Raises
        VoiceError when the voice is down, or when nothing of a text could be spoken.
        """
        await self.warm()
        run = _Utterance(self._voice, self.speed, self._paced, generation, manner)
        reader = asyncio.create_task(run.read(text), name="speech text")
        maker = asyncio.create_task(run.make(), name="speech pieces")
        try:
            while (made := await run.next()) is not None:
                yield made
            await reader
            await maker
        finally:
            for task in (maker, reader):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


class _Utterance:
    """The state of one `speak`; all methods run in one event loop."""

    def __init__(self, voice: Voice, speed: SpeedModel, paced: bool, generation: int, manner: Manner) -> None:
        self._voice = voice
        self._speed = speed
        self._paced = paced
        self._clock = asyncio.get_running_loop().time
        self._generation = generation
        self._manner = manner
        self._pacer = Pacer(speed)
        self._splitter = SentenceSplitter()
        self._ready: deque[_Made] = deque()
        self._pulse = asyncio.Event()
        self._ended = False
        self._text_at = self._clock()
        self._next_at: float | None = None
        """When the piece that is being synthesised is predicted to be ready."""
        self._held_since: float | None = None

    # -- text -----------------------------------------------------------------------------------------------------

    async def read(self, text: AsyncIterator[str]) -> None:
        try:
            async with _closing(text):
                async for delta in text:
                    self._splitter.feed(delta)
                    self._text_at = self._clock()
                    self._notify()
        finally:
            self._splitter.finish()
            self._notify()

    async def _sentence(self) -> str | None:
        """The next sentence with something to say in it; None at the end of the text."""
        while True:
            starving = not self._ready and self._pacer.buffered(self._clock()) < 2 * STARVED_S
            still = self._clock() - self._text_at
            sentence = self._splitter.take(settled=still >= SETTLED_S, urgent=starving and still >= STARVED_S)
            if sentence is not None:
                if spoken_units(sentence) > 0:
                    return sentence
            elif self._splitter.exhausted:
                return None
            else:
                await self._change(SETTLED_S if still < SETTLED_S else STARVED_S)

    # -- synthesis ------------------------------------------------------------------------------------------------

    async def make(self) -> None:
        try:
            await self._make()
        finally:
            self._ended = True
            self._next_at = None
            self._notify()

    async def _make(self) -> None:
        number = 0
        made = 0
        failed = 0
        error: VoiceError | None = None
        while (sentence := await self._sentence()) is not None:
            opens: str | None = sentence.strip()
            language = "zh" if contains_han(sentence) or not any(c.isalpha() for c in sentence) else "en"
            rest = sentence
            while rest:
                await self._room()
                size = self._size()
                end = cut(rest, size.minimum, size.maximum)
                text, rest = rest[:end], rest[end:]
                if spoken_units(text) == 0:
                    continue
                try:
                    speech = await self._synthesised(Piece(text.strip(), language, number, self._manner))
                except VoiceError as err:
                    error = err
                    failed += 1
                    log.warning("a piece of speech was left out", extra={"reason": str(err), "sentence": number})
                    if failed >= FAILURES_IN_A_ROW and err.retryable:
                        raise
                    continue
                failed = 0
                made += 1
                piece = SpokenPiece(number, opens, _with_pause(speech, pause_ms(text)), self._voice.name)
                opens = None
                self._ready.append(_Made(piece, len(piece.speech.pcm) / SAMPLE_RATE))
                self._notify()
            number += opens is None
        if made == 0 and error is not None:
            raise error

    def _size(self) -> Size:
        if not self._paced:
            return Size(LATER, LARGEST)
        return self._pacer.size(self._clock(), self._ready_seconds())

    async def _synthesised(self, piece: Piece) -> Speech:
        units = spoken_units(piece.text)
        self._pacer.began(units)
        for attempt in range(1, PIECE_ATTEMPTS + 1):
            started = self._clock()
            self._next_at = started + self._speed.predicted(units)
            try:
                speech = await self._whole(piece)
            except VoiceError as err:
                if not err.retryable or attempt == PIECE_ATTEMPTS:
                    raise
                continue
            finally:
                self._next_at = None
            self._speed.observe(units, self._clock() - started)
            return speech
        raise AssertionError("unreachable")

    async def _whole(self, piece: Piece) -> Speech:
        chunks: list[PcmArray] = []
        phones: list[Phone] = []
        position = 0
        stream = self._voice.speak(piece, self._generation)
        async with _closing(stream):
            async for chunk in stream:
                chunks.append(chunk.pcm)
                phones += [replace(p, start=p.start + position, end=p.end + position) for p in chunk.phones]
                position += len(chunk.pcm)
        if position == 0:
            raise VoiceError("the voice returned no sound", retryable=False)
        return Speech(np.concatenate(chunks), tuple(phones))

    def _ready_seconds(self) -> float:
        return sum(made.seconds for made in self._ready)

    async def _room(self) -> None:
        """Waits while enough sound is in hand."""
        while (over := self._pacer.buffered(self._clock()) + self._ready_seconds() - AHEAD_S) > 0:
            await self._change(over)

    # -- release --------------------------------------------------------------------------------------------------

    async def next(self) -> SpokenPiece | None:
        """The next piece when it may go on air; None at the end."""
        while not self._ready:
            if self._ended:
                return None
            await self._change(None)
        if self._paced:
            while (wait := self._hold()) > 0:
                await self._change(wait)
        self._held_since = None
        made = self._ready.popleft()
        self._pacer.released(self._clock(), made.seconds)
        self._notify()
        return replace(made.piece, last=self._ended and not self._ready)

    def _hold(self) -> float:
        now = self._clock()
        if len(self._ready) > 1 or self._next_at is None:
            return 0.0
        if self._held_since is None:
            self._held_since = now
        return self._pacer.hold(now, now - self._held_since, self._ready[0].seconds, self._next_at - now)

    # -- waiting --------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    async def _change(self, timeout: float | None) -> None:
        """Until something has changed, or `timeout` seconds, but never for less than the clock can resolve."""
        timeout = None if timeout is None else max(timeout, SHORTEST_WAIT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._pulse.wait()


def _with_pause(speech: Speech, milliseconds: int) -> Speech:
    samples = max(0, milliseconds - KEPT_SILENCE_MS) * SAMPLE_RATE // 1000
    if samples == 0:
        return speech
    length = len(speech.pcm)
    pcm = np.concatenate([speech.pcm, np.zeros(samples, dtype=np.int16)])
    return Speech(pcm, (*speech.phones, Phone("", Viseme.SIL, length, length + samples)))


@contextlib.asynccontextmanager
async def _closing(iterator: AsyncIterator[Any]) -> AsyncIterator[None]:
    """Closes an async generator at the end of the block; other iterators have nothing to close."""
    try:
        yield
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
