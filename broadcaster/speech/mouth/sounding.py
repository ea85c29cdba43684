"""Phonemes to be found in a sound: the parts of a piece in the order in which they are said. Pure.

One part is one symbol of the phoneme string. Aspiration is a part of its own, because it sounds like nothing else,
and belongs to the mouth of the vowel behind it. Word joints and punctuation are silences that may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broadcaster.speech.mouth.phonemes import VISEMES
from broadcaster.types import Viseme

ASPIRATION: Final = "ʰ"


@dataclass(frozen=True, slots=True)
class Part:
    """`symbol` is "" for a silence. `optional` parts may be missing, at the price of `skip` (log probability).

    `final`: the last sound before a pause, which is drawn out.
    """

    symbol: str
    viseme: Viseme
    optional: bool = False
    taken: float = 0.0
    final: bool = False


_EDGE: Final = 0.0
_MARK: Final = 0.0
_JOINT: Final = -4.0
"""Log probability, against none, of a pause at the edges, at punctuation, between words."""


def parts_of(symbols: str) -> tuple[Part, ...]:
    """Parts of a phoneme string, with a silence that may be missing at both ends. Empty when nothing sounds."""
    found: list[Part] = []

    def rest(taken: float) -> None:
        if found and found[-1].optional:
            found[-1] = Part("", Viseme.SIL, True, max(taken, found[-1].taken))
        else:
            found.append(Part("", Viseme.SIL, True, taken))
        if taken > _JOINT:
            _draw_out(found)

    rest(_EDGE)
    for symbol in symbols:
        viseme = VISEMES.get(symbol)
        if viseme is not None:
            found.append(Part(symbol, viseme))
        elif symbol == ASPIRATION:
            found.append(Part(symbol, Viseme.KK))
        elif symbol == " ":
            rest(_JOINT)
        elif not symbol.isalpha() and symbol not in "→↗↘↓ː̃ˈˌ":
            rest(_MARK)
    rest(_EDGE)
    return tuple(found) if len(found) > 1 else ()


def _draw_out(found: list[Part]) -> None:
    if len(found) > 1 and not found[-2].optional:
        part = found[-2]
        found[-2] = Part(part.symbol, part.viseme, final=True)
