"""The cleaner of one answer: fed as it is written, gives what may be spoken, clause by clause. Pure.

Where a clause ends follows from the text alone, never from the pieces that it comes in.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.brain.cleaning.asides import Asides
from broadcaster.brain.cleaning.markup import plain
from broadcaster.brain.cleaning.refusals import LEAD, is_error, is_error_object, is_refusal, without_self

HELD: Final = 160
"""Characters that an open bracket, star or quote of code is waited for at most."""

HELD_JSON: Final = 4000
"""Characters of an answer that is one JSON object."""

_ENDS: Final = frozenset("。！？…\n")
_PAUSES: Final = frozenset("，；：、")
_ASCII_MARKS: Final = frozenset(".!?,;:")
_OPEN: Final = {"(": ")", "（": "）", "[": "]", "【": "】", "{": "}", "<": ">"}
_SPOKEN: Final = re.compile(r"\w")
_ROLE: Final = re.compile(
    r"\s*(?:assistant|ai|bot|host|answer|reply|助手|主播|主持人|客服|回答|回复|答)\s*[:：]\s*", re.IGNORECASE
)


class Unspeakable(Exception):
    """The answer is an error text or nothing but a refusal: somebody else should answer."""


class Cleaner:
    """`name` is the host's: models like to begin with it. `thinking`: see `Asides`. Raises Unspeakable."""

    def __init__(self, name: str = "", *, thinking: bool = False) -> None:
        self._asides = Asides(thinking=thinking)
        self._role = re.compile(rf"\s*{re.escape(name)}\s*[:：]\s*") if name else _ROLE
        self._text = ""
        self._sentence = ""
        """The clauses of a sentence that is held back: it may be boilerplate."""
        self._line_start = True
        self._fresh = True
        """Nothing but space has come yet."""
        self._holding = False
        self._refused = ""
        self._said = False

    @property
    def unmasked(self) -> bool:
        """What was given was thought in part: see `Asides.unmasked`."""
        return self._asides.unmasked

    def feed(self, delta: str) -> str:
        self._text += self._asides.feed(delta)
        out: list[str] = []
        while (end := self._clause_end(finished=False)) is not None:
            out.append(self._take(end))
        return self._given("".join(out))

    def rest(self) -> str:
        """The end of the answer."""
        self._text += self._asides.rest()
        out: list[str] = []
        while self._text:
            out.append(self._take(self._clause_end(finished=True) or len(self._text)))
        out.append(self._release())
        given = self._given("".join(out))
        if self._refused and not self._said:
            raise Unspeakable("a refusal")
        return given

    def _given(self, text: str) -> str:
        self._said = self._said or _SPOKEN.search(text) is not None
        return text

    # -- clauses --------------------------------------------------------------------------------------------------

    def _clause_end(self, *, finished: bool) -> int | None:
        """The index behind the first clause that is complete."""
        text = self._text
        if self._fresh and text.lstrip()[:1] == "{":
            return self._object_end(finished)
        table = self._line_start and text.lstrip(" \t").startswith("|")
        closing: list[str] = []
        for at, char in enumerate(text):
            if char == "\n":
                return at + 1
            if table:
                continue
            if closing and char == closing[-1]:
                closing.pop()
            elif char in _OPEN and not (char == "<" and text[at + 1 : at + 2] in (" ", "=", "")):
                closing.append(_OPEN[char])
            elif char in "*`_":
                _star(text, at, closing)
            if at + 1 >= HELD:
                return at + 1
            if closing:
                continue
            if char in _ENDS or char in _PAUSES:
                return at + 1
            if char in _ASCII_MARKS and text[at + 1 : at + 2].isspace():
                return at + 2 if text[at + 1] != "\n" else at + 1
        return None

    def _object_end(self, finished: bool) -> int | None:
        depth = 0
        for at, char in enumerate(self._text[:HELD_JSON]):
            depth += (char == "{") - (char == "}")
            if depth == 0 and char == "}":
                return at + 1
        return len(self._text) if finished or len(self._text) >= HELD_JSON else None

    def _take(self, end: int) -> str:
        clause, self._text = self._text[:end], self._text[end:]
        if self._fresh:
            if clause.lstrip().startswith("{"):
                if is_error_object(clause):
                    raise Unspeakable("an error object")
                return ""
            if is_error(clause):
                raise Unspeakable("the text of an error")
            if self._role.fullmatch(clause) or _ROLE.fullmatch(clause):
                return ""
            self._fresh = not clause.strip()
        said = plain(clause, line_start=self._line_start)
        self._line_start = clause.endswith("\n") or (self._line_start and not clause.strip())
        return self._sort(said, ended=clause.rstrip(" ")[-1:] in _ENDS or re.search(r"[.!?]\s*$", clause) is not None)

    # -- sentences ------------------------------------------------------------------------------------------------

    def _sort(self, said: str, *, ended: bool) -> str:
        """Passes a clause on, or holds it back with the sentence that it belongs to."""
        if not self._holding and not self._sentence and LEAD.match(said):
            self._holding = True
        if self._holding:
            self._sentence += said
            return self._release() if ended else ""
        self._sentence = "" if ended or not said.strip() else "…"
        return said

    def _release(self) -> str:
        if not self._holding:
            return ""
        sentence, self._sentence, self._holding = self._sentence, "", False
        answer = without_self(sentence)
        if is_refusal(sentence):
            self._refused = sentence
            return ""
        return answer


def _star(text: str, at: int, closing: list[str]) -> None:
    """Opens or closes emphasis or code. A star between spaces multiplies, one inside a word is the word's."""
    char = text[at]
    before, behind = text[at - 1 : at], text[at + 1 : at + 2]
    if before == char:
        return  # a double one counts once
    if char in closing:
        while closing and closing.pop() != char:
            pass
    elif behind and not behind.isspace() and not (before.isalnum() and before.isascii()):
        closing.append(char)
