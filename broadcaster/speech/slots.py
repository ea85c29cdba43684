"""What is being made of an utterance: sentences, who speaks them, their pieces and the sound of each. Bookkeeping.

Director's event loop; `making` moves these through their states, `pipeline` takes their sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from broadcaster.errors import VoiceError
from broadcaster.speech.chain import Link
from broadcaster.speech.dsp.sound import Tape, faded_out, with_silence
from broadcaster.speech.pacing import SOUND_PER_UNIT_S
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Piece, PieceTimes

TAIL: Final = SAMPLE_RATE * 20 // 1000
"""Samples of a piece that is let go as it comes which are always kept back, so that it can be faded out."""

CUT_PAUSE: Final = SAMPLE_RATE * 200 // 1000
"""Silence between a clause that was cut inside and its repetition: long enough to be heard as a new beginning."""


@dataclass(slots=True, eq=False)
class Cast:
    """Who speaks one language of one sentence."""

    language: str
    link: Link | None = None
    start: int = 0
    """Number of the first link that may still be asked."""


@dataclass(slots=True, eq=False)
class Sentence:
    text: str
    language: str
    arrived: float = 0.0
    """When its last character came."""
    casts: dict[str, Cast] = field(default_factory=dict)
    planned: bool = False
    """All its pieces are known."""
    number: int | None = None
    """Given when something of it was let go."""

    def cast(self, language: str) -> Cast:
        return self.casts.setdefault(language, Cast(language))


@dataclass(slots=True, eq=False)
class Take:
    """One piece asked of one link. `slot` is where its sound goes."""

    slot: Slot
    link: Link
    began: float
    due: float
    """When it is predicted to be ready."""
    late: float
    """When it is late if it has given nothing: it usually begins in half the time."""
    heard_at: float
    """When sound came last; at first, when it was asked."""
    first_at: float | None = None
    """When sound came first."""
    tape: Tape = field(default_factory=Tape)
    task: asyncio.Task[None] | None = None
    kept: bool = False
    """Its sound comes from a cache."""


class State(Enum):
    WANTED = auto()
    ASKED = auto()
    MADE = auto()


@dataclass(slots=True, eq=False)
class Slot:
    """One piece in the order of speaking. `hedge` is a second take, begun because the air was running dry."""

    sentence: Sentence
    cast: Cast
    piece: Piece
    pause_ms: int
    state: State = State.WANTED
    take: Take | None = None
    hedge: Take | None = None
    given: int = 0
    """Samples let go."""
    attempts: int = 0
    again: bool = False
    """It was asked for before."""
    refused_by: list[tuple[Link, VoiceError]] = field(default_factory=list)

    @property
    def units(self) -> float:
        return spoken_units(self.piece.text)

    @property
    def seconds(self) -> float:
        """What it will sound in the end, about."""
        made = self.samples / SAMPLE_RATE
        if self.state is State.MADE:
            return made
        link = self.take.link if self.take is not None else self.cast.link
        return max(made, link.sound.seconds(self.piece) if link is not None else self.units * SOUND_PER_UNIT_S)

    @property
    def samples(self) -> int:
        return self.take.tape.samples if self.take is not None else 0

    @property
    def engine(self) -> str:
        return self.take.link.voice.name if self.take is not None else ""

    def times(self, now: float) -> PieceTimes | None:
        """Of what is let go `now`; None before there is any sound."""
        if self.take is None or self.take.first_at is None:
            return None
        made = self.take.heard_at if self.state is State.MADE else now
        return PieceTimes(self.sentence.arrived, self.take.began, self.take.first_at, made, now)

    def takes(self) -> Iterator[Take]:
        return (take for take in (self.take, self.hedge) if take is not None)

    def cut_inside(self) -> Slot:
        """Ends it where it was cut: its kept-back tail faded out, then a pause. A new slot for all of the piece."""
        assert self.take is not None
        again = replace(self, state=State.WANTED, take=None, hedge=None, given=0)
        tape = Tape()
        tape.append(self.take.tape.cut(0, self.given))
        tape.append(with_silence(faded_out(self.take.tape.cut(self.given, self.given + TAIL)), CUT_PAUSE))
        self.take.tape = tape
        self.state = State.MADE
        self.hedge = None
        self.pause_ms = 0
        self.refused_by = []
        return again
