"""A Mandarin text without a digit or a sign: every number in words, as a host would say it. Pure.

The order is that of certainty: what is marked by its form (addresses, telephones) first, then dates, then quantities;
a digit that nothing has claimed is a plain number.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from broadcaster.speech.reading.dates_zh import dated, fully_dated
from broadcaster.speech.reading.names_zh import named
from broadcaster.speech.reading.quantities_zh import measured, summed, ungrouped

_SHARP: Final = re.compile(r"(?<![A-Za-z])([CFcf])#(?![A-Za-z])")
_PLUSES: Final = re.compile(r"(?<=[A-Za-z])\+{1,2}(?![\w+])", re.A)
_AND: Final = re.compile(r"\s?&\s?")
_SLASH: Final = re.compile(r"(?<=[^\W\d_])\s?/\s?(?=[^\W\d_])")
_LETTER_PAIR: Final = re.compile(r"(?<![A-Za-z])([A-Z])/([A-Z])(?![A-Za-z])")
_GREEK: Final = {
    "α": "阿尔法",
    "β": "贝塔",
    "γ": "伽马",
    "Ω": "欧米伽",
    "Δ": "德尔塔",
    "λ": "兰姆达",
    "μ": "缪",
    "σ": "西格玛",
}
_NEEDS_READING: Final = re.compile(r"[-–~\d%‰℃℉°+×÷=≈≠≤≥±√∞<>^²³π@#.&/$¥€£\u2160-\u217fα-ωΩΔ]")
_ROMAN_BEHIND_HAN: Final = re.compile(r"[\u4e00-\u9fff]\s?[IVX]{2}")


def worded(text: str) -> str:
    """`text` with its numbers and signs in words. Expects the output of `symbols.plain`."""
    if not _NEEDS_READING.search(text) and not _ROMAN_BEHIND_HAN.search(text):
        return text
    text = "".join(_ascii_digit(c) for c in text)
    text = _SHARP.sub(r"\1 sharp", text)
    text = _PLUSES.sub(lambda m: "加" * len(m[0]), text)
    text = re.sub(r"(?<=[A-Za-z])&(?=[A-Za-z])", " and ", text)
    text = _AND.sub("和", text)
    text = fully_dated(summed(ungrouped(text)))
    text = measured(dated(named(text)))
    text = _SLASH.sub("、", _LETTER_PAIR.sub(r"\1\2", text))
    return "".join(_GREEK.get(c, c) for c in text)


def _ascii_digit(char: str) -> str:
    """Digits of other scripts as 0-9; signs that are numbers (Ⅷ, 〇) stay."""
    if char.isascii() or not char.isdigit() or char in "²³":
        return char
    return str(unicodedata.digit(char))
