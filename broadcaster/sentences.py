"""Where a sentence ends and where it may pause: the one set of rules, for the gate and for the voice. Pure.

Text grows while it is read, so that every answer has to be the same however the text comes: an end is told only when
nothing that may still come can move it.
"""

from __future__ import annotations

import re
from typing import Final

HARD: Final = frozenset("。！？!?…\n")
"""Marks that end a sentence wherever they stand but in a title or an address; "." does in the right company."""

SOFT: Final = frozenset("，,、；;：:—")
CLOSERS: Final = frozenset("”’」』)）】》\"'")

LETTER: Final = 0.33
"""English is spoken at about 15 letters per second, Mandarin at about 5 characters per second."""

LONGEST_TITLE: Final = 40
"""Characters behind an opening 《 in which no mark ends the sentence; somebody may have forgotten to close it."""

_ADDRESS: Final = re.compile(r"(?:https?://|www\.)[!-~]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_BEHIND_ADDRESS: Final = ".,;:!?)'\"]}"

_BEFORE_NAMES: Final = frozenset(
    "mr mrs ms dr prof st mt gen gov sen rep capt lt col sgt rev hon vs cf al approx dept est messrs".split()
)
_BEFORE_NUMBERS: Final = frozenset(
    "no nos fig figs vol pp p ch sec eq art jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_AT_AN_END_TOO: Final = frozenset("etc inc ltd co corp jr sr a.m p.m ph.d".split())
"""Abbreviations that end a sentence as well: then a capital follows."""

_INITIALS: Final = re.compile(r"(?:[a-z]\.)+[a-z]")
_NUMBER_OF_A_LIST: Final = re.compile(
    r"\s*(?:[（(]?(?:第|步骤|问题)?[一二三四五六七八九十\d]{1,3}|(?:step|chapter|part|section|question) \d{1,3})",
    re.IGNORECASE,
)
_DECIMAL: Final = re.compile(r"\d\.\d+$")
_WORD: Final = re.compile(r"[^\s(（“\"《【「]*$")


def spoken_units(text: str) -> float:
    """How much there is to say, in Chinese characters' worth of speech.

    One for a Han character or a digit, a third for a letter of an alphabet, none for anything else.
    """
    total = 0.0
    for char in text:
        if char.isdigit():
            total += 1.0
        elif char.isalpha():
            total += LETTER if ord(char) < 0x2E80 else 1.0
    return total


def sentence_end(text: str, *, settled: bool = False, finished: bool = False) -> int | None:
    """The index behind the first sentence, with the quotes that close and the space behind it.

    None while the end is not certain, or when there is none. `settled`: nothing has come for a moment, so that a
    mark with nothing behind it is the end; `finished`: nothing will come.
    """
    kept = addresses(text)
    for position, char in enumerate(text):
        if char == ".":
            stop = _full_stop(text, position, settled, finished)
            if stop is None:
                return None
            if not stop or _within(position, kept):
                continue
        elif char not in HARD or (char != "\n" and _goes_on(text, position, kept)):
            continue
        end = _behind_marks(text, position + 1)
        if end == len(text) and not (settled or finished):
            return None
        if any(c.isalnum() for c in text[:end]):
            return end
    return None


def clause_ends(text: str, *, settled: bool = False, finished: bool = False) -> list[int]:
    """The indexes behind the marks inside a sentence at which one may pause; only those that are certain.

    `settled` and `finished` as for `sentence_end`.
    """
    kept = addresses(text)
    found: list[int] = []
    for position, char in enumerate(text):
        if char not in SOFT or _within(position, kept) or _in_number(text, position, finished):
            continue
        end = position + 1
        while end < len(text) and (text[end] in SOFT or text[end].isspace() or _closes(text, end)):
            end += 1
        if (end < len(text) or settled or finished) and (not found or end > found[-1]):
            found.append(end)
    return found


def addresses(text: str) -> list[tuple[int, int]]:
    """Where links and mail addresses are, without the marks that end a sentence behind them."""
    if "@" not in text and "://" not in text and "www." not in text:
        return []
    return [(m.start(), m.start() + len(m[0].rstrip(_BEHIND_ADDRESS))) for m in _ADDRESS.finditer(text)]


def _within(position: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _closes(text: str, position: int) -> bool:
    """A straight quote behind a space opens."""
    char = text[position]
    return char in CLOSERS and not (char in "\"'" and text[position - 1].isspace())


def _goes_on(text: str, position: int, kept: list[tuple[int, int]]) -> bool:
    if text[position : position + 2] == "!=" or _within(position, kept):
        return True
    before = text[max(0, position - LONGEST_TITLE) : position]
    return before.rfind("《") > max(before.rfind("》"), before.rfind("\n"))


def _behind_marks(text: str, position: int) -> int:
    """Behind the other marks of the end, the quotes that close and the space. Nothing of the next line but space."""
    start = position - 1
    while position < len(text):
        char = text[position]
        if not char.isspace():
            behind = text[start:position]
            more = (char in HARD or char == ".") and not behind[-1].isspace()
            if "\n" in behind or not (more or _closes(text, position)):
                break
        position += 1
    return position


def _in_number(text: str, position: int, finished: bool) -> bool:
    behind = text[position + 1 : position + 2]
    return text[position - 1 : position].isdigit() and (behind.isdigit() or (not behind and not finished))


def _full_stop(text: str, position: int, settled: bool, finished: bool) -> bool | None:
    """Whether the point there ends a sentence; None: what comes next will tell."""
    before, behind = text[:position], text[position + 1 : position + 2]
    if not before.strip():
        return False
    found = _WORD.search(before)
    word = found[0].lower() if found is not None else ""
    if not behind:
        if finished:
            return True
        certain = settled and not before[-1].isdigit() and not _shortened(word)
        return True if certain else None
    if behind == ".":
        return True
    if behind.isspace() or behind in CLOSERS:
        return _ends_behind(word, before, text[position + 1 :].lstrip(), finished)
    if behind.isalpha() and ord(behind) >= 0x2E80:
        return (not before[-1].isdigit() or _DECIMAL.search(before) is not None) and not _shortened(word)
    return behind.isalnum() and not before[-1].isascii()


def _shortened(word: str) -> bool:
    return (
        word in _BEFORE_NAMES
        or word in _BEFORE_NUMBERS
        or word in _AT_AN_END_TOO
        or _INITIALS.fullmatch(word) is not None
        or _initial(word)
    )


def _initial(word: str) -> bool:
    return len(word) == 1 and word.isalpha() and word.isascii()


def _ends_behind(word: str, before: str, following: str, finished: bool) -> bool | None:
    """Of a point with space behind it; `following` is what stands behind the space."""
    if _NUMBER_OF_A_LIST.fullmatch(before) or word in _BEFORE_NAMES:
        return False
    doubtful = word in _BEFORE_NUMBERS or word in _AT_AN_END_TOO
    if doubtful and not following:
        return True if finished else None
    if word in _BEFORE_NUMBERS:
        return not following[0].isdigit() and not following[0].islower()
    if word in _AT_AN_END_TOO:
        return not following[0].isdigit() and not following[0].islower()
    if _initial(word):
        return word == "i" and before[:-1].strip() != ""
    return _INITIALS.fullmatch(word) is None
