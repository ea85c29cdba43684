"""Words of the lists in a text, however they are spaced, styled or stretched. Pure; Aho-Corasick over plain letters.

A Latin word counts only as a word of its own: "hash it" holds no other word, "s-h-i-t" and "s h i t" do. Between
Chinese characters anything may stand, save one mark of punctuation that ends a clause of running text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from broadcaster.brain.moderation.automata import Automata
from broadcaster.brain.moderation.findings import Finding, bounded, of_word
from broadcaster.brain.moderation.folding import TABLE, Letter, compact, is_latin, letters_of, squeezed
from broadcaster.brain.moderation.words import Word

STRETCHED: Final = 3
"""So many of the same Latin letter are one that was stretched: no word is spelled with three."""

_CLAUSE_MARKS: Final = frozenset("，。！？；：、…,.!?;:\n")
_APOSTROPHES: Final = "'’"
_CONTRACTIONS: Final = frozenset(("ll", "re", "ve", "s", "t", "d", "m"))


class Matcher:
    """Finds `words` in texts. Read only, from any thread."""

    def __init__(self, words: Sequence[Word]) -> None:
        by_letters: defaultdict[str, list[Word]] = defaultdict(list)
        for word in words:
            by_letters[word.letters].append(word)
        self._words = list(by_letters.values())
        self._automata = Automata(list(by_letters))

    def find(self, text: str) -> list[Finding]:
        """Some microseconds for a text that holds nothing."""
        hits = self._automata.find(squeezed(compact(text)))
        if not hits:
            return []
        letters = letters_of(text)
        found = (
            of_word("word", word, place[0].start, place[-1].end)
            for pattern, first, end in sorted(hits, key=lambda hit: hit[1:])
            for word in self._words[pattern]
            if (place := _place(word, letters[first:end], text)) is not None
        )
        return list(bounded(found, len(text)))


def _place(word: Word, found: Sequence[Letter], text: str) -> list[Letter] | None:
    """Where the word really is; None when it is not. Letters repeated beyond a gap may be of the next word, or of the
    one before: "fuck kids" has two k in a row."""
    first, last = found[0], found[-1]
    for at in (*first.gaps()[-1:], 0):
        for end in (*last.gaps()[:1], last.run):
            if len(found) == 1 and end <= at:
                continue
            place = list(found)
            place[-1] = Letter(last.letter, last.places[:end])
            place[0] = Letter(first.letter, place[0].places[at:])
            if _is_there(word, place, text):
                return place
    return None


def _is_there(word: Word, found: Sequence[Letter], text: str) -> bool:
    start, end = found[0].start, found[-1].end
    return (
        all(map(_fits, found, word.runs[: len(found) - word.loose_end]))
        and found[-1].run >= word.runs[-1]
        and stands_alone(text, start, end, word.loose_start, word.loose_end)
        and _together(word, found, text)
    )


def _fits(letter: Letter, run: int) -> bool:
    if is_latin(letter.letter):
        return letter.run == run or letter.run >= max(STRETCHED, run)
    return letter.run >= run


def stands_alone(text: str, start: int, end: int, loose_start: bool = False, loose_end: bool = False) -> bool:
    """Whether no Latin word or number goes on beyond the ends of [start, end)."""
    if start > 0 and not loose_start and _goes_on(text[start - 1], text[start]):
        return False
    if end >= len(text) or loose_end:
        return True
    if text[end] in _APOSTROPHES and _contraction(text, end):
        return False
    return not _goes_on(text[end - 1], text[end])


def _contraction(text: str, at: int) -> bool:
    """Whether the apostrophe at `at` begins the end of a contraction, as in `he'll`; the s of a genitive is none."""
    rest = ""
    for letter in text[at + 1 : at + 4]:
        if not is_latin(plain := TABLE[letter]):
            break
        rest += plain
    return rest in _CONTRACTIONS and rest != "s"


def _goes_on(one: str, other: str) -> bool:
    """Whether two neighbours belong to the same Latin word, or to the same number."""
    before, after = TABLE[one][-1:], TABLE[other][:1]
    if not before or not after:
        return False
    return (is_latin(before) and is_latin(after)) or (before.isdigit() and after.isdigit())


def _together(word: Word, found: Sequence[Letter], text: str) -> bool:
    """Whether what stands between the letters is put in on purpose, or is the word's own."""
    gaps = [
        (at, text[one.end : other.start])
        for at, one, other in zip(range(1, len(found)), found, found[1:], strict=False)
        if other.start > one.end
    ]
    foreign = [(at, gap) for at, gap in gaps if at not in word.joints]
    latin = [(at, gap) for at, gap in foreign if is_latin(found[at - 1].letter) and is_latin(found[at].letter)]
    within = [
        text[letter.places[at - 1] + 1 : letter.places[at]]
        for letter in found
        if is_latin(letter.letter)
        for at in letter.gaps()
    ]
    spaces = sum(gap.isspace() for _, gap in latin) + max(0, sum(map(str.isspace, within)) - word.inner)
    if spaces and 2 * spaces <= sum(letter.run for letter in found) - 1:
        return False  # two ordinary words, not one that is spelled out
    if not foreign:
        return True
    if any(gap in _APOSTROPHES and _contraction(text, found[at - 1].end) for at, gap in latin):
        return False
    if len(foreign) == 1 and foreign[0][1].strip(" ") in _CLAUSE_MARKS and len(foreign[0][1].strip(" ")) == 1:
        return not (_runs_on(text, found[0].start - 1) and _runs_on(text, found[-1].end))
    return True


def _runs_on(text: str, at: int) -> bool:
    return 0 <= at < len(text) and bool(TABLE[text[at]])


_LEET: Final = {
    "0": "o", "1": "l", "!": "l", "|": "l", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t", "+": "t",
    "8": "b", "9": "g",
}  # fmt: skip
_SHOWN: Final = {
    "0": "o", "1": "il", "!": "il", "|": "il", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t", "+": "t",
    "8": "b", "9": "g",
}  # fmt: skip
"""What a digit or a sign is written for. i and l share their signs, so that they are one letter to the automaton."""

LEET_WORD: Final = 3
"""Shorter words are not looked for among digits: `4S` is a car dealer."""


class LeetMatcher:
    """Finds Latin words that are written with digits and signs in place of letters, as in `sh1t`."""

    def __init__(self, words: Sequence[Word]) -> None:
        by_letters: defaultdict[str, list[Word]] = defaultdict(list)
        for word in words:
            spelled = "".join(letter * run for letter, run in zip(word.letters, word.runs, strict=True))
            if len(spelled) >= LEET_WORD and spelled.isascii() and spelled.isalpha():
                by_letters[spelled.replace("i", "l")].append(word)
        self._words = list(by_letters.values())
        self._automata = Automata(list(by_letters))

    def find(self, text: str) -> Iterator[Finding]:
        if not self._words or not any(letter in _LEET for letter in text):
            return
        letters: list[str] = []
        places: list[int] = []
        for at, character in enumerate(text):
            plain = _LEET.get(character) or TABLE[character]
            if len(plain) == 1:
                letters.append("l" if plain == "i" else plain)
                places.append(at)
        for pattern, first, end in self._automata.find("".join(letters)):
            found = places[first:end]
            for word in self._words[pattern]:
                if self._is_there(word, found, text):
                    yield of_word("leet", word, found[0], found[-1] + 1)

    def _is_there(self, word: Word, places: Sequence[int], text: str) -> bool:
        spelled = "".join(letter * run for letter, run in zip(word.letters, word.runs, strict=True))
        signs = 0
        for letter, at in zip(spelled, places, strict=True):
            if text[at] in _SHOWN and letter in _SHOWN[text[at]]:
                signs += 1
            elif TABLE[text[at]] != letter:
                return False
        start, end = places[0], places[-1] + 1
        return (
            0 < signs <= len(spelled) / 2
            and end - start == len(spelled)
            and not self._written_on(text, start - 1)
            and not self._written_on(text, end)
        )

    def _written_on(self, text: str, at: int) -> bool:
        if not 0 <= at < len(text):
            return False
        plain = TABLE[text[at]]
        return text[at] in "@$" or (bool(plain) and (is_latin(plain[0]) or plain[0].isdigit()))
