"""Cuts a text that is still growing into sentences, for the gate. Pure."""

from __future__ import annotations

from typing import Final

_HARD: Final = "。！？!?…\n；;"
_CLOSING: Final = "”’\"'）)】》」』"
SENTENCE_LIMIT: Final = 200
"""A text without any full stop is cut here at the latest, at a comma or a space if there is one."""

_SOFT: Final = "，、,：: "


class Sentences:
    """`feed` returns the sentences that are whole by now, `rest` what was left; joined they are the text again."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, delta: str) -> list[str]:
        self._text += delta
        found: list[str] = []
        while (end := self._end()) is not None:
            found.append(self._text[:end])
            self._text = self._text[end:]
        return found

    def rest(self) -> list[str]:
        """The end of the text: everything that is left, as the last sentence."""
        left, self._text = self._text, ""
        return [left] if left.strip() else []

    def _end(self) -> int | None:
        """Where the first sentence ends; None while its end could still move (a closing quote may follow)."""
        text = self._text
        for at, char in enumerate(text):
            if char in _HARD or (char == "." and self._is_full_stop(at)):
                end = at + 1
                while end < len(text) and (text[end] in _HARD or text[end] in _CLOSING or text[end] in " ."):
                    end += 1
                if end == len(text) and char != "\n":
                    return None
                if text[:end].strip(_HARD + _CLOSING + " ."):
                    return end
            if at >= SENTENCE_LIMIT:
                cut = max(text.rfind(mark, 0, SENTENCE_LIMIT) for mark in _SOFT)
                return cut + 1 if cut > 0 else SENTENCE_LIMIT
        return None

    def _is_full_stop(self, at: int) -> bool:
        """Not inside 3.14 or example.com: something must follow, and it must be a space or a line end."""
        return at + 1 < len(self._text) and self._text[at + 1] in " \n"


def sentences_of(text: str) -> list[str]:
    """All sentences of a whole text."""
    cutter = Sentences()
    return [*cutter.feed(text), *cutter.rest()]
