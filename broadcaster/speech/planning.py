"""What is said next and in which pieces: sentences cut to the voice that will speak them. Director's event loop.

A piece is cut as late as possible: its size follows from the sound in hand and from the speed of its voice.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from broadcaster.speech.chain import LANGUAGES, ChainVoice, Link
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.pacing import LARGEST, LATER, SOUND_PER_UNIT_S, Pacer, Size
from broadcaster.speech.packing import cut
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.reading.languages import stretches
from broadcaster.speech.slots import Cast, Sentence, Slot, State
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Manner, Piece

ENDED: Final = -1.0
"""What a source says at the end of the text."""

RECUT: Final = 1.5
"""A piece that is to be asked again is made smaller when it is so many times too large."""

Source = Callable[[], tuple[str, float] | float]
"""The next sentence and when its last character came; or the seconds after which to ask again; or ENDED."""


class Planner:
    """Puts a slot for each piece at the end of `slots`."""

    def __init__(
        self,
        chain: ChainVoice,
        pacer: Pacer,
        source: Source,
        manner: Manner,
        slots: deque[Slot],
        *,
        paced: bool,
        look_ahead_s: float,
    ) -> None:
        self._chain = chain
        self._pacer = pacer
        self._source = source
        self._manner = manner
        self._slots = slots
        self._paced = paced
        self._look_ahead_s = look_ahead_s
        self._clock = asyncio.get_running_loop().time
        self._sentence: Sentence | None = None
        self._rest = ""
        self._count = 0

    def plan(self) -> float | None:
        """Makes the next piece's slot, or says how long to wait (ENDED: there is no more text)."""
        if self._sentence is None:
            found = self._source()
            if isinstance(found, float):
                return found
            text, arrived = found
            language = "zh" if contains_han(text) or not any(c.isalpha() for c in text) else "en"
            self._sentence, self._rest = Sentence(text.strip(), language, arrived), text
        over = self._pacer.buffered(self._clock()) + self._ready_seconds() - self._look_ahead_s
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

    def recut(self, slot: Slot, link: Link) -> None:
        """Makes a piece smaller that was cut when more sound was in hand than is now; the rest becomes the next."""
        if not self._paced:
            return
        before = itertools.takewhile(lambda other: other is not slot, self._slots)
        in_hand = sum(max(other.samples / SAMPLE_RATE, other.units * SOUND_PER_UNIT_S) for other in before)
        self._pacer.speed = link.speed
        size = self._pacer.size(self._clock(), in_hand)
        text = slot.piece.text
        if slot.units <= RECUT * size.maximum or (end := cut(text, size.minimum, size.maximum)) == len(text):
            return
        rest = replace(slot, piece=replace(slot.piece, text=text[end:].strip()), refused_by=[])
        slot.piece = replace(slot.piece, text=text[:end].strip())
        slot.pause_ms = pause_ms(text[:end])
        self._slots.insert(self._slots.index(slot) + 1, rest)

    def _coming_seconds(self) -> float:
        """As `ready_seconds`, with the whole of each piece that has begun to come."""
        return sum(
            max((slot.samples - slot.given) / SAMPLE_RATE, slot.units * SOUND_PER_UNIT_S - slot.given / SAMPLE_RATE)
            if slot.state is State.ASKED and slot.samples
            else (slot.samples - slot.given) / SAMPLE_RATE
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
