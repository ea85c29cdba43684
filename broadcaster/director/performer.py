"""From a prompt to sound: gate, brain, gate again for every sentence, voice. One utterance at a time.

Director's event loop. Cancelling `perform` closes the brain's stream and the voice's, in that order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from broadcaster.director.bridge import Bridge
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.director.pulse import Pulse
from broadcaster.director.rundown import Rundown
from broadcaster.director.sentences import Sentences, sentences_of
from broadcaster.director.trace import Tracer
from broadcaster.director.utterance import Utterance
from broadcaster.errors import BrainError, JournalError, Stale, VoiceError
from broadcaster.journal import Journal, Line
from broadcaster.ports import Gate, Hands, Mind, Speaker
from broadcaster.types import Inbound, Origin, PromptKind, SpokenPiece, Verdict, VerdictKind

log = logging.getLogger(__name__)

REPLY_CHARACTERS: Final = 2000
"""A model that does not stop is stopped here, at the end of a sentence: eight minutes of speech."""

CLAUSE_AFTER_S: Final = 0.35
"""A sentence that is still being written after so long goes on air clause by clause when nothing else is in hand. A
model of the usual speed has written it by then, and whole sentences are better judged, and better spoken."""

CLAUSE_BELOW_S: Final = 2.0
"""Sound in hand, of all utterances, below which a clause is not waited for any longer."""

OPENING: Final = "opening"
"""Origin of what is said before an answer: who asks what."""

_REFUSED: Final = (VerdictKind.DROP, VerdictKind.HOLD)

VOICE_PATIENCE_S: Final = 120.0
"""A prompt waits this long for a voice that fails (it is restarted meanwhile), counted from its last sound."""

VOICE_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0)
PIECE_PATIENCE_S: Final = 300.0
"""A speaker that gives nothing for so long though it has text counts as failed; its own time-outs come first."""

NOTE_PATIENCE_S: Final = 0.5
"""The first sound waits this long for the journal to know that it was begun; a slow disk must not be heard."""


class Skip(Exception):
    """The prompt will not be spoken (any further); the text is a `SkipReason`."""


@dataclass(slots=True)
class Health:
    """How the voice is doing, for the status and the alarms."""

    voice_engine: str = ""
    voice_error: str = ""


class Performer:
    """`hands` tells the speaker how much playout holds and how soon the head is ready."""

    def __init__(
        self,
        gate: Gate,
        mind: Mind,
        speaker: Speaker,
        journal: Journal,
        rundown: Rundown,
        pulse: Pulse,
        hands: Hands,
        tracer: Tracer,
        changed: Callable[[], None] = lambda: None,
        end_to_end: EndToEndDesk | None = None,
        bridge: Bridge | None = None,
    ) -> None:
        self.health = Health()
        self.voice_failures = 0
        self._gate = gate
        self._mind = mind
        self._speaker = speaker
        self._journal = journal
        self._rundown = rundown
        self._pulse = pulse
        self._hands = hands
        self._tracer = tracer
        self._changed = changed
        self._end_to_end = end_to_end
        self._bridge = bridge
        self._notes: set[asyncio.Task[None]] = set()
        # Above what an earlier director of this boot used, whose cancellations the voice still remembers.
        self._runs = itertools.count(time.monotonic_ns() // 1_000_000)

    async def perform(self, utterance: Utterance) -> None:
        """Returns when all sound of the utterance is with the rundown, or it was dropped there."""
        self._tracer.begun(utterance.prompt)
        noted = asyncio.create_task(self._note_start(utterance))
        self._notes.add(noted)
        noted.add_done_callback(self._notes.discard)
        writing: asyncio.Task[None] | None = None
        try:
            if utterance.resumes and self._bridge is not None:
                await self._bridge.lay(utterance)
                self._rundown.admitted(utterance)
            if not utterance.script.closed:
                writing = await self._begin_script(utterance)
            await self._speak(utterance, noted)
            if writing is not None:
                await writing
            if not utterance.texts:
                raise Skip("stale" if utterance.stale else "empty")
            self._rundown.complete(utterance)
        except Skip as skip:
            self._rundown.drop(utterance, str(skip))
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await writing

    async def _note_start(self, utterance: Utterance) -> None:
        try:
            await self._journal.start(utterance.id)
        except JournalError:
            pass  # told by the journal itself; the worst is that a restart says this prompt once more

    # -- the script -------------------------------------------------------------------------------------------

    async def _begin_script(self, utterance: Utterance) -> asyncio.Task[None] | None:
        prompt = utterance.prompt
        verdict = await self._heard(prompt)
        utterance.note = verdict.reason
        _refuse(verdict)
        if prompt.kind is PromptKind.SAY:
            for sentence in sentences_of(verdict.text):
                self._add(utterance, Verdict(verdict.kind, sentence, verdict.reason))
            self._close(utterance)
            return None
        if prompt.kind is PromptKind.ASK and await self._answered_with_sound(utterance, verdict.text):
            return None
        return asyncio.create_task(self._write_reply(utterance, verdict.text))

    async def _heard(self, prompt: Inbound) -> Verdict:
        """What a moderator has let through is not judged once more; what the host makes of it is."""
        if prompt.approved:
            return Verdict(VerdictKind.PASS, prompt.text)
        if prompt.kind is PromptKind.ASK:
            return (await self._gate.hear([prompt.text], prompt.origin))[0]
        return await self._gate.admit(prompt.text, prompt.origin)

    async def _answered_with_sound(self, utterance: Utterance, question: str) -> bool:
        """Whether an end-to-end voice has answered. What it says has passed the gate, and the script is whole."""
        if self._end_to_end is None:
            return False
        asked = replace(utterance.prompt, text=question)
        reply = await self._end_to_end.answer(asked, lambda: self._mind.turn(asked))
        if reply is None:
            return False
        self._tracer.written(utterance.id, reply.voice)
        for verdict in reply.verdicts:
            self._add(utterance, verdict)
        self._close(utterance)
        utterance.sound = reply.pieces
        return True

    async def _write_reply(self, utterance: Utterance, question: str) -> None:
        """Ends with a closed script, whatever happens; what a broken stream left unfinished is not spoken."""
        asked = replace(utterance.prompt, text=question)
        try:
            for sentence in sentences_of(self._mind.opening(asked)):
                await self._admit(utterance, sentence, OPENING)
            await self._take_reply(utterance, asked)
        except Stale:
            utterance.stale = not utterance.script.lines
        except BrainError:
            pass  # told by the mind itself; what there is of the answer is spoken
        finally:
            self._close(utterance)

    async def _take_reply(self, utterance: Utterance, asked: Inbound) -> None:
        clock = asyncio.get_running_loop().time
        cutter = Sentences()
        length = 0
        opened = len(utterance.script.lines)
        brain = begun = ""
        since: float | None = None
        try:
            async with _closing(self._mind.reply(asked)) as written:
                async for part in written:
                    if brain and part.brain != brain:  # that one broke off within its first sentence
                        if len(utterance.script.lines) > opened:
                            return  # a clause of it may be on air already, and nobody else goes on with it
                        cutter, since, begun = Sentences(), None, ""
                    brain = part.brain
                    self._tracer.written(utterance.id, brain)
                    since = clock() if since is None else since
                    found = cutter.feed(part.text)
                    clause = ""
                    if not found and clock() - since >= CLAUSE_AFTER_S and self._starving(utterance):
                        clause = cutter.clause()
                    for sentence in [clause] if clause else found:
                        await self._admit(utterance, sentence, brain, begun)
                        length += len(sentence)
                        since = clock()
                        begun = clause
                    if length > REPLY_CHARACTERS:
                        return
        except BrainError:
            for sentence in cutter.whole():
                await self._admit(utterance, sentence, brain, begun)
            raise
        for sentence in cutter.rest():
            await self._admit(utterance, sentence, brain, begun)

    def _starving(self, utterance: Utterance) -> bool:
        """Everything of it that was admitted is on its way to air, and that is not much. With a broadcast delay there
        is time for whole sentences."""
        if self._rundown.delayed:
            return False
        admitted = utterance.script.text.rstrip()
        return utterance.cursor >= len(admitted) and self._hands.unheard() < CLAUSE_BELOW_S

    async def _admit(self, utterance: Utterance, sentence: str, brain: str, begun: str = "") -> None:
        """`begun` is the clause of the same sentence that went before it: the whole must pass as well."""
        origin = Origin(source=brain)
        verdict = await self._gate.admit(sentence, origin)
        if verdict.kind not in _REFUSED and begun:
            whole = await self._gate.admit(begun + sentence, origin)
            verdict = rest_of(whole, await self._gate.admit(begun, origin), verdict, len(begun))
        if verdict.kind not in _REFUSED:
            self._add(utterance, verdict)

    def _add(self, utterance: Utterance, verdict: Verdict) -> None:
        if verdict.text.strip():
            self._tracer.written(utterance.id, "")
            self._journal.line(utterance.id, len(utterance.script.lines), verdict)
            utterance.script.add(Line(verdict.text, verdict.kind.value))
            self._rundown.admitted(utterance)

    def _close(self, utterance: Utterance) -> None:
        utterance.script.close()
        self._journal.script_complete(utterance.id)

    # -- the sound --------------------------------------------------------------------------------------------

    async def _speak(self, utterance: Utterance, noted: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        progress = loop.time()
        while True:
            before = utterance.made
            try:
                await self._run(utterance, noted)
            except VoiceError as err:
                self._voice_failed(err)
                if utterance.made > before:
                    failures, progress = 0, loop.time()
                if not err.retryable or loop.time() - progress > VOICE_PATIENCE_S:
                    raise Skip("voice") from err
                await asyncio.sleep(VOICE_RETRY_S[min(failures, len(VOICE_RETRY_S) - 1)])
                failures += 1
                continue
            return

    async def _run(self, utterance: Utterance, noted: asyncio.Task[None]) -> None:
        """One run of the speaker, from the first sentence that is not in hand in full."""
        if utterance.sound:
            await self._give_sound(utterance, noted)
            return
        start, base = utterance.rewind()
        text = utterance.script.read(start)
        spoken = self._speaker.speak(text, next(self._runs), utterance.prompt.manner, self._hands)
        async with _closing(spoken) as pieces:
            while (piece := await self._next(pieces, utterance)) is not None:
                if not noted.done():
                    await asyncio.wait({noted}, timeout=NOTE_PATIENCE_S)
                self._voice_well(piece.engine)
                self._give(utterance, piece, base)
                await self._room()

    async def _give_sound(self, utterance: Utterance, noted: asyncio.Task[None]) -> None:
        """Of an end-to-end voice: all of it is there."""
        await asyncio.wait({noted}, timeout=NOTE_PATIENCE_S)
        for piece in utterance.sound:
            self._give(utterance, piece, 0)
            await self._room()
        utterance.sound = ()

    def _give(self, utterance: Utterance, piece: SpokenPiece, base: int) -> None:
        self._rundown.give(utterance, piece, base)
        self._tracer.given(utterance.id, utterance.packages - 1, piece.times, piece.engine)

    async def _next(self, pieces: AsyncIterator[SpokenPiece], utterance: Utterance) -> SpokenPiece | None:
        step = asyncio.ensure_future(anext(pieces, None))
        try:
            while not step.done():
                had_all = utterance.script.closed
                await asyncio.wait({step}, timeout=PIECE_PATIENCE_S)
                if not step.done() and had_all:
                    raise VoiceError(f"no sound for {PIECE_PATIENCE_S:.0f} s")
            return step.result()
        finally:
            if not step.done():
                step.cancel()
                with contextlib.suppress(asyncio.CancelledError, VoiceError):
                    await step

    async def _room(self) -> None:
        """Waits while more than enough sound is in hand."""
        while (over := self._rundown.seconds_over()) > 0:
            await self._pulse.wait(timeout=over)

    # -- edges ------------------------------------------------------------------------------------------------

    def _voice_failed(self, err: VoiceError) -> None:
        self.voice_failures += 1
        if not self.health.voice_error:
            log.warning("the voice failed; trying again", extra={"reason": str(err)})
        self.health.voice_error = str(err)
        self._changed()

    def _voice_well(self, engine: str) -> None:
        self.health.voice_engine = engine
        if self.health.voice_error:
            log.info("the voice speaks again", extra={"engine": engine})
            self.health.voice_error = ""
            self._changed()


def rest_of(whole: Verdict, first: Verdict, rest: Verdict, begun: int) -> Verdict:
    """What may be said of a sentence whose `first` clause went before: not the end of a word that began there either.
    `whole` is the verdict on both, `rest` the one on what comes now; `begun` characters were written of the first."""
    if whole.kind in _REFUSED:
        return whole
    if whole.text == first.text + rest.text:
        return rest
    tail = whole.text[begun:]
    if whole.kind is VerdictKind.MASK and len(tail) == len(rest.text):  # a star for every character
        return Verdict(VerdictKind.MASK, tail, whole.reason)
    return Verdict(VerdictKind.DROP, "", whole.reason)


def _refuse(verdict: Verdict) -> None:
    if verdict.kind is VerdictKind.DROP:
        raise Skip("dropped")
    if verdict.kind is VerdictKind.HOLD:
        raise Skip("held")
    if not verdict.text.strip():
        raise Skip("empty")


@contextlib.asynccontextmanager
async def _closing(iterator: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Closes an async generator at the end of the block; other iterators have nothing to close."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
