"""A question answered by a model with a voice of its own: asked, held, gated, finished. Director's event loop.

Nothing of its sound leaves here before the gate has passed every sentence of its transcript. Whatever goes wrong is
told in the log, and the caller goes on with brain and voice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from broadcaster.director.sentences import sentences_of
from broadcaster.errors import AdapterError, BrainError, VoiceError
from broadcaster.ports import Breaker, EndToEnd, Gate
from broadcaster.redact import whereabouts
from broadcaster.types import (
    Inbound,
    Origin,
    PieceTimes,
    RawSound,
    Speech,
    SpokenPiece,
    Turn,
    Usage,
    Verdict,
    VerdictKind,
)

log = logging.getLogger(__name__)

LONGEST_S: Final = 120.0
"""Of one answer's sound; a model that talks longer is not a host, and its sound is held in memory."""

LONGEST_TEXT: Final = 2000
"""Characters of one transcript."""

LEAST_S: Final = 1.0
"""With less than that left of the time that all of them share nobody is asked any more."""

_END: Final = object()

Finish = Callable[[str, Sequence[RawSound], Sequence[str]], list[tuple[int, Speech]]]
"""(name of the voice, its sound, the sentences of its transcript) -> pieces with their sentence's number. Blocking,
raises VoiceError."""


@dataclass(slots=True)
class Guest:
    """One end-to-end voice: its engine, its breaker, its deadlines in seconds from the question. Prices are per
    million tokens."""

    name: str
    engine: EndToEnd
    breaker: Breaker
    first_sound_timeout_s: float
    total_timeout_s: float
    price_in: float = 0.0
    price_out: float = 0.0
    answered: int = 0
    failures: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """`verdicts` are the sentences that may be spoken. Without `pieces` the channel's own voice speaks them: the gate
    did not pass all that the sound says."""

    voice: str
    verdicts: tuple[Verdict, ...]
    pieces: tuple[SpokenPiece, ...] = ()


@dataclass(slots=True)
class _Taken:
    sounds: list[RawSound] = field(default_factory=list)
    seconds: float = 0.0
    text: str = ""


class EndToEndDesk:
    """`guests` are asked in order. `spent` is told what every answer took, `affordable` whether a guest may be asked.

    `clean` takes out of a transcript what must not be spoken and raises BrainError where nothing is left; sound that
    says such a thing is not used. A question older than `stale_after_s` (0: never) is left to the mind to skip.
    """

    def __init__(
        self,
        guests: Sequence[Guest] = (),
        *,
        gate: Gate,
        finish: Finish,
        clean: Callable[[str], str] = lambda text: text,
        stale_after_s: float = 0.0,
        spent: Callable[[Guest, Usage], None] = lambda guest, usage: None,
        affordable: Callable[[Guest], bool] = lambda guest: True,
        threads: bool = True,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._guests = tuple(guests)
        self._gate = gate
        self._finish = finish
        self._clean = clean
        self._stale_ns = int(stale_after_s * 1e9)
        self._spent = spent
        self._affordable = affordable
        self._threads = threads
        self._wall_ns = wall_ns

    @property
    def enabled(self) -> bool:
        return bool(self._guests)

    def status(self) -> list[dict[str, Any]]:
        """`{name, state, answered, failures, error}` of each, in the order of asking."""
        return [
            {
                "name": guest.name,
                "state": guest.breaker.state,
                "answered": guest.answered,
                "failures": guest.failures,
                "error": guest.error,
            }
            for guest in self._guests
        ]

    async def close(self) -> None:
        for guest in self._guests:
            await guest.engine.close()

    async def answer(self, prompt: Inbound, turn: Callable[[], Any]) -> Reply | None:
        """None: brain and voice must answer. `turn()` is an awaitable of the question put together for a model.

        Nothing is heard meanwhile, so all guests together have no longer than the longest total time of one.
        """
        if not self._guests or (self._stale_ns and self._wall_ns() - prompt.received_ns > self._stale_ns):
            return None
        clock = asyncio.get_running_loop().time
        until = clock() + max(guest.total_timeout_s for guest in self._guests)
        asked: Turn | None = None
        for guest in self._guests:
            left = min(guest.total_timeout_s, until - clock())
            if left < LEAST_S and asked is not None:
                return None
            if not self._affordable(guest) or not guest.breaker.allows():
                continue
            if asked is None:
                asked = await self._turn(guest, turn)
            try:
                reply = await self._ask(guest, asked, left)
            except AdapterError as err:
                self._failed(guest, err)
                continue
            except Exception as err:
                # Its own words may hold the question, so only the place is told.
                log.error("an end-to-end voice broke", extra={"voice": guest.name, **whereabouts(err)})
                self._failed(guest, BrainError(f"{type(err).__name__} inside of it"))
                continue
            except BaseException:
                guest.breaker.released()
                raise
            self._well(guest)
            if reply is not None:
                return reply
        return None

    async def _turn(self, guest: Guest, turn: Callable[[], Any]) -> Turn:
        try:
            made: Turn = await turn()
        except BaseException:
            guest.breaker.released()
            raise
        return made

    async def _ask(self, guest: Guest, turn: Turn, seconds: float) -> Reply | None:
        """None when the gate leaves nothing of the answer. Raises BrainError, VoiceError."""
        try:
            async with asyncio.timeout(seconds):
                taken = await self._take(guest, turn)
                text = self._clean(taken.text)
                sentences = sentences_of(text)
                verdicts = [await self._gate.admit(each, Origin(source=guest.name)) for each in sentences]
                passed = [verdict.text for verdict in verdicts if verdict.kind is VerdictKind.PASS]
                if passed != sentences or _sounding(text) != _sounding(taken.text):
                    return self._without_sound(guest, verdicts)
                finished = await self._finished(guest, taken.sounds, sentences)
        except TimeoutError:
            raise BrainError(f"no whole answer within {seconds:.3g} s (total_timeout_s)") from None
        return Reply(guest.name, tuple(verdicts), tuple(_spoken(guest.name, sentences, finished)))

    async def _take(self, guest: Guest, turn: Turn) -> _Taken:
        """The whole answer: its sound, and the transcript without which it cannot be gated."""
        clock = asyncio.get_running_loop().time
        taken = _Taken()
        first_by = clock() + guest.first_sound_timeout_s
        async with aclosing(guest.engine.converse(turn)) as items:  # type: ignore[type-var]
            while (item := await self._next(guest, items, None if taken.sounds else first_by)) is not _END:
                match item:
                    case RawSound():
                        taken.sounds.append(item)
                        taken.seconds += len(item.data) / (2 * item.channels * item.rate)
                    case Usage():
                        self._spent(guest, item)
                    case str():
                        taken.text += item
                if taken.seconds > LONGEST_S or len(taken.text) > LONGEST_TEXT:
                    raise BrainError("the answer does not end", retryable=False)
        if not taken.sounds or not taken.text.strip():
            raise BrainError("the answer came without its sound or without its transcript")
        return taken

    async def _next(self, guest: Guest, items: Any, until: float | None) -> Any:
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                return await anext(items, _END)
        except TimeoutError:
            if not timeout.expired():
                raise
            limit = guest.first_sound_timeout_s
            raise BrainError(f"no sound within {limit:g} s (first_sound_timeout_s)") from None

    async def _finished(
        self, guest: Guest, sounds: Sequence[RawSound], sentences: Sequence[str]
    ) -> list[tuple[int, Speech]]:
        if self._threads:
            finished = await asyncio.to_thread(self._finish, guest.name, sounds, sentences)
        else:
            finished = self._finish(guest.name, sounds, sentences)
        if not finished:
            raise VoiceError("nothing of the sound can be spoken")
        return finished

    def _without_sound(self, guest: Guest, verdicts: Sequence[Verdict]) -> Reply | None:
        kept = tuple(v for v in verdicts if v.kind not in (VerdictKind.DROP, VerdictKind.HOLD) and v.text.strip())
        log.info("the sound of an answer is kept off air", extra={"voice": guest.name, "left": len(kept)})
        return Reply(guest.name, kept) if kept else None

    def _failed(self, guest: Guest, err: AdapterError) -> None:
        guest.failures += 1
        guest.breaker.failed(for_good=bool(getattr(err, "denied", False)))
        if not guest.error:
            log.warning("an end-to-end voice failed", extra={"voice": guest.name, "reason": str(err)})
        guest.error = str(err)

    def _well(self, guest: Guest) -> None:
        guest.answered += 1
        guest.breaker.succeeded()
        if guest.error:
            log.info("an end-to-end voice answers again", extra={"voice": guest.name})
            guest.error = ""


def _sounding(text: str) -> str:
    """What of a text is heard: letters and digits."""
    return "".join(filter(str.isalnum, text))


def _spoken(name: str, sentences: Sequence[str], finished: Sequence[tuple[int, Speech]]) -> list[SpokenPiece]:
    """A sentence without sound of its own shares the piece before it.

    For the trace the model is the brain: what it took is the time of its text, with which the sound is there.
    """
    now = asyncio.get_running_loop().time()
    times = PieceTimes(now, now, now, now, now)
    texts = _grouped(sentences, [number for number, _ in finished])
    pieces: list[SpokenPiece] = []
    seen = -1
    for at, (number, speech) in enumerate(finished):
        opens = texts[number] if number != seen else None
        seen = number
        pieces.append(SpokenPiece(number, opens, speech, name, at == len(finished) - 1, times))
    return pieces


def _grouped(sentences: Sequence[str], numbers: Sequence[int]) -> dict[int, str]:
    """Text of each sentence that has sound, with that of the soundless ones behind it (before it, for the first)."""
    with_sound = sorted(set(numbers))
    texts = dict.fromkeys(with_sound, "")
    for number, sentence in enumerate(sentences):
        owner = max((n for n in with_sound if n <= number), default=with_sound[0])
        texts[owner] += sentence
    return texts
