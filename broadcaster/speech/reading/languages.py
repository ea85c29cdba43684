"""Mixed sentences: which part of a text is spoken in which language. Pure, on text as it was written.

The main language of the text keeps its numbers and signs, and what a host of that language says as part of it: A股,
AI, T恤, K歌, GPT-4o. Punctuation stays with the part before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Inside of a character class: every Han character."""

OWN_VOICE_LETTERS: Final = 4
"""A word with fewer letters (OK, pro, app) stays in the Mandarin voice, which says those well."""

ACRONYM_LETTERS: Final = 5
"""Capitals up to this length are spelled out, and a Mandarin voice knows the names of the letters."""

CLAUSE_WORDS: Final = 4
"""An English stretch of so many words is a clause of its own and keeps its numbers; "iPhone 15 Pro" is a name."""

_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_WORD: Final = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_HAN_RUN: Final = re.compile(f"[{HAN}]+")
_RUN: Final = re.compile(rf"[A-Za-z\u00c0-\u024f](?:[^{HAN}，。！？；：、（）《》“”「」…\n]*[A-Za-z\u00c0-\u024f])?")
_NUMBER: Final = re.compile(r"[^A-Za-z\u00c0-\u024f]*\d[^A-Za-z\u00c0-\u024f]*")
_HAN_IN_ENGLISH: Final = re.compile(
    rf"(?:(?<![A-Za-z])[A-Za-z]{{1,3}}(?=[{HAN}])|\d[\d.,:/%-]*(?=[{HAN}]))?[{HAN}](?:[^A-Za-z]*[{HAN}])?"
    rf"(?:(?<=[{HAN}])[\d.,:/%-]*\d)?"
)
_MARKS: Final = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text and who speaks it: "zh" or "en"."""

    text: str
    language: str


def stretches(text: str, language: str) -> list[Stretch]:
    """`text`, whose main language is `language`, cut so that each part is spoken in one. Joined they give `text`.

    Neighbours differ in language. Text without letters is one stretch of the main language; "" gives none.
    """
    if not text:
        return []
    parts = _in_mandarin(text) if language == "zh" else _in_english(text)
    return _merged(parts)


def is_own_word(word: str) -> bool:
    """Whether a Mandarin voice says this Latin word itself."""
    return len(word) < OWN_VOICE_LETTERS or (word.isupper() and len(word) <= ACRONYM_LETTERS)


def _in_mandarin(text: str) -> list[Stretch]:
    parts: list[Stretch] = []
    position = 0
    for match in _RUN.finditer(text):
        run = match[0]
        found = _WORD.findall(run)
        if all(is_own_word(word) for word in found):
            continue
        parts.append(Stretch(text[position : match.start()], "zh"))
        parts += [Stretch(run, "en")] if len(found) >= CLAUSE_WORDS else _name(run)
        position = match.end()
    return [*parts, Stretch(text[position:], "zh")]


def _name(run: str) -> list[Stretch]:
    """A short English run in a Mandarin text: its numbers, and the short words beside them, are said in Mandarin."""
    parts: list[Stretch] = []
    position = 0
    for number in _NUMBER.finditer(run):
        parts += [_by_its_words(run[position : number.start()]), Stretch(number[0], "zh")]
        position = number.end()
    return [*parts, _by_its_words(run[position:])]


def _by_its_words(text: str) -> Stretch:
    return Stretch(text, "zh" if all(is_own_word(word) for word in _WORD.findall(text)) else "en")


def _in_english(text: str) -> list[Stretch]:
    parts: list[Stretch] = []
    position = 0
    for match in _HAN_IN_ENGLISH.finditer(text):
        parts += [Stretch(text[position : match.start()], "en"), Stretch(match[0], "zh")]
        position = match.end()
    return [*parts, Stretch(text[position:], "en")]


def _merged(parts: list[Stretch]) -> list[Stretch]:
    """Without empty parts; marks at the head of a part go to the part before it."""
    merged: list[Stretch] = []
    for part in parts:
        text = part.text
        if merged and (marks := _MARKS.match(text)):
            merged[-1] = Stretch(merged[-1].text + marks[0], merged[-1].language)
            text = text[marks.end() :]
        if not text:
            continue
        if merged and (merged[-1].language == part.language or not _says_something(merged[-1].text)):
            text = merged.pop().text + text
        merged.append(Stretch(text, part.language))
    return merged


def _says_something(text: str) -> bool:
    return any(c.isalnum() for c in text)
