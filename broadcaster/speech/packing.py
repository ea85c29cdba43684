"""Growing text to packages, a package to pieces. Pure, except that `cut` asks jieba for word boundaries.

A package is what is planned at once: a sentence, several short ones, or a clause when nothing else is in hand
(where sentences and clauses end is said by `broadcaster.sentences`). A piece is the part of a package that a voice
is given at once: it ends at a punctuation mark if one is near, else between two words, and never inside an English
word or beside a digit (3,245.67 and GPT-4o stay whole, and so does 3.5% with what it counts).
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.sentences import CLOSERS, HARD, SOFT, addresses, clause_ends, sentence_end
from broadcaster.speech import words
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.units import spoken_units

LONGEST_SENTENCE: Final = 120.0
"""Units; text that goes on for so long without an end is cut at the best place, because memory and patience are not
unlimited and nobody speaks like that."""

LARGEST_PACKAGE: Final = 40.0
"""Units up to which sentences go together: more is said again when a voice fails."""

SHORTEST_CLAUSE: Final = 4.0
"""Units of a clause that is worth a package of its own."""

SHORTEST_TAIL: Final = 3.0
"""A cut leaves at least so many units behind it: a piece of one or two sounds torn off."""

_LEANS_BACK: Final = frozenset("的了着过吗呢吧啊呀嘛么们地得儿里上下中")
_LEANS_FORWARD: Final = frozenset("不很太最更把被和与或第没在这那每从向对给")
_TRAILING: Final = CLOSERS | SOFT | HARD | {"."}
_BEHIND_ENDS: Final = "".join(CLOSERS) + " "
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9'’.,:/%&+\-]*")


class Packer:
    """Takes text as it comes; gives packages as soon as their end is certain. The packages joined are the text."""

    def __init__(self) -> None:
        self._text = ""
        self._finished = False

    def feed(self, text: str) -> None:
        self._text += text

    def finish(self) -> None:
        """No more text will come."""
        self._finished = True

    @property
    def exhausted(self) -> bool:
        return self._finished and not self._text

    def take(
        self,
        least: float = 0.0,
        *,
        most: float = LARGEST_PACKAGE,
        settled: bool = False,
        urgent: bool = False,
        clause: bool = False,
    ) -> str | None:
        """The next package, or None while there is none: whole sentences of at least `least` units.

        Sentences go together up to `most` units, but not over the end of a paragraph. `settled`: no text has come
        for a moment, so that an end mark with nothing behind it is the end. `urgent`: what is whole will do,
        however little; `clause`: and a clause of at least SHORTEST_CLAUSE will.
        """
        end = self._end(least, most, settled, urgent)
        if end is None and clause:
            end = self._clause(settled)
        if end is None:
            return None
        package, self._text = self._text[:end], self._text[end:]
        return package

    def offers(self, most: float = LARGEST_PACKAGE, *, settled: bool = False, clause: bool = False) -> float:
        """Units of what an urgent `take` would give; 0 when it would give nothing."""
        end = self._end(most, most, settled, urgent=True)
        if end is None and clause:
            end = self._clause(settled)
        return 0.0 if end is None else spoken_units(self._text[:end])

    def _end(self, least: float, most: float, settled: bool, urgent: bool) -> int | None:
        """Of sentences that go together; None when they are too little."""
        end = 0
        units = 0.0
        while (one := self._sentence(end, settled)) is not None:
            more = spoken_units(self._text[end:one])
            if end and not self._go_together(end, one, units, more, most):
                return end
            end, units = one, units + more
            if self._text[:end].rstrip(" \t\r").endswith("\n\n"):
                return end
            if units >= least:
                break
        if not end or (units < least and not urgent and not self._finished):
            return None
        left = spoken_units(self._text[end:])
        if self._finished and 0 < left < SHORTEST_TAIL and self._go_together(end, None, units, left, LARGEST_PACKAGE):
            return len(self._text)
        return end

    def _go_together(self, end: int, one: int | None, units: float, more: float, most: float) -> bool:
        """The sentences up to `end`, and the one behind them, which goes to `one`. Nobody speaks two languages in a
        breath, and what has no sound of its own goes with what is before it."""
        before, behind = self._text[:end], self._text[end:one]
        if more > 0 and language_of(before) != language_of(behind):
            return False
        return units < SHORTEST_TAIL or units + more <= most

    def _sentence(self, start: int, settled: bool) -> int | None:
        text = self._text[start:]
        if not text:
            return None
        end = sentence_end(text, settled=settled, finished=self._finished)
        if end is None and (self._finished or spoken_units(text) > LONGEST_SENTENCE):
            end = len(text)
        if end is not None and spoken_units(text[:end]) > LONGEST_SENTENCE:
            end = cut(text[:end], LONGEST_SENTENCE / 4, LONGEST_SENTENCE)
        return None if end is None else start + end

    def _clause(self, settled: bool) -> int | None:
        """The last clause that is whole."""
        ends = [
            end
            for end in clause_ends(self._text, settled=settled)
            if spoken_units(self._text[:end]) >= SHORTEST_CLAUSE
        ]
        return ends[-1] if ends else None


def language_of(text: str) -> str:
    """ "zh" or "en", by its letters; "zh" when it has none."""
    return "zh" if contains_han(text) or not any(c.isalpha() for c in text) else "en"


def cut(text: str, minimum: float, maximum: float) -> int:
    """Where the first piece of `text` ends: an index in 1..len(text), aiming at minimum..maximum units.

    The last punctuation mark in that range, else the last end of a sentence that is not much too early, else the last
    word boundary in the range, else the first place beyond it.
    """
    total = spoken_units(text)
    if total <= maximum:
        return len(text)
    marks, joints = _places(text)
    reach: dict[int, float] = {}
    units = 0.0
    for index, char in enumerate(text, start=1):
        units += spoken_units(char)
        reach[index] = units
    usable = [i for i in sorted(marks | joints) if total - reach[i] >= SHORTEST_TAIL and reach[i] > 0]
    ends = {i for i in marks if text[:i].rstrip(_BEHIND_ENDS)[-1:] in HARD}
    if fitting := [i for i in usable if i in marks and minimum <= reach[i] <= maximum]:
        return fitting[-1]
    if fitting := [i for i in sorted(ends) if minimum / 2 <= reach[i] <= min(maximum, total - 1)]:
        return fitting[-1]
    if fitting := [i for i in usable if i in joints and minimum <= reach[i] <= maximum]:
        return fitting[-1]
    return next((i for i in usable if reach[i] > maximum), len(text))


def _places(text: str) -> tuple[set[int], set[int]]:
    """Cut positions behind punctuation, and between words."""
    inside = {place for start, end in addresses(text) for place in range(start + 1, end)}
    for match in _TOKEN.finditer(text):
        token = match[0].rstrip("'’.,:/&-")
        numeric = any(c.isdigit() for c in token)
        first, last = match.start() + 1, match.start() + len(token)
        if numeric:
            first -= 1
            last += len(text[last:]) - len(text[last:].lstrip()) + 1
        inside.update(range(first, last))
    marks: set[int] = set()
    for index, char in enumerate(text, start=1):
        if char in SOFT or char in HARD:
            end = index
            while end < len(text) and (text[end] in _TRAILING or text[end].isspace()):
                end += 1
            if char not in ",:" or index == len(text) or not text[index].isalnum() or not text[index].isascii():
                marks.add(end)
    joints: set[int] = set()
    position = 0
    tokens = words.split(text)
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        position += len(word)
        if following and position not in inside and _may_part(word, following):
            joints.add(position)
    end = len(text)
    return {i for i in marks if i < end and i not in inside}, joints - marks


def _may_part(word: str, following: str) -> bool:
    if (following[0] in _LEANS_BACK and len(following) == 1) or word in _LEANS_FORWARD:
        return False
    if following[0].isspace():
        return False  # the space goes with the word before it
    return following[0].isalnum() and (word[-1].isalnum() or word[-1].isspace())
