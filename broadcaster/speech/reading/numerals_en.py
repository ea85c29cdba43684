"""English numerals: digits to words, American style (no "and", hyphens in twenty-one). Pure."""

from __future__ import annotations

import re
from typing import Final

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS: Final = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_GROUPS: Final = ("", " thousand", " million", " billion", " trillion")
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

LONGEST_CARDINAL: Final = 15
LONGEST_NAME: Final = 24
"""Card and order numbers end here; what is longer is not read out digit by digit."""

TOO_LONG: Final = "a long number"


def _small(value: int) -> str:
    """0..999."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(value, 100)
    return f"{_ONES[hundreds]} hundred" + (f" {_small(rest)}" if rest else "")


def cardinal(digits: str) -> str:
    """A whole number; over 15 digits one by one: 1234 -> one thousand two hundred thirty-four."""
    value = int(digits)
    if value == 0:
        return "zero"
    if len(digits) > LONGEST_CARDINAL:
        return one_by_one(digits)
    parts: list[str] = []
    for name in _GROUPS:
        value, group = divmod(value, 1000)
        if group:
            parts.append(_small(group) + name)
    return " ".join(reversed(parts))


def ordinal(digits: str) -> str:
    """21 -> twenty-first."""
    head, mark, last = re.fullmatch(r"(.*?)([ -]?)([a-z]+)", cardinal(digits)).groups()  # type: ignore[union-attr]
    said = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return head + mark + said


def one_by_one(digits: str, zero: str = "zero") -> str:
    """404 -> four zero four."""
    if len(digits) > LONGEST_NAME:
        return TOO_LONG
    return " ".join(zero if c == "0" else _ONES[int(c)] for c in digits)


def called(digits: str) -> str:
    """A number that is a name: telephones and rooms say oh."""
    return one_by_one(digits, "oh")


def in_pairs(digits: str) -> str:
    """Years, models, rasters: 1999 -> nineteen ninety-nine, 4090 -> forty ninety, 2005 -> two thousand five."""
    if len(digits) == 3:
        rest = digits[1:]
        if rest == "00":
            return cardinal(digits)
        return f"{_ONES[int(digits[0])]} {'oh ' + _ONES[int(rest[1])] if rest[0] == '0' else _small(int(rest))}"
    head, rest = int(digits[:-2]), digits[-2:]
    if digits[1:3] == "00" or head == 0:
        return cardinal(digits)
    if rest == "00":
        return f"{_small(head)} hundred"
    return f"{_small(head)} {'oh ' + _ONES[int(rest[1])] if rest[0] == '0' else _small(int(rest))}"


def number(digits: str) -> str:
    """A number without unit or context: "3.14", "007", "12345". Thousands commas are gone already."""
    whole, point, fraction = digits.partition(".")
    if point:
        return f"{cardinal(whole[-LONGEST_CARDINAL:] or '0')} point {one_by_one(fraction[:LONGEST_NAME])}"
    if (len(whole) > 1 and whole[0] == "0") or len(whole) > LONGEST_CARDINAL:
        return one_by_one(whole)
    if len(whole) >= 10 and not whole.endswith("000"):
        return called(whole)
    return cardinal(whole)


def plural(word: str) -> str:
    """Of a numeral: nineties, twenties, thousands."""
    return word[:-1] + "ies" if word.endswith("y") else word + "s"
