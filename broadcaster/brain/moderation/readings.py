"""How Chinese characters are read: toneless pinyin, ü as v. Pure; tables of pypinyin, made as they are asked for."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from broadcaster.brain.moderation.folding import is_han

READINGS_LIMIT: Final = 30_000
"""Characters whose reading is remembered; all that pypinyin knows are 42,000, and a few thousand are in use."""


class _Readings(dict[str, str]):
    """Character -> its most usual syllable, "" for one that has none."""

    def __missing__(self, letter: str) -> str:
        from pypinyin import lazy_pinyin

        if len(self) >= READINGS_LIMIT:
            self.clear()
        said = lazy_pinyin(letter)[0] if is_han(letter) else ""
        self[letter] = said = said if said.isascii() and said.isalpha() else ""
        return said


READINGS: Final = _Readings()


def syllables_of(word: str) -> tuple[str, ...]:
    """How a whole word of Chinese characters is read: characters with several readings as the word has them.

    () when one of them has no reading.
    """
    from pypinyin import lazy_pinyin

    alone = tuple(READINGS[letter] for letter in word)
    if not all(alone):
        return ()
    if not any(_has_several(letter) for letter in word):
        return alone
    said = tuple(lazy_pinyin(word))
    if len(said) != len(word) or not all(each.isascii() and each.isalpha() for each in said):
        return ()
    return said


@lru_cache(READINGS_LIMIT)
def _has_several(letter: str) -> bool:
    """Whether it is read in several ways that differ in more than their tone."""
    from pypinyin import Style, pinyin

    return len(set(pinyin(letter, style=Style.NORMAL, heteronym=True)[0])) > 1


_RARE: Final = frozenset(
    "biang bong cei chua den din ê fiao hm hng kei lo m n ng nun nia rua tei wong yo zhei e o a eng ei".split()
)
"""Interjections, dialect, and syllables of one letter, which would make pinyin of almost anything."""


@cache
def _all_syllables() -> re.Pattern[str]:
    from pypinyin import Style, pinyin
    from pypinyin.pinyin_dict import pinyin_dict

    common = "".join(letter for letter in map(chr, pinyin_dict) if "\u4e00" <= letter <= "\u9fff")
    found = {
        said
        for readings in pinyin(list(common), style=Style.NORMAL, heteronym=True, errors="ignore")
        for said in readings
        if said.isascii() and said.isalpha()
    }
    return re.compile("(?:" + "|".join(sorted(found - _RARE, key=len, reverse=True)) + ")*")


def is_pinyin(letters: str) -> bool:
    """Whether these Latin letters are nothing but whole syllables; "" is."""
    return _all_syllables().fullmatch(letters) is not None
