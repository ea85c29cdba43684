"""Words of the lists written in pinyin, or in other characters that sound the same. Pure; Aho-Corasick over letters.

The text becomes one stream of toneless pinyin, a Chinese character giving its syllable and a Latin letter itself, so
that mixtures are seen too. Words of one syllable are not looked for: half of all texts sound like one.

Ordinary Chinese is full of the same sounds, so characters count only where they do not belong: no dictionary word may
lead into or out of them, and one of those that differ from the word must be unusual there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

from broadcaster.brain.moderation.automata import Automata
from broadcaster.brain.moderation.english import ENGLISH
from broadcaster.brain.moderation.findings import Finding, of_word
from broadcaster.brain.moderation.folding import TABLE, is_han, is_latin
from broadcaster.brain.moderation.readings import READINGS, is_pinyin, syllables_of
from broadcaster.brain.moderation.words import Word

FEWEST_SYLLABLES: Final = 2

ORDINARY_WORD: Final = 20
"""Count in jieba's dictionary (60 million words of text) from which a word of several characters is ordinary. Those
written to get past a filter have counts up to 6 (measured), but for a few that the lists should name themselves."""

COMMON_CHARACTER: Final = 10_000
"""The same for a character that stands alone: some 450 do, and any two of them meet by chance."""

AROUND: Final = 12
"""Characters on both sides of a find that are cut into words to judge it."""

LONGEST_RUN: Final = 40
"""Latin letters without a break that are still looked at as a word."""

_BREAK: Final = " "
"""In the stream, where a digit stands: no word goes across."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one letter of the stream belongs to: the character at `at`; of a syllable, whether it begins there."""

    at: int
    han: bool
    first: bool


class SoundMatcher:
    """`tokenizer` gives jieba's; asked only when there is something to look for. Read only, from any thread."""

    def __init__(self, words: Sequence[Word], tokenizer: Callable[[], Any]) -> None:
        by_sound: defaultdict[str, set[tuple[Word, tuple[str, ...]]]] = defaultdict(set)
        for word in words:
            if word.group.pinyin:
                for syllables in _said(word):
                    by_sound["".join(syllables)].add((word, syllables))
        self._words = [list(each) for each in by_sound.values()]
        self._automata = Automata(list(by_sound))
        self._tokenizer: Any = tokenizer() if by_sound else None

    def find(self, text: str) -> Iterator[Finding]:
        if not self._words:
            return
        stream, units = _stream(text)
        for pattern, first, end in sorted(self._automata.find(stream), key=lambda hit: hit[1:]):
            found = units[first:end]
            if not found[0].first or (end < len(units) and units[end].han and not units[end].first):
                continue
            for word, syllables in self._words[pattern]:
                if _aligned(found, syllables) and self._meant(word, syllables, text, found):
                    yield of_word("sound", word, found[0].at, found[-1].at + 1)

    def _meant(self, word: Word, syllables: Sequence[str], text: str, found: Sequence[_Unit]) -> bool:
        """Whether this is the word, and not something else that sounds the same."""
        start, end = found[0].at, found[-1].at + 1
        if not all(unit.han for unit in found):
            return _pinyin_meant(text, start, end, found, syllables)
        places = [unit.at for unit in found if unit.first]
        others = {
            at
            for at, letter in zip(places, word.text if len(word.text) == len(places) else word.letters, strict=False)
            if TABLE[text[at]] != TABLE[letter]
        }
        if not others or any(_separated(text, one, other) for one, other in pairwise(places)):
            return False
        return self._out_of_place(text, start, end, others, len(syllables))

    def _out_of_place(self, text: str, start: int, end: int, others: set[int], syllables: int) -> bool:
        """Whether the characters of [start, end) are no ordinary words; `others` are those that the word has not."""
        begin = max(0, start - AROUND)
        frequency = self._tokenizer.FREQ
        odd = False
        at = begin
        for token in self._tokenizer.cut("".join(map(_one, text[begin : end + AROUND])), HMM=False):
            after = at + len(token)
            if at < end and after > start:
                count = frequency.get(token) or 0
                if len(token) == 1:
                    odd = odd or (at in others and count < COMMON_CHARACTER)
                elif count >= ORDINARY_WORD:
                    if at < start or after > end:
                        return False
                    odd = odd or (syllables > FEWEST_SYLLABLES and not others.isdisjoint(range(at, after)))
                else:
                    odd = odd or not others.isdisjoint(range(at, after))
            at = after
        return odd


def _one(letter: str) -> str:
    """The plain form where it is one character, so that places stay the same."""
    plain = TABLE[letter]
    return plain if len(plain) == 1 else letter


def _separated(text: str, one: int, other: int) -> bool:
    """Characters that only sound the same must stand together, but for what no eye sees and a single space."""
    between = text[one + 1 : other]
    return len(between) > 1 or (bool(between) and not between.isspace())


def _said(word: Word) -> Iterator[tuple[str, ...]]:
    """How the word can be typed: as it is read, as its characters are read one by one, and with u for ü."""
    if len(word.letters) < FEWEST_SYLLABLES and sum(word.runs) < FEWEST_SYLLABLES:
        return
    plain = "".join(letter * run for letter, run in zip(word.letters, word.runs, strict=True))
    if not all(map(is_han, plain)) or len(plain) < FEWEST_SYLLABLES:
        return
    alone = tuple(READINGS[letter] for letter in plain)
    for said in dict.fromkeys((syllables_of(plain), alone)):
        if said and all(said):
            yield said
            if any("v" in each for each in said):
                yield tuple(each.replace("v", "u") for each in said)


def _stream(text: str) -> tuple[str, list[_Unit]]:
    parts: list[str] = []
    units: list[_Unit] = []
    for at, character in enumerate(text):
        plain = TABLE[character]
        if not plain:
            continue
        said = READINGS[plain] if len(plain) == 1 and is_han(plain) else ""
        if said:
            parts.append(said)
            units += [_Unit(at, True, number == 0) for number in range(len(said))]
        else:
            for letter in plain:
                parts.append(letter if is_latin(letter) else _BREAK)
                units.append(_Unit(at, False, True))
    return "".join(parts), units


def _aligned(found: Sequence[_Unit], syllables: Sequence[str]) -> bool:
    """Whether every Chinese character is one whole syllable of the word."""
    starts = {0, *accumulate(map(len, syllables))}
    for number, unit in enumerate(found):
        begins = unit.first and unit.han
        if begins and number not in starts:
            return False
        if number in starts and unit.han and not unit.first:
            return False
        if number and number not in starts and found[number - 1].han != unit.han:
            return False
    return True


def _pinyin_meant(text: str, start: int, end: int, found: Sequence[_Unit], syllables: Sequence[str]) -> bool:
    """Of pinyin in Latin letters, some of the word or all of it."""
    before = _run(text, start, -1) if not found[0].han else ""
    after = _run(text, end - 1, 1) if not found[-1].han else ""
    if not is_pinyin(before) or not is_pinyin(after):
        return False
    runs = _latin_runs(text[start:end])
    whole = [before + runs[0], *runs[1:]] if before else list(runs)
    whole[-1] += after
    if not any(unit.han for unit in found) and all(run in ENGLISH for run in whole):
        return False
    spelled_out = len(runs) >= len("".join(syllables)) / 2
    return spelled_out or all(is_pinyin(run) for run in runs)


def _run(text: str, at: int, step: int) -> str:
    """The Latin letters that lead away from the one at `at`."""
    letters: list[str] = []
    while 0 <= (at := at + step) < len(text):
        plain = TABLE[text[at]]
        if not plain or not all(map(is_latin, plain)):
            break
        letters.append(plain)
        if len(letters) > LONGEST_RUN:
            return ""  # no word of any language: what is found in it stands
    return "".join(letters if step > 0 else reversed(letters))


def _latin_runs(text: str) -> list[str]:
    runs = [""]
    for character in text:
        plain = TABLE[character]
        if plain and all(map(is_latin, plain)):
            runs[-1] += plain
        elif runs[-1]:
            runs.append("")
    return [run for run in runs if run]
