"""Sentences to sound: cuts them into pieces, asks the chain for them, and lets the next voice take over.

One `Maker` per utterance; director's event loop. Nothing here waits: `advance` starts all that may be started, and
every request is a task that calls it again when something has come of it.

Two requests at most are under way, and the second begins when the first has given sound: an engine behind a network
then works without a break, one that gives a piece at once (the embedded voice) is asked for one at a time, and a
link that is silent is asked once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from broadcaster.errors import VoiceError
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.languages import stretches
from broadcaster.speech.pacing import HEDGE_MARGIN_S, LARGEST, LATER, SOUND_PER_UNIT_S, Pacer, Size
from broadcaster.speech.packing import cut
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.slots import Cast, Sentence, Slot, State, Take
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Manner, Piece, Speech

log = logging.getLogger(__name__)

IN_FLIGHT: Final = 2

PIECE_ATTEMPTS: Final = 2
"""A piece that the last voice could not speak, for a reason that may pass, is asked once more."""

FAILURES_IN_A_ROW: Final = 2
"""So many pieces left out one behind the other mean that every voice is down, not that the text is bad."""

ENDED: Final = -1.0
"""What a source says at the end of the text."""

Source = Callable[[], str | float]
"""The next sentence; or the seconds after which to ask again; or ENDED."""


class Maker:
    """`slots` holds what was not let go in full, in order; the pipeline takes it from the front.

    `changed` is called whenever something may have become ready. `next_ask` numbers the requests: a request that is
    cancelled takes all with lower numbers along in the voice process, so no two may have the same.
    """

    def __init__(
        self,
        chain: ChainVoice,
        pacer: Pacer,
        source: Source,
        manner: Manner,
        *,
        paced: bool,
        look_ahead_s: float,
        next_ask: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self.slots: deque[Slot] = deque()
        self.ended = False
        self.error: VoiceError | None = None
        """Why the utterance cannot be spoken (to its end)."""
        self._chain = chain
        self._pacer = pacer
        self._source = source
        self._manner = manner
        self._paced = paced
        self._look_ahead_s = look_ahead_s
        self._next_ask = next_ask
        self._changed = changed
        self._clock = asyncio.get_running_loop().time
        self._tasks: set[asyncio.Task[None]] = set()
        self._sentence: Sentence | None = None
        self._rest = ""
        self._count = 0
        self._made = 0
        self._left_out_in_a_row = 0
        self._last_error: VoiceError | None = None

    async def close(self) -> None:
        """Cancels every request and waits until they are closed."""
        self.ended = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def whole(self, sentence: Sentence) -> bool:
        """Nothing of it is missing that was not let go."""
        mine = (slot for slot in self.slots if slot.sentence is sentence)
        return sentence.planned and all(slot.state is State.MADE for slot in mine)

    def ready_seconds(self) -> float:
        """Sound that is made, or nearly, and was not let go."""
        return sum(slot.samples - slot.given for slot in self.slots) / SAMPLE_RATE

    # -- what to do next ----------------------------------------------------------------------------------------

    def advance(self) -> float | None:
        """Starts all that may be started. Seconds after which to look again; None: at the next change."""
        wait: float | None = None
        while not self.ended:
            slot = next((slot for slot in self.slots if slot.state is State.WANTED), None)
            if not self._may_ask(slot):
                break
            if slot is not None:
                self._start(slot)
                continue
            planned = self._plan()
            if planned is None:
                continue
            if planned == ENDED:
                self._end_when_done()
            else:
                wait = planned
            break
        dry = self._hedge()
        return dry if wait is None else wait if dry is None else min(wait, dry)

    def _may_ask(self, slot: Slot | None) -> bool:
        """For `slot`, or for one behind all that there are."""
        asked = 0
        before = True
        for other in self.slots:
            before = before and other is not slot
            if other.state is State.ASKED:
                asked += 1
                if before and other.samples == 0:
                    return False
        return asked < IN_FLIGHT

    def _end_when_done(self) -> None:
        if all(slot.state is State.MADE for slot in self.slots):
            if self._made == 0:
                self.error = self._last_error
            self.ended = True
            self._changed()

    def _plan(self) -> float | None:
        """Makes the next piece's slot, or says how long to wait (ENDED: there is no more text)."""
        if self._sentence is None:
            text = self._source()
            if isinstance(text, float):
                return text
            language = "zh" if contains_han(text) or not any(c.isalpha() for c in text) else "en"
            self._sentence, self._rest = Sentence(text.strip(), language), text
        over = self._pacer.buffered(self._clock()) + self.ready_seconds() - self._look_ahead_s
        if over > 0:
            return over
        sentence = self._sentence
        cast = sentence.cast(sentence.language)
        if cast.link is None:
            cast.link = self._chain.choose(cast.language, cast.start)
        size = self._size(cast.link)
        end = cut(self._rest, size.minimum, size.maximum)
        text, self._rest = self._rest[:end], self._rest[end:]
        if spoken_units(text) > 0:
            self._pacer.began(spoken_units(text))
            self._add(sentence, cast, text)
        if not self._rest:
            sentence.planned = True
            self._sentence = None
            self._count += 1
        return None

    def _size(self, link: Link) -> Size:
        if not self._paced:
            return Size(LATER, LARGEST)
        self._pacer.speed = link.speed
        return self._pacer.size(self._clock(), self._coming_seconds())

    def _coming_seconds(self) -> float:
        """As `ready_seconds`, with the whole of each piece that has begun to come."""
        return sum(
            max((slot.samples - slot.given) / SAMPLE_RATE, slot.units * SOUND_PER_UNIT_S - slot.given / SAMPLE_RATE)
            if slot.state is State.ASKED and slot.samples
            else (slot.samples - slot.given) / SAMPLE_RATE
            for slot in self.slots
        )

    def _add(self, sentence: Sentence, cast: Cast, text: str) -> None:
        """One slot for the piece; several where its voice cannot speak all of its languages."""
        assert cast.link is not None
        parts = [(text, cast.language)]
        if not cast.link.languages.issuperset({"zh", "en"}):
            parts = [(part.text, part.language) for part in stretches(text, cast.language)]
        for number, (part, language) in enumerate(parts):
            if language in cast.link.languages:
                language = cast.language
            pause = pause_ms(part) if number < len(parts) - 1 else pause_ms(text)
            if spoken_units(part) > 0:
                piece = Piece(part.strip(), language, self._count, self._manner)
                self.slots.append(Slot(sentence, sentence.cast(language), piece, pause))

    # -- asking -------------------------------------------------------------------------------------------------

    def _start(self, slot: Slot) -> None:
        if slot.cast.link is None:
            slot.cast.link = self._chain.choose(slot.cast.language, slot.cast.start)
        slot.attempts += 1
        slot.state = State.ASKED
        slot.take = self._begin(slot, slot.cast.link)

    def _begin(self, slot: Slot, link: Link) -> Take:
        now = self._clock()
        take = Take(link, now, now + link.speed.predicted(slot.units))
        take.task = asyncio.create_task(self._ask(slot, take), name=f"speech by {link.name}")
        self._tasks.add(take.task)
        take.task.add_done_callback(self._tasks.discard)
        return take

    async def _ask(self, slot: Slot, take: Take) -> None:
        link = take.link
        try:
            async with closing(link.voice.speak(slot.piece, self._next_ask())) as stream:
                async for chunk in stream:
                    if len(chunk.pcm) and take in slot.takes():
                        self._heard(slot, take, chunk)
            if take.tape.samples == 0:
                raise VoiceError("the voice returned no sound", retryable=False)
        except VoiceError as err:
            self._failed(slot, take, err)
        except asyncio.CancelledError:
            link.breaker.released()
            raise
        except Exception as err:
            log.exception("a voice broke", extra={"voice": link.name})
            self._failed(slot, take, VoiceError(f"{type(err).__name__} inside of the voice"))
        else:
            self._finished(slot, take)
        self.advance()
        self._changed()

    def _heard(self, slot: Slot, take: Take, chunk: Speech) -> None:
        first = take.tape.samples == 0
        take.tape.append(chunk)
        if first and slot.hedge is not None:
            self._settle(slot, take)
        if first:
            self.advance()
        self._changed()

    def _finished(self, slot: Slot, take: Take) -> None:
        self._chain.spoke(take.link, slot.units, self._clock() - take.began)
        for link, err in slot.refused_by:
            self._chain.failed(link, err)  # another voice could say it
        slot.refused_by.clear()
        slot.state = State.MADE
        self._made += 1
        self._left_out_in_a_row = 0

    # -- when the air runs dry ----------------------------------------------------------------------------------

    def _hedge(self) -> float | None:
        """Begins a second take of the first missing piece when only the embedded voice can still be in time.

        Only that one: it costs nothing but processor time, its speed is known best, and another link that is asked
        in parallel would be paid for twice. The seconds until then, or None.
        """
        ahead = 0
        for slot in self.slots:
            if slot.state is State.MADE:
                ahead += slot.samples - slot.given
                continue
            break
        else:
            return None
        last = self._chain.last
        waits = slot.state is State.ASKED and slot.samples == 0 and slot.hedge is None
        if not (self._paced and self._pacer.started and waits) or slot.take is None or slot.take.link is last:
            return None
        if any(take.link is last for other in self.slots if other.state is State.ASKED for take in other.takes()):
            return None  # it speaks one piece at a time
        in_hand = self._pacer.buffered(self._clock()) + ahead / SAMPLE_RATE
        left = in_hand - last.speed.predicted(slot.units) - HEDGE_MARGIN_S
        if left > 0:
            return left
        slot.hedge = self._begin(slot, last)
        return None

    def _settle(self, slot: Slot, winner: Take) -> None:
        """Of two takes the one that gave sound first goes on."""
        loser = slot.take if winner is slot.hedge else slot.hedge
        assert loser is not None
        _cancel(loser)
        slot.take, slot.hedge = winner, None
        if winner.link is self._chain.last:
            self._to_last(slot.cast)
            self._chain.failed(loser.link, VoiceError("it had given nothing when the air ran dry"))

    def _to_last(self, cast: Cast) -> None:
        cast.link = self._chain.last
        cast.start = len(self._chain.links) - 1

    # -- taking over --------------------------------------------------------------------------------------------

    def _failed(self, slot: Slot, take: Take, err: VoiceError) -> None:
        """`take` gives nothing (more). A text that it refuses counts against the link only if another speaks it."""
        self._last_error = err
        refusal = not err.retryable and not err.denied
        if refusal:
            take.link.breaker.released()
            slot.refused_by.append((take.link, err))
        else:
            self._chain.failed(take.link, err)
        if take is slot.hedge:
            slot.hedge = None
            return
        if slot.hedge is not None:
            slot.take, slot.hedge = slot.hedge, None
            self._to_last(slot.cast)
            return
        behind = self._chain.behind(take.link)
        if behind is not None:
            log.info("another voice takes over", extra={"voice": take.link.name, "reason": str(err)})
            self._take_over(slot, behind)
        elif err.retryable and slot.attempts < PIECE_ATTEMPTS:
            self._again(slot)
        else:
            self._leave_out(slot, err)

    def _take_over(self, slot: Slot, behind: int) -> None:
        """The next voice says the sentence from its start if nothing of it was let go, else from this piece on."""
        cast = slot.cast
        cast.link, cast.start = None, behind
        slot.attempts = 0
        whole = slot.sentence.number is None
        later = whole
        for other in list(self.slots):
            if other is slot:
                later = True
            elif later and other.cast is cast and other.state is not State.WANTED:
                self._reset(other)
        self._again(slot)

    def _again(self, slot: Slot) -> None:
        """Asks for the piece once more; if it was cut inside, what was let go of it is faded out before."""
        if slot.given == 0:
            self._reset(slot)
            return
        self._chain.repeated += 1
        copy = replace(slot, state=State.WANTED, take=None, hedge=None, given=0)
        slot.close_cut()
        self.slots.insert(self.slots.index(slot) + 1, copy)

    def _leave_out(self, slot: Slot, err: VoiceError) -> None:
        self._chain.left_out += 1
        self._left_out_in_a_row += 1
        log.warning("a piece of speech was left out", extra={"reason": str(err), "sentence": slot.piece.sentence})
        if slot.given:
            slot.close_cut()
        else:
            self.slots.remove(slot)
        if self._left_out_in_a_row >= FAILURES_IN_A_ROW and err.retryable:
            self.error = err
            self.ended = True
            for other in list(self.slots):
                if other.state is not State.MADE:
                    self._reset(other)
                    self.slots.remove(other)

    def _reset(self, slot: Slot) -> None:
        """Back to the state before it was asked for."""
        for take in slot.takes():
            if take.task is not asyncio.current_task():
                _cancel(take)
        self._made -= slot.state is State.MADE
        slot.take = slot.hedge = None
        slot.state = State.WANTED


def _cancel(take: Take) -> None:
    if take.task is not None:
        take.task.cancel()


@contextlib.asynccontextmanager
async def closing(iterator: Any) -> Any:
    """Closes an async generator at the end of the block; other iterators have nothing to close."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
