"""An English text without a digit or a sign: every number in words, as an American host would say it. Pure.

The order is that of certainty: what is marked by its form first, a digit that nothing has claimed is a plain number.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from broadcaster.speech.reading.dates_en import dated
from broadcaster.speech.reading.names_en import named
from broadcaster.speech.reading.numerals_en import number
from broadcaster.speech.reading.quantities_en import measured, ungrouped

_ABBREVIATIONS: Final = {
    r"\bMr\.": "Mister",
    r"\bMrs\.": "Missus",
    r"\bMs\.": "Miz",
    r"\bDr\.(?=\s+[A-Z])": "Doctor",
    r"(?<=[a-z])\s+Dr\.(?=\s*$)": " Drive.",
    r"(?<=[a-z])\s+Dr\.(?!\s+[A-Z][a-z])": " Drive",
    r"\bProf\.": "Professor",
    r"\bSt\.(?=\s+[A-Z])": "Saint",
    r"(?<=[a-z])\s+St\.(?=\s*$)": " Street.",
    r"(?<=[a-z])\s+Ave\.(?=\s*$)": " Avenue.",
    r"(?<=[a-z])\s+St\.": " Street",
    r"(?<=[a-z])\s+Ave\.": " Avenue",
    r"(?<=[a-z])\s+Rd\.": " Road",
    r"(?<=[a-z])\s+Blvd\.": " Boulevard",
    r"\bMt\.(?=\s+[A-Z])": "Mount",
    r"\bFt\.(?=\s+[A-Z])": "Fort",
    r"\bJr\.": "Junior",
    r"\bSr\.": "Senior",
    r"\bvs\.?(?=\s)": "versus",
    r"\betc\.(?=\s*$)": "et cetera.",
    r"\betc\.": "et cetera",
    r"\be\.g\.,?": "for example,",
    r"\bi\.e\.,?": "that is,",
    r"\bapprox\.": "approximately",
    r"\bIncl\.|\bincl\.": "including",
    r"\best\.(?=\s*(?:in\s)?\d{4})": "established",
    r"\bDept\.": "Department",
    r"\bInc\.": "Incorporated",
    r"\bLtd\.": "Limited",
    r"\bCorp\.": "Corporation",
    r"\bw/o\b": "without",
    r"\bw/(?=\s)": "with",
}
_ABBREVIATED: Final = [(re.compile(pattern), said) for pattern, said in _ABBREVIATIONS.items()]
_COMPARED: Final = {
    "≈": "about",
    "≠": "is not",
    "≤": "at most",
    "≥": "at least",
    "±": "plus or minus",
    "√": "the square root of",
    "∞": "infinity",
    "π": "pi",
    "×": "times",
    "÷": "divided by",
    "=": "equals",
    "<": "less than",
    ">": "more than",
    "+": "plus",
    "&": "and",
    "%": "percent",
}
_SLASH: Final = re.compile(r"(?<=[A-Za-z])\s?/\s?(?=[A-Za-z])")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?|\.\d+")


def worded(text: str) -> str:
    """`text` with its numbers, signs and abbreviations in words. Expects the output of `symbols.plain`."""
    text = "".join(
        str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() and c not in "²³" else c for c in text
    )
    for pattern, said in _ABBREVIATED:
        text = pattern.sub(said, text)
    text = re.sub(r"\b([CFcf])#", r"\1 sharp", text)
    text = re.sub(r"(?<=[A-Za-z])\+{1,2}(?!\w)", lambda m: " plus" * len(m[0]), text)
    text = measured(dated(named(ungrouped(text))))
    text = _NUMBER.sub(lambda m: _apart(m, number(m[0])), text)
    for sign, word in _COMPARED.items():
        text = re.sub(rf"\s?{re.escape(sign)}\s?", f" {word} ", text) if sign in text else text
    text = text.replace("²", " squared").replace("³", " cubed")
    return _SLASH.sub(" ", text)


def _apart(match: re.Match[str], said: str) -> str:
    """A numeral with spaces where letters stand close to its digits."""
    before, behind = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return f"{' ' * before.isalpha()}{said}{' ' * behind.isalpha()}"
