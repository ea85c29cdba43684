"""Pieces of sentences to sound: asks the chain for them, and lets the next voice take over.

One `Maker` per utterance; director's event loop. Nothing here waits: `advance` starts all that may be started, and
every request is a task that calls it again when something has come of it.

Two requests at most are under way, and the second begins when the first has given sound: an engine behind a network
then works without a break, one that gives a piece at once (the embedded voice) is asked for one at a time, and a
link that is silent is asked once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from broadcaster.errors import VoiceError
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pacing import HEDGE_MARGIN_S, Pacer
from broadcaster.speech.planning import Planner
from broadcaster.speech.slots import Sentence, Slot, State, Take
from broadcaster.speech.supply import ENDED, Supply
from broadcaster.types import SAMPLE_RATE, Manner, Speech

log = logging.getLogger(__name__)

IN_FLIGHT: Final = 2

PIECE_ATTEMPTS: Final = 2
"""A piece that the last voice could not speak, for a reason that may pass, is asked once more."""

FAILURES_IN_A_ROW: Final = 2
"""So many pieces left out one behind the other mean that every voice is down, not that the text is bad."""

LATE_S: Final = 1.0
"""When the air runs dry no engine is waited for longer than this without a sound, however slow it usually is."""

STALLED_S: Final = 0.5
"""A piece that has begun to come and then gives nothing for so long may not come at all."""

REVIVED: Final = SAMPLE_RATE * 50 // 1000
"""Samples. A late voice that gives less is not back: what it gives up ends with 20 ms that fade out."""


class Maker:
    """`slots` holds what was not let go in full, in order; the pipeline takes it from the front.

    `changed` is called whenever something may have become ready. `next_ask` numbers the requests: a request that is
    cancelled takes all with lower numbers along in the voice process, so no two may have the same.
    """

    def __init__(
        self,
        chain: ChainVoice,
        pacer: Pacer,
        supply: Supply,
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
        self._paced = paced
        self._planner = Planner(chain, pacer, supply, manner, self.slots, paced=paced, look_ahead_s=look_ahead_s)
        self._next_ask = next_ask
        self._changed = changed
        self._clock = asyncio.get_running_loop().time
        self._tasks: set[asyncio.Task[None]] = set()
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
            planned = self._planner.plan()
            if planned is None:
                continue
            if planned == ENDED:
                self._end_when_done()
            else:
                wait = planned
            break
        dry = None if self.ended else self._hedge()
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

    # -- asking -------------------------------------------------------------------------------------------------

    def _start(self, slot: Slot) -> None:
        if slot.cast.link is None:
            slot.cast.link = self._chain.choose(slot.cast.language, slot.cast.start)
        if slot.attempts == 0 and slot.again:
            self._planner.recut(slot, slot.cast.link)
        slot.attempts += 1
        slot.state = State.ASKED
        slot.take = self._begin(slot, slot.cast.link)

    def _begin(self, slot: Slot, link: Link) -> Take:
        now = self._clock()
        needs = link.speed.predicted(slot.units)
        take = Take(slot, link, now, due=now + needs, late=now + min(needs, 2 * link.first_s, LATE_S), heard_at=now)
        take.task = asyncio.create_task(self._ask(take), name=f"speech by {link.name}")
        self._tasks.add(take.task)
        take.task.add_done_callback(self._tasks.discard)
        return take

    async def _ask(self, take: Take) -> None:
        link = take.link
        try:
            async with closing(link.voice.speak(take.slot.piece, self._next_ask())) as stream:
                async for chunk in stream:
                    if len(chunk.pcm) and take in take.slot.takes():
                        self._heard(take, chunk)
            if take.tape.samples == 0:
                raise VoiceError("the voice returned no sound", retryable=False)
        except VoiceError as err:
            self._failed(take, err)
        except asyncio.CancelledError:
            link.breaker.released()
            raise
        except Exception as err:
            log.exception("a voice broke", extra={"voice": link.name})
            self._failed(take, VoiceError(f"{type(err).__name__} inside of the voice"))
        else:
            self._finished(take)
        self._look()

    def _heard(self, take: Take, chunk: Speech) -> None:
        take.kept = chunk.kept
        if take.tape.samples == 0 and not take.kept:
            self._chain.sounded(take.link, self._clock() - take.began)
        take.tape.append(chunk)
        take.heard_at = self._clock()
        if take.first_at is None:
            take.first_at = take.heard_at
        if take.slot.hedge is not None and (take is take.slot.hedge or len(chunk.pcm) >= REVIVED):
            self._settle(take)
        # Not at once: a voice that gives a piece whole ends it in the same breath, and its speed is learned first.
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self.advance()
        self._changed()

    def _finished(self, take: Take) -> None:
        slot = take.slot
        if slot.hedge is not None:
            self._settle(take)
        if take.kept:
            self._chain.recalled(take.link)
        else:
            self._chain.spoke(take.link, slot.units, self._clock() - take.began)
        take.link.sound.observe(slot.piece, take.tape.seconds)
        for link, err in slot.refused_by:
            self._chain.failed(link, err)  # another voice could say it
        slot.refused_by.clear()
        slot.state = State.MADE
        self._made += 1
        self._left_out_in_a_row = 0

    # -- when the air runs dry ----------------------------------------------------------------------------------

    def _hedge(self) -> float | None:
        """Begins a second take of the first missing piece when it is late and the air is about to run dry.

        Of the embedded voice only: it costs nothing but processor time, its speed is known best, and another link
        that is asked in parallel would be paid for twice. The seconds until then, or None.
        """
        slot = next((slot for slot in self.slots if slot.state is not State.MADE), None)
        last = self._chain.last
        if slot is None or slot.state is not State.ASKED or slot.hedge is not None or slot.take is None:
            return None
        if not self._paced or not self._pacer.started or self._busy(last):
            return None
        now = self._clock()
        quiet_for = (slot.take.heard_at + STALLED_S if slot.samples else slot.take.late) - now
        if quiet_for > 0:
            return quiet_for
        in_hand = self._pacer.buffered(now) + self._seconds_before(slot) + (slot.samples - slot.given) / SAMPLE_RATE
        left = in_hand - last.speed.predicted(slot.units) - HEDGE_MARGIN_S
        if left > 0:
            return left
        slot.hedge = self._begin(slot, last)
        return None

    def _busy(self, link: Link) -> bool:
        asked = (slot for slot in self.slots if slot.state is State.ASKED)
        return any(take.link is link for slot in asked for take in slot.takes())

    def _seconds_before(self, slot: Slot) -> float:
        before = itertools.takewhile(lambda other: other is not slot, self.slots)
        return sum(other.samples - other.given for other in before) / SAMPLE_RATE

    def _settle(self, winner: Take) -> None:
        """Of two takes the one that gave sound first goes on."""
        slot = winner.slot
        assert slot.take is not None
        assert slot.hedge is not None
        if winner is slot.take:
            _cancel(slot.hedge)
            slot.hedge = None
            return
        loser = slot.take
        _cancel(loser)
        self._to_last(slot)
        self._chain.failed(loser.link, VoiceError("it gave nothing and the air ran dry"))
        if slot.given:
            slot = self._cut(slot)
            slot.state = State.ASKED
        slot.take, slot.hedge, winner.slot = winner, None, slot

    def _to_last(self, slot: Slot) -> None:
        """The embedded voice says the rest of the sentence. What is made already is kept: the air is dry."""
        cast = slot.cast
        cast.link, cast.start = self._chain.last, len(self._chain.links) - 1
        for other in list(self.slots):
            if other is not slot and other.cast is cast and other.state is State.ASKED and other.given == 0:
                self._reset(other)

    # -- taking over --------------------------------------------------------------------------------------------

    def _failed(self, take: Take, err: VoiceError) -> None:
        """`take` gives nothing (more). A text that it refuses counts against the link only if another speaks it."""
        slot = take.slot
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
            self._to_last(slot)
            hedge = slot.hedge
            if slot.given:
                slot = self._cut(slot)
                slot.state = State.ASKED
            slot.take, slot.hedge, hedge.slot = hedge, None, slot
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
                other.attempts = 0
        self._again(slot)

    def _again(self, slot: Slot) -> None:
        """Asks for the piece once more; if it was cut inside, what was let go of it is faded out before."""
        if slot.given == 0:
            self._reset(slot)
            return
        self._cut(slot)

    def _cut(self, slot: Slot) -> Slot:
        """The slot behind `slot` in which all of its piece is said once more."""
        self._chain.repeated += 1
        again = slot.cut_inside()
        self.slots.insert(self.slots.index(slot) + 1, again)
        return again

    def _leave_out(self, slot: Slot, err: VoiceError) -> None:
        if not err.retryable and slot.given == 0:
            self._reset(slot)
            slot.attempts = 0
            if self._planner.apart(slot):
                return
        self._chain.left_out += 1
        self._left_out_in_a_row += 1
        log.warning("a piece of speech was left out", extra={"reason": str(err), "sentence": slot.piece.sentence})
        if slot.given:
            slot.cut_inside()
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
        slot.again = True


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
