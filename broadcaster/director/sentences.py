"""Cuts a text that is still growing into sentences, for the gate. Pure.

The rules are those of `broadcaster.sentences`, which the voice follows too.
"""

from __future__ import annotations

from typing import Final

from broadcaster.sentences import clause_ends, sentence_end, spoken_units

SENTENCE_LIMIT: Final = 200
"""A text without any full stop is cut here at the latest, at a comma or a space if there is one."""

_SEEN: Final = 2 * SENTENCE_LIMIT
"""What is behind decides nothing about the first sentence, and looking at all of a long text takes seconds."""

CLAUSE_UNITS: Final = 6.0
"""A clause that goes before its sentence has at least so much to say."""

_SOFT: Final = "，、,：: "


class Sentences:
    """`feed` returns the sentences that are whole by now, `rest` what was left; joined they are the text again."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, delta: str) -> list[str]:
        self._text += delta
        found: list[str] = []
        while (end := self._end()) is not None:
            found.append(self._take(end))
        return found

    def clause(self) -> str:
        """What can go before its sentence is whole, to its last comma; "" when that is too little."""
        ends = clause_ends(self._text)
        if not ends or spoken_units(self._text[: ends[-1]]) < CLAUSE_UNITS:
            return ""
        return self._take(ends[-1])

    def whole(self) -> list[str]:
        """The text breaks off here: the sentences that have ended, without the one that has not."""
        found: list[str] = []
        while (end := sentence_end(self._text, finished=True)) is not None:
            found.append(self._take(end))
        return found

    def rest(self) -> list[str]:
        """The end of the text: everything that is left, as the last sentence."""
        left, self._text = self._text, ""
        return [left] if left.strip() else []

    def _take(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        return taken

    def _end(self) -> int | None:
        """Where the first sentence ends; None while its end could still move. A line that has ended is not kept."""
        text = self._text[:_SEEN]
        end = sentence_end(text, settled=text.endswith("\n"))
        if end is not None and end <= SENTENCE_LIMIT:
            return end
        if len(text) > SENTENCE_LIMIT:
            cut = max(text.rfind(mark, 0, SENTENCE_LIMIT) for mark in _SOFT)
            return cut + 1 if cut > 0 else SENTENCE_LIMIT
        return None


def sentences_of(text: str) -> list[str]:
    """All sentences of a whole text."""
    cutter = Sentences()
    return [*cutter.feed(text), *cutter.rest()]
