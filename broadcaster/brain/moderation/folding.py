"""Text as a word list sees it: one plain letter for every way of writing it, and the way back. Pure.

Full-width and styled forms, case, accents, traditional characters, letters of other alphabets that look like Latin
ones, enclosed letters and digits all become one plain character; whatever is neither letter nor digit (spaces,
punctuation, emoji, what no eye sees) is left out; repeated letters become one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

from broadcaster.brain.names import UNSEEN

TABLE_LIMIT: Final = 30_000
"""Characters whose plain form is remembered (about 3 MB); beyond that somebody writes in all of Unicode, and it is
emptied."""

_TWINS: Final = dict(
    zip(
        "авеѕзікмнорстухіјԛԝһԁɡɑıοαερνυκιτχϲℓβуγωғƒᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
        "abeszikmhopctyxijqwhdgaioaepvukitxclbyywffabcdefghijklmnoprstuvwyz",
        strict=True,
    )
)
"""Cyrillic, Greek and phonetic letters (small capitals too) that look like Latin ones: Unicode's confusables, the
lower case."""

_ENCLOSED: Final = ((0x1F130, 26), (0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))
"""Squared, negative circled, negative squared letters, and those that make flags: NFKC leaves them as they are."""

_RUNS: Final = re.compile(r"([^\d])\1+")


@cache
def _simplifier() -> Any:
    """OpenCC's table of traditional characters, loaded once (15 ms)."""
    import opencc

    return opencc.OpenCC("t2s")


class _Table(dict[str, str]):
    """Character -> what it is folded to, "" for one that is left out; made when it is asked for."""

    def __missing__(self, letter: str) -> str:
        if len(self) >= TABLE_LIMIT:
            self.clear()
        folded = self[letter] = _fold(letter)
        return folded


def _fold(letter: str) -> str:
    for first, count in _ENCLOSED:
        if first <= ord(letter) < first + count:
            return chr(ord("a") + ord(letter) - first)
    digit = unicodedata.digit(letter, None)
    if digit is not None:
        return str(digit)
    return "".join(filter(None, map(_plain, unicodedata.normalize("NFKC", letter).casefold())))


def _plain(letter: str) -> str:
    if letter in _TWINS:
        return _TWINS[letter]
    if "a" <= letter <= "z" or "0" <= letter <= "9":
        return letter
    if unicodedata.category(letter)[0] not in "LN" or letter in UNSEEN:
        return ""
    if is_han(letter):
        return str(_simplifier().convert(letter))
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if base.isascii() and base.isalnum() else letter


TABLE: Final = _Table()
"""For everybody; the event loop and a thread that reads lists may use it at the same time."""


def is_han(letter: str) -> bool:
    return "\u3400" <= letter <= "\u9fff" or "\U00020000" <= letter <= "\U0003ffff" or letter == "〇"


def is_latin(letter: str) -> bool:
    return "a" <= letter <= "z"


def compact(text: str) -> str:
    """The plain letters of `text`, repeated ones too."""
    return "".join(map(TABLE.__getitem__, text))


def squeezed(letters: str) -> str:
    """The same with every run of one letter made one; digits stay as they are, for they make numbers."""
    return _RUNS.sub(r"\1", letters)


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of a squeezed text: `places` are the characters of the original that it stands for, in order."""

    letter: str
    places: tuple[int, ...]

    @property
    def run(self) -> int:
        """How often it stands there."""
        return len(self.places)

    @property
    def start(self) -> int:
        return self.places[0]

    @property
    def end(self) -> int:
        return self.places[-1] + 1

    def gaps(self) -> list[int]:
        """Where something else stands between two of its places: how many of them come before it."""
        return [at for at, (one, other) in enumerate(pairwise(self.places), 1) if other > one + 1]


def letters_of(text: str) -> list[Letter]:
    """The squeezed text letter by letter with its way back. Slow; only where something was found."""
    found: list[tuple[str, list[int]]] = []
    for at, character in enumerate(text):
        for letter in TABLE[character]:
            if found and found[-1][0] == letter and not letter.isdigit():
                found[-1][1].append(at)
            else:
                found.append((letter, [at]))
    return [Letter(letter, tuple(places)) for letter, places in found]
