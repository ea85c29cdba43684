"""The whole of `speech/` as the director sees it: port `Speaker`. Director's event loop.

Three things go on at once for an utterance: text is read and cut into sentences; pieces of them are made by the
chain of voices (see `making`); what is made is let go when the pacing says so. A sentence that is not whole yet is
let go late, and inside a piece only while nothing is in hand: then another voice can still take it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from broadcaster.ports import Hands, Voice
from broadcaster.speech import words
from broadcaster.speech.chain import ChainVoice
from broadcaster.speech.dsp.sound import with_pause
from broadcaster.speech.making import Maker, closing
from broadcaster.speech.pacing import AHEAD_S, LET_GO_S, PREBUFFER_S, SHORTEST_PACKAGE, Pacer
from broadcaster.speech.slots import TAIL, Slot, State
from broadcaster.speech.supply import Supply
from broadcaster.types import PLAIN, SAMPLE_RATE, Manner, SpokenPiece

log = logging.getLogger(__name__)

SHORTEST_WAIT_S: Final = 0.001


class PacedSpeaker:
    """Port `Speaker` over a chain, or over one voice. What it learns of speeds is kept for the next utterance.

    Without `paced` (off-line rendering) nothing is held back but whole sentences, and the pieces are the same
    whatever the machine's speed. `cache` is a private folder for jieba's dictionary.
    """

    def __init__(
        self,
        voice: ChainVoice | Voice,
        *,
        paced: bool = True,
        cache: Path | None = None,
        look_ahead_s: float = AHEAD_S,
        shortest: float = SHORTEST_PACKAGE,
    ) -> None:
        self.chain = voice if isinstance(voice, ChainVoice) else ChainVoice.of(voice)
        self._paced = paced
        self._cache = cache
        self._look_ahead_s = look_ahead_s
        self._shortest = shortest
        self._asks = 0

    async def warm(self) -> None:
        """Loads the word list; the first utterance does it otherwise, and is 0.5 s late."""
        if not words.loaded():
            await asyncio.to_thread(words.load, self._cache)

    async def speak(
        self,
        text: AsyncIterator[str],
        generation: int,
        manner: Manner = PLAIN,
        hands: Hands | None = None,
    ) -> AsyncIterator[SpokenPiece]:
        """Paced pieces of `text`, each with the pause behind it.

        `last` is set on the last piece when that is known in time; the end of the iterator is what counts. Raises
        VoiceError when every voice is down, or when nothing of a text could be spoken.
        """
        await self.warm()
        self._asks = max(self._asks, generation)
        run = _Utterance(self.chain, manner, self._paced, self._look_ahead_s, self._shortest, self._next_ask, hands)
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

    def _next_ask(self) -> int:
        self._asks += 1
        return self._asks


class _Utterance:
    """The state of one `speak`; all methods run in one event loop."""

    def __init__(
        self,
        chain: ChainVoice,
        manner: Manner,
        paced: bool,
        look_ahead_s: float,
        shortest: float,
        next_ask: Callable[[], int],
        hands: Hands | None,
    ) -> None:
        self._paced = paced
        self._clock = asyncio.get_running_loop().time
        unheard, lips = (hands.unheard, hands.lips) if hands is not None else (_nothing, _nothing)
        self._pacer = Pacer(chain.links[0].speed, unheard, lips, shortest)
        self._supply = Supply(self._pacer, self._clock, paced=paced, shortest=shortest)
        self._pulse = asyncio.Event()
        self._held_since: float | None = None
        self._sentences = 0
        self._maker = Maker(
            chain, self._pacer, self._supply, manner,
            paced=paced, look_ahead_s=look_ahead_s, next_ask=next_ask, changed=self._notify,
        )  # fmt: skip

    # -- text -----------------------------------------------------------------------------------------------------

    async def read(self, text: AsyncIterator[str]) -> None:
        try:
            async with closing(text):
                async for delta in text:
                    self._supply.feed(delta)
                    self._notify()
        finally:
            self._supply.finish()
            self._notify()

    # -- making ---------------------------------------------------------------------------------------------------

    async def make(self) -> None:
        """Raises VoiceError when the utterance cannot be spoken (to its end)."""
        try:
            while not self._maker.ended:
                wait = self._maker.advance()
                if not self._maker.ended:
                    await self._change(wait)
            if self._maker.error is not None:
                raise self._maker.error
        finally:
            await self._maker.close()
            self._notify()

    # -- release --------------------------------------------------------------------------------------------------

    async def next(self) -> SpokenPiece | None:
        """The next sound when it may go on air; None at the end."""
        while True:
            wait: float | None = None
            if self._maker.slots:
                slot = self._maker.slots[0]
                wait = self._wait(slot)
                if wait is not None and wait <= 0:
                    return self._let_go(slot)
            elif self._maker.ended:
                return None
            await self._change(wait)

    def _let_go(self, slot: Slot) -> SpokenPiece:
        assert slot.take is not None
        self._held_since = None
        if slot.state is State.MADE:
            speech = with_pause(slot.take.tape.cut(slot.given, slot.samples), slot.pause_ms)
            self._maker.slots.popleft()
        else:
            speech = slot.take.tape.cut(slot.given, slot.samples - TAIL)
        slot.given += len(speech.pcm)
        sentence = slot.sentence
        opens = None
        if sentence.number is None:
            opens, sentence.number = sentence.text, self._sentences
            self._sentences += 1
        now = self._clock()
        self._pacer.released(now, len(speech.pcm) / SAMPLE_RATE)
        self._notify()
        last = self._maker.ended and not self._maker.slots
        return SpokenPiece(sentence.number, opens, speech, slot.engine, last, slot.times(now))

    def _wait(self, slot: Slot) -> float | None:
        """Seconds until something of the first piece may be let go; None: not before something changes."""
        whole = self._maker.whole(slot.sentence)
        if not self._paced:
            return 0.0 if whole else None
        now = self._clock()
        buffered = self._pacer.buffered(now)
        if slot.state is State.MADE:
            if slot.given:
                return 0.0
            early = buffered - LET_GO_S - self._pacer.lips()
            if early > 0 and not whole:
                return early
            return self._hold(now, slot, slot.samples / SAMPLE_RATE)
        return self._stream(now, slot, buffered)

    def _stream(self, now: float, slot: Slot, buffered: float) -> float | None:
        """Of a piece that is still coming. It is begun only when nothing else is in hand and it will not run dry."""
        more = (slot.samples - TAIL - slot.given) / SAMPLE_RATE
        if slot.take is None or more <= 0:
            return None
        if slot.given and buffered > 0:
            return 0.0
        if more < PREBUFFER_S:
            return None
        if slot.given:
            return 0.0
        if (early := buffered - self._pacer.lips()) > 0:
            return early
        sounds_s = max(slot.seconds, more)
        late_by = slot.take.due - now - sounds_s
        return late_by if late_by > 0 else self._hold(now, slot, sounds_s)

    def _hold(self, now: float, slot: Slot, sounds_s: float) -> float:
        """A piece is held back when the one behind it would come too late after it."""
        behind = self._maker.slots[1] if len(self._maker.slots) > 1 else None
        if behind is None or behind.take is None or behind.state is not State.ASKED:
            return 0.0
        if self._held_since is None:
            self._held_since = now
        return self._pacer.hold(now, now - self._held_since, sounds_s, behind.take.due - now)

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


def _nothing() -> float:
    return 0.0
