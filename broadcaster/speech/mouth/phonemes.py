"""Kokoro's phoneme symbols as mouth shapes: tokens with durations in, a gapless phone track out. Pure.

One token is one character of the IPA string. Tone arrows belong to the vowel before them, stress marks and
aspiration to the vowel after them; spaces and punctuation are silence only when they last long enough to be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from broadcaster.types import Phone, Viseme

SAMPLES_PER_UNIT: Final = 1200
"""One duration unit of the model is 600 samples at 24 kHz: 25 ms, or 1200 samples on air."""

REST_UNITS: Final = 3
"""A space or punctuation mark shorter than this (75 ms) is a joint between words: the mouth does not rest in it."""

_CLASSES: Final[dict[Viseme, str]] = {
    Viseme.PP: "pbmβɸ",
    Viseme.FF: "fvʋ",
    Viseme.TH: "θð",
    Viseme.DD: "tdʈɖɾT",
    Viseme.KK: "kɡghxqɣχŋʔɟcħ",
    Viseme.CH: "ʨʥꭧʤʧʃʂɕʒçɻʝ",
    Viseme.SS: "szʦʣ",
    Viseme.NN: "nlɲɳɴʎ",
    Viseme.RR: "rɹʁɽ",
    Viseme.AA: "aɑɐæʌIW",
    Viseme.E: "eɛəɚɜAᵊɤ",
    Viseme.IH: "iɪɨᵻj",
    Viseme.OH: "oɔOQYɒ",
    Viseme.OU: "uʊwyɥɯɰøœᵝS",
}
VISEMES: Final[dict[str, Viseme]] = {symbol: viseme for viseme, symbols in _CLASSES.items() for symbol in symbols}

_BACKWARD: Final = frozenset("→↗↘↓ː̃")
_FORWARD: Final = frozenset("ˈˌʰʲ")


def phone_track(symbols: str, durations: Sequence[int]) -> tuple[Phone, ...]:
    """Phones of a whole engine output, in 48 kHz samples from its first sample, without gaps.

    `durations` has one entry per symbol plus the leading and the trailing pad (units of 25 ms).
    """
    if len(durations) != len(symbols) + 2:
        raise ValueError(f"{len(symbols)} symbols need {len(symbols) + 2} durations, not {len(durations)}")
    spans: list[tuple[str, Viseme, int, int]] = [("", Viseme.SIL, 0, durations[0])]
    position = durations[0]
    pending: int | None = None
    for symbol, duration in zip(symbols, durations[1:-1], strict=True):
        end = position + duration
        start = position if pending is None else pending
        viseme = VISEMES.get(symbol)
        if viseme is not None:
            spans.append((symbol, viseme, start, end))
            pending = None
        elif symbol in _FORWARD:
            pending = start
        elif symbol in _BACKWARD or duration < REST_UNITS:
            last = spans[-1]
            spans[-1] = (last[0], last[1], last[2], end)
            pending = None
        else:
            spans.append(("", Viseme.SIL, start, end))
            pending = None
        position = end
    tail = position if pending is None else pending
    spans.append(("", Viseme.SIL, tail, position + durations[-1]))
    return tuple(
        Phone(symbol, viseme, start * SAMPLES_PER_UNIT, end * SAMPLES_PER_UNIT)
        for symbol, viseme, start, end in spans
        if end > start
    )


def shifted(phones: Sequence[Phone], offset: int) -> tuple[Phone, ...]:
    """The same phones, `offset` samples later."""
    return tuple(Phone(p.symbol, p.viseme, p.start + offset, p.end + offset) for p in phones)


def earlier(phones: Sequence[Phone], samples: int) -> tuple[Phone, ...]:
    """The same track moved ahead by `samples` under a sound that stays: the first phone loses, the last gains."""
    if not phones:
        return ()
    end = phones[-1].end
    moved = cropped(shifted(phones, -samples), 0, end)
    if not moved:
        return (Phone(phones[-1].symbol, phones[-1].viseme, 0, end),)
    return (*moved[:-1], Phone(moved[-1].symbol, moved[-1].viseme, moved[-1].start, end))


def cropped(phones: Sequence[Phone], start: int, end: int) -> tuple[Phone, ...]:
    """The phones heard between samples `start` and `end`, counted from `start`."""
    kept = ((p, max(p.start, start), min(p.end, end)) for p in phones)
    return tuple(Phone(p.symbol, p.viseme, first - start, last - start) for p, first, last in kept if last > first)
