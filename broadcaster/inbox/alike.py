"""What a text says, stripped of how it is written, and which of many texts say the same. Pure.

Two texts are compared by what they share of words and pairs of words (Dice's coefficient); a Chinese character is a
word. Figures and negations must be equal: "100" and "200" are as unlike as yes and no, however much else is the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from math import ceil
from typing import Final

from opencc import OpenCC

_KEPT: Final = 4096
"""Shapes that are kept: in a fast room the same few texts come again and again."""

_LONGEST: Final = 200
"""Characters that are looked at: nobody repeats a long text by chance."""

_COMPARED: Final = 24
"""Candidates that one text is compared with; a room that talks about one thing has hundreds that share a word."""

_SIMPLIFIED: Final = OpenCC("t2s")
_TOKEN: Final = re.compile(r"[a-z]+(?:'[a-z]+)*|[0-9]+(?:\.[0-9]+)?|[^\W_a-z0-9]")
_FILLERS: Final = re.compile(
    r"请问一下|请问|我?想问一下|我?想问|问一下|问下|主播|播主|\b(?:please|pls|plz|hey|um+|uh+)\b"
)
_ENDINGS: Final = frozenset("呀啊吗呢哦嘛吧哈啦噢喔诶欸么")
_SAME: Final = {
    "什么时候": "几点", "啥时候": "几点", "何时": "几点",
    "怎么样": "怎样", "咋样": "怎样",
    "咋": "怎么", "如何": "怎么",
    "什么价": "多少钱", "啥价": "多少钱", "几块钱": "多少钱", "怎么卖": "多少钱", "价格多少": "多少钱",
    "啥": "什么", "哪儿": "哪里", "您": "你", "咱": "我",
}  # fmt: skip
_SYNONYM: Final = re.compile("|".join(sorted(_SAME, key=len, reverse=True)))
_FIRM: Final = frozenset("不没别未莫勿今明昨男女") | {
    "not",
    "no",
    "never",
    "without",
    "today",
    "tomorrow",
    "yesterday",
}
"""Words that turn a sentence round; two texts must have the same of them."""

_SHORT: Final = {"n't": " not", "'s": " is", "'re": " are", "'m": " am"}
_SHORTENED: Final = re.compile(r"(?<=[a-z])(?:n't|'s|'re|'m)\b")
_ONE: Final = re.compile(r"一(?=[首个下条段句次种])")
_REPEATED_LETTER: Final = re.compile(r"(\w)\1{2,}")
_REPEATED_PAIR: Final = re.compile(r"(\w\w)\1{2,}")
_REPEATED_FIGURE: Final = re.compile(r"([1-9])\1+")


@dataclass(frozen=True, slots=True)
class Shape:
    """`plain`: equal for texts that differ in their writing only. `parts`: words and pairs. `firm`: must be equal."""

    plain: str
    parts: frozenset[str]
    ordered: tuple[str, ...]
    firm: tuple[str, ...]

    def likeness(self, other: Shape) -> float:
        """0 (nothing in common) to 1 (the same)."""
        shared = len(self.parts & other.parts)
        return 2 * shared / (len(self.parts) + len(other.parts)) if shared else 0.0


def shape_of(text: str) -> Shape:
    return _shape(text[:_LONGEST])


@lru_cache(maxsize=_KEPT)
def _shape(text: str) -> Shape:
    plain = plainly(text)
    if not plain.isascii():
        plain = _SYNONYM.sub(lambda found: _SAME[found[0]], plain)
        plain = _without_ending(_ONE.sub("", plain))
    plain = _SHORTENED.sub(lambda found: _SHORT[found[0]], plain.replace("’", "'"))
    left = _FILLERS.sub(" ", plain)
    if left != plain and _TOKEN.search(left):
        plain = left
    words = [_squeezed(word) for word in _TOKEN.findall(plain)]
    if not words:
        words = [char for char in plain if not char.isspace()]
    words = _once(_without_runs(words))
    if len(words) == 1 and words[0].isdigit():
        words = [_REPEATED_FIGURE.sub(r"\1", words[0])]
    pairs = {f"{one} {other}" for one, other in pairwise(words)}
    single = set(words)
    # Pairs first: they are rarer, and the index looks at the first ones only.
    ordered = (*sorted(pairs), *sorted(single))
    firm = sorted(word for word in words if word in _FIRM or word[0].isdecimal())
    return Shape(" ".join(words), frozenset(ordered), ordered, tuple(firm))


def plainly(text: str) -> str:
    """In simplified characters, half width and small letters; at most 200 characters."""
    plain = unicodedata.normalize("NFKC", text[:_LONGEST])[:_LONGEST].casefold()
    if plain.isascii():
        return plain
    try:
        simplified: str = _SIMPLIFIED.convert(plain)
    except UnicodeEncodeError:  # half a surrogate pair
        return plain
    return simplified


def _without_ending(text: str) -> str:
    """Without the particles at its end, unless nothing would be left."""
    end = len(text)
    while end and (text[end - 1] in _ENDINGS or not text[end - 1].isalnum()):
        end -= 1
    return text[:end] or text


def _squeezed(word: str) -> str:
    """ "sooooo" is "so", "hahaha" is "ha"; figures stay."""
    if len(word) < 3 or not word.isalpha():
        return word
    return _REPEATED_PAIR.sub(r"\1", _REPEATED_LETTER.sub(r"\1", word))


def _without_runs(words: list[str]) -> list[str]:
    """Three or more of the same in a row are one; two may be grammar."""
    found: list[str] = []
    for word, run in groupby(words):
        found += [word, word] if len(list(run)) == 2 else [word]
    return found


def _once(words: list[str]) -> list[str]:
    """A text that is one thing said several times, said once."""
    for period in range(1, len(words) // 2 + 1):
        if len(words) % period == 0 and words == words[:period] * (len(words) // period):
            return words[:period]
    return words


class Alike:
    """Finds, among many shapes with ids, one that says the same: `similarity` (0.5..1) or more alike.

    Only the first parts of a shape are indexed, as many as two shapes that are alike enough cannot do without
    (prefix filtering: Chaudhuri, Ganti, Kaushik, "A primitive operator for similarity joins", ICDE 2006).
    """

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._equal: dict[str, str] = {}
        self._shapes: dict[str, Shape] = {}
        self._holders: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def add(self, identity: str, shape: Shape) -> None:
        self._shapes[identity] = shape
        self._equal.setdefault(shape.plain, identity)
        for part in self._first(shape):
            self._holders.setdefault(part, {})[identity] = None

    def discard(self, identity: str) -> None:
        shape = self._shapes.pop(identity, None)
        if shape is None:
            return
        if self._equal.get(shape.plain) == identity:
            del self._equal[shape.plain]
        for part in self._first(shape):
            holders = self._holders[part]
            del holders[identity]
            if not holders:
                del self._holders[part]

    def find(self, shape: Shape) -> str | None:
        if (same := self._equal.get(shape.plain)) is not None:
            return same
        if self._similarity >= 1.0:
            return None
        shared: Counter[str] = Counter()
        for part in self._first(shape):
            if holders := self._holders.get(part):
                shared.update(holders.keys())
        if not shared:
            return None
        best, found = self._similarity, None
        least = self._similarity / (2 - self._similarity) - 1e-9
        size = len(shape.parts)
        for identity, _ in shared.most_common(_COMPARED) if len(shared) > _COMPARED else shared.items():
            other = self._shapes[identity]
            if not least <= len(other.parts) / size <= 1 / least:
                continue
            if other.firm == shape.firm and (alike := shape.likeness(other)) >= best:
                best, found = alike, identity
        return found

    def _first(self, shape: Shape) -> tuple[str, ...]:
        if self._similarity >= 1.0:
            return ()
        size = len(shape.ordered)
        return shape.ordered[: size - ceil(size * self._similarity / (2 - self._similarity) - 1e-9) + 1]


class Picked:
    """Shapes one after the other, and how much another one is like the nearest of them, without comparing all."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._holders: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def append(self, shape: Shape) -> None:
        for part in shape.parts:
            self._holders.setdefault(part, []).append(len(self._sizes))
        self._sizes.append(len(shape.parts))

    def nearest(self, shape: Shape, since: int = 0) -> float:
        """The greatest likeness to those from number `since` on; 0 for none."""
        shared: dict[int, int] = {}
        for part in shape.parts:
            for number in reversed(self._holders.get(part, ())):
                if number < since:
                    break
                shared[number] = shared.get(number, 0) + 1
        size = len(shape.parts)
        return max((2 * count / (size + self._sizes[number]) for number, count in shared.items()), default=0.0)
