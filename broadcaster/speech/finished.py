"""An engine's raw sound as speech fit for air: port `Voice` over a `VoiceEngine`. Director's event loop.

Keeps the link's time-outs, which no engine keeps by itself (a socket that died in mid-piece is silent for minutes in
some SDKs), and judges what came. What costs more than a few milliseconds runs in a worker thread, one step at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

from broadcaster.config.voices import LinkBase
from broadcaster.errors import VoiceError
from broadcaster.ports import VoiceEngine
from broadcaster.speech import normalise
from broadcaster.speech.dsp.finishing import Finisher
from broadcaster.speech.dsp.levelling import Level, Levels
from broadcaster.speech.dsp.plausible import without_tags
from broadcaster.speech.dsp.tempo import Tempo
from broadcaster.speech.manner import pitch_of, speed_of
from broadcaster.types import PLAIN, Manner, PcmArray, Phone, Piece, RawSound, Speech, TimedWord, Viseme

log = logging.getLogger(__name__)

T = TypeVar("T")

STEP_S: Final = 0.5
"""A longer chunk is finished in steps, so that its beginning is not kept waiting for its end."""

INLINE_S: Final = 0.25
"""Shorter ones are finished at once: 20 ms of CPU per second of sound with its mouth, so 5 ms at most."""

READ_AHEAD: Final = 4
"""Chunks that may wait to be finished; then the engine waits, and with it its connection. None is dropped."""

CLOSE_S: Final = 1.0
"""What an engine may take to let its request go; longer, and the sentences behind it would wait."""


class Mouth(Protocol):
    """Phones of one piece from its sound; `speech/mouth/alignment.py` is the real one."""

    def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
        """Phones of the next chunk, counted in its samples and covering it."""


MouthMaker = Callable[[str, str], Mouth]
"""(reading, language) of one piece -> its mouth."""


class FinishedVoice:
    """Port `Voice`. Chunks of 100 ms or more (the last may be shorter); the first as soon as it is certain.

    `persona` is how the presenter speaks (times and plus what the message asks); its `voice` counts where the message
    names none. `levels` is shared by the links of a chain. Without `threads` all work is done in the event loop
    (virtual time has no threads).
    """

    def __init__(
        self,
        engine: VoiceEngine,
        link: LinkBase,
        *,
        loudness_lufs: float,
        mouth: MouthMaker,
        persona: Manner = PLAIN,
        levels: Levels | None = None,
        reader: Callable[[str, str], str] = normalise.reading,
        threads: bool = True,
    ) -> None:
        self.name = link.label
        self._engine = engine
        self._link = link
        self._loudness_lufs = loudness_lufs
        self._mouth = mouth
        self._persona = persona
        self._levels = Levels() if levels is None else levels
        self._read = reader
        self._threads = threads

    async def close(self) -> None:
        await self._engine.close()

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        """Raises VoiceError: the engine's own, a time-out, or sound that cannot be that text.

        When some of the piece was given before, its last 20 ms come faded out ahead of the error.
        """
        text = await self._done(True, self._read, piece.text, piece.language)
        if not text:
            raise VoiceError(f"{self.name}: nothing of that text can be spoken", retryable=False)
        asked = replace(piece, text=text, manner=self._manner(piece.manner))
        voice = f"{self.name}\n{asked.manner.voice}\n{asked.language}"
        take = self._take(asked, self._levels.of(voice))
        reader = _Reader(self._engine.stream(asked))
        try:
            async with contextlib.aclosing(self._chunks(reader, take)) as chunks:
                async for chunk in chunks:
                    for step in _steps(chunk):
                        long = len(step.data) > INLINE_S * step.rate * step.channels * 2
                        speech = await self._done(long, take.push, step)
                        if len(speech.pcm):
                            yield speech
            speech = await self._done(True, take.finish)
        except VoiceError:
            rest = take.abandon()
            if len(rest.pcm):
                yield rest
            raise
        finally:
            if not await reader.close():
                log.warning("an engine does not let go of a request", extra={"voice": self.name})
        self._levels.learn(voice, *take.level)
        yield speech

    def _manner(self, manner: Manner) -> Manner:
        """What the engine is asked for on top of its link; both together keep the limits."""
        link = self._link
        return Manner(
            speed_of(link.speed, self._persona.speed, manner.speed) / link.speed,
            pitch_of(link.pitch, self._persona.pitch, manner.pitch) - link.pitch,
            manner.voice or self._persona.voice,
        )

    def _take(self, asked: Piece, known: Level | None) -> _Take:
        own_speed = getattr(self._engine, "own_speed", False)
        own_pitch = getattr(self._engine, "own_pitch", False)
        speed = self._link.speed * asked.manner.speed
        pitch = self._link.pitch + asked.manner.pitch
        finisher = Finisher(
            asked.text,
            target_lufs=self._loudness_lufs,
            known=known,
            tempo=Tempo(1.0 if own_speed else speed, 0.0 if own_pitch else pitch),
            speed=speed if own_speed else 1.0,
        )
        return _Take(self.name, asked, finisher, self._mouth)

    async def _chunks(self, reader: _Reader, take: _Take) -> AsyncGenerator[RawSound, None]:
        """What the engine sends while it keeps the time-outs. Silence is no first sound, nothing is no more sound."""
        clock = asyncio.get_running_loop().time
        first, gap = self._link.first_sound_timeout_s, self._link.gap_timeout_s
        until = clock() + first
        while True:
            try:
                chunk = await reader.next(until)
            except VoiceError:
                raise
            except _Late:
                kind = f"no more sound for {gap:g} s" if take.heard else f"no sound within {first:g} s"
                key = "gap_timeout_s" if take.heard else "first_sound_timeout_s"
                raise VoiceError(f"{self.name}: {kind} ({key})") from None
            except Exception as err:
                raise VoiceError(f"{self.name}: the engine failed with {type(err).__name__}") from err
            if chunk is None:
                return
            if chunk.data or chunk.words:
                yield chunk
            if take.heard and chunk.data:
                until = clock() + gap

    async def _done(self, long: bool, work: Callable[..., T], *arguments: Any) -> T:
        """`work` in a thread when it is `long`."""
        if long and self._threads:
            return await asyncio.to_thread(work, *arguments)
        return work(*arguments)


class _Late(Exception):
    """Nothing came in time."""


class _Reader:
    """Iterates an engine's stream in a task of its own, which can be given up when the engine does not end."""

    def __init__(self, stream: AsyncIterator[RawSound]) -> None:
        self._queue: asyncio.Queue[RawSound | Exception | None] = asyncio.Queue(READ_AHEAD)
        self._task = asyncio.create_task(self._read(stream), name="voice engine")

    async def next(self, until: float) -> RawSound | None:
        """The next chunk, None at the end. Raises what the engine raised, or _Late at the loop's time `until`."""
        try:
            async with asyncio.timeout_at(until):
                item = await self._queue.get()
        except TimeoutError:
            raise _Late from None
        if isinstance(item, Exception):
            raise item
        return item

    async def close(self) -> bool:
        """Cancels the request; False when it has not ended in time."""
        self._task.cancel()
        _, pending = await asyncio.wait({self._task}, timeout=CLOSE_S)
        return not pending

    async def _read(self, stream: AsyncIterator[RawSound]) -> None:
        end: Exception | None = None
        try:
            async for chunk in stream:
                await self._queue.put(chunk)
        except Exception as err:
            end = err
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        await self._queue.put(end)


class _Take:
    """One piece being finished: its sound and its mouth. One thread at a time."""

    def __init__(self, name: str, piece: Piece, finisher: Finisher, mouth: MouthMaker) -> None:
        self._name = name
        self._piece = piece
        self._finisher = finisher
        self._make_mouth = mouth
        self._mouth: Mouth | None = None
        self._words: list[TimedWord] = []

    @property
    def heard(self) -> bool:
        return self._finisher.heard

    @property
    def level(self) -> tuple[Level, float]:
        return self._finisher.level

    def push(self, chunk: RawSound) -> Speech:
        self._words += chunk.words
        with self._named():
            pcm = self._finisher.push(chunk.data, chunk.rate, chunk.channels)
        return self._with_mouth(pcm, last=False)

    def finish(self) -> Speech:
        with self._named():
            pcm = self._finisher.finish()
        return self._with_mouth(pcm, last=True)

    def abandon(self) -> Speech:
        return self._with_mouth(self._finisher.abandon(), last=True)

    def _with_mouth(self, pcm: PcmArray, *, last: bool) -> Speech:
        if len(pcm) == 0:
            return Speech(pcm)
        moved = self._finisher.moved
        words = [replace(word, start=moved(word.start), end=moved(word.end)) for word in self._words]
        self._words = []
        try:
            if self._mouth is None:
                self._mouth = self._make_mouth(without_tags(self._piece.text), self._piece.language)
            phones = self._mouth.feed(pcm, last=last, words=words)
        except Exception:  # a sentence without lips is better than none
            log.exception("a sentence is spoken with a closed mouth", extra={"voice": self._name})
            self._mouth = _Closed()
            phones = self._mouth.feed(pcm, last=last)
        return Speech(pcm, phones)

    @contextlib.contextmanager
    def _named(self) -> Any:
        try:
            yield
        except VoiceError as err:
            raise VoiceError(f"{self._name}: {err}", retryable=err.retryable) from None


class _Closed:
    """A mouth that stays shut."""

    def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
        return (Phone("", Viseme.SIL, 0, len(pcm)),)


def _steps(chunk: RawSound) -> list[RawSound]:
    """A chunk in steps of at most `STEP_S`; the first brings the words."""
    size = max(2, round(STEP_S * chunk.rate * chunk.channels * 2))
    starts = range(0, max(1, len(chunk.data)), size)
    return [
        replace(chunk, data=chunk.data[start : start + size], words=() if start else chunk.words) for start in starts
    ]
