"""What the mind is told was heard: whole sentences, and of one that was cut the words before the cut.

Director's event loop. Where a cut fell in the text is worked out from the sound that playout was given: the share of
the voiced time that was heard is the share of the syllables that were heard, to about one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from broadcaster.director.recovery import Recovery
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Held
from broadcaster.ports import Mind
from broadcaster.sentences import spoken_units
from broadcaster.types import SAMPLE_RATE, Viseme
from broadcaster.wire import Aired

TOLD_REPORTS: Final = 40
"""Playout tells its last 16 again; what is known beyond that cannot come twice."""

SLOW: Final = 4.0
"""Units a second (see `spoken_units`) where nothing is known of the sound: slower than any voice speaks, so that
rather too little is remembered than something nobody heard."""

ROUNDING: Final = 0.05
"""Of a unit, for sums of thirds."""

Words = Callable[[str], Iterable[str]]
"""Chinese text to its words; joined they give the text again."""

_HAN: Final = re.compile(r"[㐀-鿿]+")
_LETTERS: Final = r"(?:(?![㐀-鿿])[^\W\d_])+"
_TOKEN: Final = re.compile(rf"[㐀-鿿]+|{_LETTERS}(?:['’-]{_LETTERS})*|\d[\d.,:/%-]*|.", re.DOTALL)


class Ears:
    """Follows playout's reports. `words` finds Chinese words; without it every character is one."""

    def __init__(self, mind: Mind, rundown: Rundown, words: Words = tuple) -> None:
        self._mind = mind
        self._rundown = rundown
        self._words = words
        self._told: deque[tuple[str, str, int, int]] = deque(maxlen=TOLD_REPORTS)

    def aired(self, event: Aired, recovery: Recovery | None) -> None:
        """Call before the rundown hears of it: that forgets the sound of what has ended."""
        if event.event not in ("heard", "cut") or self._told_before(event):
            return
        prompt = self._rundown.prompt_of(event.utterance)
        if prompt is None and recovery is not None and not recovery.knows(event):
            prompt = recovery.prompt_named(event.utterance)
        if prompt is None:
            return
        if event.event == "heard":
            self._mind.heard(prompt, event.sentence, event.text)
            return
        sound, whole = self._rundown.sound_of(event)
        text = text_before(event.text, event.samples, sound, whole=whole, words=self._words)
        if text:
            self._mind.heard(prompt, event.sentence, text)

    def _told_before(self, event: Aired) -> bool:
        """Playout tells its last reports again to every director that connects."""
        key = (event.event, event.utterance, event.generation, event.sentence)
        if key in self._told:
            return True
        self._told.append(key)
        return False


def text_before(text: str, samples: int, sound: Sequence[Held], *, whole: bool, words: Words = tuple) -> str:
    """The words of a sentence that were heard in full when it was cut after `samples` of its sound.

    `sound` are its pieces in order, `whole`: all of them.
    """
    if samples <= 0:
        return ""
    units = spoken_units(text)
    heard, total = _voiced(sound, samples)
    if whole and total > 0:
        if heard >= total:
            return text.strip()
        return _words_of(text, units * heard / total, words)
    voiced = heard if total > 0 else samples
    return _words_of(text, min(units, voiced / SAMPLE_RATE * SLOW), words)


def _voiced(sound: Sequence[Held], samples: int) -> tuple[int, int]:
    """Samples of voice before `samples`, and in all. A piece without phones counts as voice from end to end."""
    heard = total = begin = 0
    for piece in sound:
        spans = [(start, end) for _, viseme, start, end in piece.phones if viseme != Viseme.SIL]
        for start, end in spans or [(0, piece.samples)]:
            total += end - start
            heard += max(0, min(samples - begin, end) - start)
        begin += piece.samples
    return heard, total


def _words_of(text: str, units: float, words: Words) -> str:
    """The whole words of `text` that are said within `units`, with the marks between them."""
    said = 0.0
    at = end = 0
    for token in _TOKEN.findall(text):
        for word in words(token) if _HAN.fullmatch(token) else (token,):
            at += len(word)
            worth = spoken_units(word)
            said += worth
            if said > units + ROUNDING:
                return text[:end].strip()
            if worth:
                end = at
    return text[:end].strip()
