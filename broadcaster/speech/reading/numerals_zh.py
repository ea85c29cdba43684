"""Mandarin numerals: digits to words. Pure.

幺 stands for 1 in numbers that are names (telephones, rooms), 两 for 2 where things are counted.
"""

from __future__ import annotations

from typing import Final

DIGITS: Final = "零一二三四五六七八九"
_CALLED: Final = {**dict(zip("0123456789", DIGITS, strict=True)), "1": "幺"}
_PLAIN: Final = dict(zip("0123456789", DIGITS, strict=True))
_GROUPS: Final = ("", "万", "亿", "万亿")

LONGEST_CARDINAL: Final = 16
LONGEST_NAME: Final = 24
"""Card and order numbers end here; what is longer is not read out digit by digit."""

TOO_LONG: Final = "一长串数字"


def one_by_one(digits: str) -> str:
    """2024 -> 二零二四: years, decimals, versions. Other characters are left out."""
    return "".join(_PLAIN.get(c, "") for c in digits)


def called(digits: str) -> str:
    """110 -> 幺幺零: telephones, rooms, codes. Other characters are left out."""
    said = "".join(_CALLED.get(c, "") for c in digits)
    return said if len(said) <= LONGEST_NAME else TOO_LONG


def cardinal(digits: str) -> str:
    """A whole number; over 16 digits one by one: 0 -> 零, 12 -> 十二, 200 -> 两百, 10050 -> 一万零五十."""
    digits = digits.lstrip("0") or "0"
    if digits == "0":
        return "零"
    if len(digits) > LONGEST_CARDINAL:
        return called(digits)
    said = ""
    gap = False
    groups = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)][::-1]
    for index, group in enumerate(groups):
        name = _GROUPS[len(groups) - 1 - index]
        value = int(group)
        if value == 0:
            gap = bool(said)
            continue
        if said and (gap or value < 1000):
            said += "零"
        said += ("两" if value == 2 and name and not said else _thousands(value, first=not said)) + name
        gap = False
    if "万亿" in said and said.count("亿") > 1:  # 一万亿二千亿 is said 一万二千亿
        said = said.replace("万亿", "万", 1)
    return said


def _thousands(value: int, *, first: bool) -> str:
    said = ""
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, size)
        if digit == 0:
            if said and value and not said.endswith("零"):
                said += "零"
            continue
        if digit == 2 and size >= 100 and first and not said:
            said += "两" + name
        elif digit == 1 and size == 10 and first and not said:
            said += name
        else:
            said += DIGITS[digit] + name
    return said.rstrip("零") if said != "零" else said


def number(digits: str) -> str:
    """A number without unit or context: "3.14", "007", "12345". Thousands commas are gone already."""
    whole, point, fraction = digits.partition(".")
    if point:
        return (whole_number(whole) if whole else "零") + "点" + one_by_one(fraction[:LONGEST_NAME])
    return whole_number(whole)


def whole_number(digits: str) -> str:
    """Zeros at the head, and ten digits that end in no zeros, are the mark of a name."""
    if len(digits) > 1 and digits[0] == "0":
        return called(digits)
    if len(digits) > LONGEST_CARDINAL or (len(digits) >= 10 and not digits.endswith("000")):
        return called(digits)
    return cardinal(digits)


def counted(digits: str) -> str:
    """A number of things: 2 -> 两."""
    return "两" if digits == "2" else number(digits)
