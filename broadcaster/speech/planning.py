"""What is said next and in which pieces: packages cut to the voice that will speak them. Director's event loop.

A piece is cut as late as possible: its size follows from the sound in hand and from the speed of its voice.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import replace
from typing import Final

from broadcaster.sentences import sentence_end
from broadcaster.speech.chain import LANGUAGES, ChainVoice, Link
from broadcaster.speech.pacing import LARGEST, LATER, Pacer, Size
from broadcaster.speech.packing import cut, language_of
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.reading.languages import stretches
from broadcaster.speech.slots import Cast, Sentence, Slot, State
from broadcaster.speech.supply import Package, Supply
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Manner, Piece

RECUT: Final = 1.5
"""A piece that is to be asked again is made smaller when it is so many times too large."""


class Planner:
    """Puts a slot for each piece at the end of `slots`."""

    def __init__(
        self,
        chain: ChainVoice,
        pacer: Pacer,
        supply: Supply,
        manner: Manner,
        slots: deque[Slot],
        *,
        paced: bool,
        look_ahead_s: float,
    ) -> None:
        self._chain = chain
        self._pacer = pacer
        self._supply = supply
        self._manner = manner
        self._slots = slots
        self._paced = paced
        self._look_ahead_s = look_ahead_s
        self._clock = asyncio.get_running_loop().time
        self._sentence: Sentence | None = None
        self._rest = ""
        self._language = "zh"
        self._count = 0

    def plan(self) -> float | None:
        """Makes the next piece's slot, or says how long to wait (ENDED: there is no more text)."""
        over = self._pacer.buffered(self._clock()) + self._ready_seconds() - self._look_ahead_s
        if over > 0 and not (self._sentence is None and self._supply.exhausted):
            return over
        if self._sentence is None:
            found = self._take()
            if isinstance(found, float):
                return found
            self._sentence = Sentence(found.text.strip(), language_of(found.text), found.arrived)
            self._rest = found.text
        sentence = self._sentence
        cast = sentence.cast(sentence.language)
        if cast.link is None:
            cast.link = self._chain.choose(cast.language, cast.start)
        size = self._size(cast.link, cast.language)
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

    def _take(self) -> Package | float:
        """The next package, of a size for the voice that will probably be asked."""
        if self._paced:
            self._pace_for(self._chain.likely(self._language), self._language)
        found = self._supply.take(self._coming_seconds())
        if isinstance(found, Package):
            self._language = language_of(found.text)
        return found

    def _pace_for(self, link: Link, language: str) -> None:
        self._pacer.speed = link.speed
        self._pacer.sound_per_unit = link.sound.per_unit(language) / self._manner.speed

    def _size(self, link: Link, language: str) -> Size:
        if not self._paced:
            return Size(LATER, LARGEST)
        self._pace_for(link, language)
        size = self._pacer.size(self._clock(), self._coming_seconds())
        return self._pacer.with_tail(size, spoken_units(self._rest))

    def recut(self, slot: Slot, link: Link) -> None:
        """Makes a piece smaller that was cut when more sound was in hand than is now; the rest becomes the next."""
        if not self._paced:
            return
        before = itertools.takewhile(lambda other: other is not slot, self._slots)
        in_hand = sum(other.seconds - other.given / SAMPLE_RATE for other in before)
        self._pace_for(link, slot.piece.language)
        size = self._pacer.size(self._clock(), in_hand)
        text = slot.piece.text
        if slot.units <= RECUT * size.maximum or (end := cut(text, size.minimum, size.maximum)) == len(text):
            return
        self._divide(slot, end)

    def apart(self, slot: Slot) -> bool:
        """Divides a piece behind its first sentence, so that one which cannot be spoken takes no other along."""
        end = sentence_end(slot.piece.text, finished=True)
        if end is None or spoken_units(slot.piece.text[end:]) == 0:
            return False
        self._divide(slot, end)
        return True

    def _divide(self, slot: Slot, end: int) -> None:
        text = slot.piece.text
        rest = replace(slot, piece=replace(slot.piece, text=text[end:].strip()), refused_by=[])
        slot.piece = replace(slot.piece, text=text[:end].strip())
        slot.pause_ms = pause_ms(text[:end])
        self._slots.insert(self._slots.index(slot) + 1, rest)

    def _coming_seconds(self) -> float:
        """As `ready_seconds`, with the whole of each piece that has begun to come."""
        return sum(
            (slot.seconds if slot.state is State.ASKED and slot.samples else slot.samples / SAMPLE_RATE)
            - slot.given / SAMPLE_RATE
            for slot in self._slots
        )

    def _add(self, sentence: Sentence, cast: Cast, text: str) -> None:
        """One slot for the piece; several where its voice cannot speak all of its languages."""
        assert cast.link is not None
        parts = [(text, cast.language)]
        if not cast.link.languages.issuperset(LANGUAGES):
            parts = [(part.text, part.language) for part in stretches(text, cast.language)]
        for number, (part, language) in enumerate(parts):
            if language in cast.link.languages:
                language = cast.language
            pause = pause_ms(part) if number < len(parts) - 1 else pause_ms(text)
            if spoken_units(part) > 0:
                piece = Piece(part.strip(), language, self._count, self._manner)
                self._slots.append(Slot(sentence, sentence.cast(language), piece, pause))

    def _ready_seconds(self) -> float:
        """Sound that is made, or nearly, and was not let go."""
        return sum(slot.samples - slot.given for slot in self._slots) / SAMPLE_RATE
