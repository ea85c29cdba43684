"""Growing text to sentences, a sentence to pieces. Pure, except that `cut` asks jieba for word boundaries.

A sentence ends at a hard mark with the quotes that close behind it. A piece is the part of a sentence that a voice
is given at once: it ends at a punctuation mark if one is near, else between two words, and never inside an
English word or beside a digit (3,245.67 and GPT-4o stay whole, and so does 3.5% with what it counts).
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech import words
from broadcaster.speech.punctuation import CLOSERS, HARD, SOFT
from broadcaster.speech.units import spoken_units

LONGEST_SENTENCE: Final = 120.0
"""Units; text that goes on for so long without an end is cut at the best place, because memory and patience are not
unlimited and nobody speaks like that."""

SHORTEST_TAIL: Final = 3.0
"""A cut leaves at least so many units behind it: a piece of one or two sounds torn off."""

_ABBREVIATIONS: Final = frozenset(
    "mr mrs ms dr prof st vs etc no fig inc ltd co jr sr e.g i.e a.m p.m u.s u.k".split()
)
_LEANS_BACK: Final = frozenset("的了着过吗呢吧啊呀嘛么们地得儿里上下中")
_LEANS_FORWARD: Final = frozenset("不很太最更把被和与或第没在这那每从向对给")
_TRAILING: Final = CLOSERS | SOFT | HARD | {"."}
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9'’.,:/%&+\-]*")


class SentenceSplitter:
    """Takes text as it comes; gives each sentence as soon as its end is certain. The pieces joined are the text."""

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

    def take(self, *, settled: bool = False, urgent: bool = False) -> str | None:
        """The next sentence, or None while its end is not known.

        `settled`: no text has come for a moment, so that an end mark with nothing behind it is the end.
        `urgent`: a clause of at least four units will do.
        """
        end = self._end(settled or self._finished, urgent)
        if end is None:
            if not self._finished or not self._text:
                return None
            end = len(self._text)
        if spoken_units(self._text[:end]) > LONGEST_SENTENCE:
            end = cut(self._text[:end], LONGEST_SENTENCE / 4, LONGEST_SENTENCE)
        sentence, self._text = self._text[:end], self._text[end:]
        return sentence

    def _end(self, settled: bool, urgent: bool) -> int | None:
        clause: int | None = None
        position = 0
        while position < len(self._text):
            char = self._text[position]
            if char in HARD or (char == "." and self._full_stop(position, settled)):
                end = self._behind_marks(position + 1)
                return end if end < len(self._text) or settled or self._text[end - 1] == "\n" else None
            position += 1
            if char in SOFT and not self._in_number(position - 1) and spoken_units(self._text[:position]) >= 4:
                clause = self._behind_marks(position)
        if spoken_units(self._text) > LONGEST_SENTENCE:
            return len(self._text)
        return clause if urgent else None

    def _behind_marks(self, position: int) -> int:
        while position < len(self._text) and self._text[position - 1] != "\n":
            char = self._text[position]
            if not (char in HARD or char in CLOSERS or char.isspace() or char == "."):
                break
            if char in "\"'" and position and self._text[position - 1].isspace():
                break  # a straight quote behind a space opens
            position += 1
        return position

    def _in_number(self, position: int) -> bool:
        behind = self._text[position + 1 : position + 2]
        return self._text[position - 1 : position].isdigit() and (
            behind.isdigit() or (not behind and not self._finished)
        )

    def _full_stop(self, position: int, settled: bool) -> bool:
        before, behind = self._text[:position], self._text[position + 1 : position + 2]
        if not before:
            return False
        if not behind:
            return self._finished or (settled and not before[-1].isdigit())
        if not (behind.isspace() or behind in CLOSERS or behind == "."):
            return not before[-1].isascii()
        word = re.split(r"[\s(（“\"]", before)[-1].lower()
        return word not in _ABBREVIATIONS and not (len(word) == 1 and word.isalpha() and word.isascii())


def cut(text: str, minimum: float, maximum: float) -> int:
    """Where the first piece of `text` ends: an index in 1..len(text), aiming at minimum..maximum units.

    The last punctuation mark in that range, else the last word boundary in it, else the first place beyond it.
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
    for places in (marks, joints):
        fitting = [i for i in usable if i in places and minimum <= reach[i] <= maximum]
        if fitting:
            return fitting[-1]
    return next((i for i in usable if reach[i] > maximum), len(text))


def _places(text: str) -> tuple[set[int], set[int]]:
    """Cut positions behind punctuation, and between words."""
    inside: set[int] = set()
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
