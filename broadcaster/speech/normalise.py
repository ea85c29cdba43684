"""How things are read: the one place that turns written text into the words a voice should say. Pure.

Chinese and English have number rules of their own (`numbers_zh`, `numbers_en`); both see a text without markup
(`symbols`) and without the faces of chat (`chat`). What comes out has no digit, sign, tag or address in it, and
is not changed by another reading.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from broadcaster.speech.reading import chat, numbers_en, numbers_zh, symbols, traditional
from broadcaster.speech.reading.languages import CLAUSE_WORDS, stretches
from broadcaster.speech.reading.lexicon import NONE, Lexicon

NO_LEXICON: Final = Lexicon()
LONGEST: Final = 4_000
"""Characters; a voice is given a sentence at most (`packing.LONGEST_SENTENCE`). What is behind is not read: rules
that look around take time with the square of what they see."""

_ROUNDS: Final = 3
"""What one reading leaves may, in text that nobody means, look like a number or a tag again."""

_LONG_DIGITS: Final = re.compile(r"(\d{60})\d+")
_LONG_BLANK: Final = re.compile(r"[ \t\u00a0\u3000]{3,}")
_DIGIT_OR_SIGN: Final = re.compile(r"[\d%$€£¥]")
_WORD: Final = re.compile("[A-Za-z]+")


def load() -> None:
    """Reads the tables (10 ms); `reading` does it by itself otherwise."""
    traditional.load()


def reading(text: str, language: str, lexicon: Lexicon = NO_LEXICON, exact: frozenset[str] = NONE) -> str:
    """`text` as it is to be spoken in `language` ("zh" or "en"); empty when there is nothing to say.

    `exact`: the kinds of the lexicon's exact readings that whoever speaks takes as well; those words stay as they
    are, for all others `say` is written in their place. Never raises.
    """
    text = unicodedata.normalize("NFC", text[:LONGEST].encode("utf-8", "ignore").decode())
    text = _LONG_BLANK.sub("  ", _LONG_DIGITS.sub(r"\1", text))
    if language == "zh":
        text = traditional.simplified(text)
    said = _read(lexicon.respelled(text, language, exact), language)
    for _ in range(_ROUNDS):
        before, said = said, _read(said, language)
        if said == before:
            break
    return said


def _read(text: str, language: str) -> str:
    text = chat.without_faces(text, language)
    text = symbols.plain(text, language)
    text = chat.without_tags(text, language)
    text = symbols.shortened(symbols.lines(text, language))
    return symbols.tidy(_worded(text, language), language)


def _worded(text: str, language: str) -> str:
    """Numbers and signs in words; those inside an English clause of a Mandarin text are said in English."""
    if language == "en":
        return numbers_en.worded(text)
    said = ""
    mandarin = ""
    for part in stretches(text, "zh"):
        if (
            part.language == "en"
            and len(_WORD.findall(part.text)) >= CLAUSE_WORDS
            and _DIGIT_OR_SIGN.search(part.text)
        ):
            said += numbers_zh.worded(mandarin) + numbers_en.worded(part.text)
            mandarin = ""
        else:
            mandarin += part.text
    return said + numbers_zh.worded(mandarin)
