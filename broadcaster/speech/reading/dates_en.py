"""Dates, years and times of day in English. Pure: text with digits in, the same text with dates in words out."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.numerals_en import cardinal, in_pairs, ordinal, plural

_MONTHS: Final = ("January February March April May June July August September October November December").split()
_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_SHORT: Final = {m[:3].lower(): m for m in _MONTHS}
_DAYS: Final = {
    "Mon": "Monday",
    "Tue": "Tuesday",
    "Tues": "Tuesday",
    "Wed": "Wednesday",
    "Thu": "Thursday",
    "Thurs": "Thursday",
    "Fri": "Friday",
    "Sat": "Saturday",
    "Sun": "Sunday",
}
_YEAR: Final = r"(?:1[0-9]\d\d|20\d\d|21\d\d)"

_WEEKDAY: Final = re.compile(rf"\b({'|'.join(_DAYS)})\.?(?=,? (?:{_MONTH}\b|\d{{1,2}}\b))")
_ISO: Final = re.compile(
    rf"(?<![\w.-])({_YEAR})([-/.])(0?[1-9]|1[0-2])\2(3[01]|[12]\d|0?[1-9])(?:T(?=\d\d:))?(?![\d/]|-\d)"
)
_SLASHED: Final = re.compile(rf"(?<![\d/.])(\d{{1,2}})/(\d{{1,2}})/({_YEAR}|\d\d)(?![\d/])")
_MONTH_DAY_YEAR: Final = re.compile(rf"\b({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?:(,?) ({_YEAR}))?(?![\d:%]|\.\d)")
_DAY_MONTH_YEAR: Final = re.compile(
    rf"(?<![\w.])([Tt]he )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b\.?(?:,? ({_YEAR})(?!\d))?"
)
_MONTH_YEAR: Final = re.compile(rf"\b({_MONTH})\.?,? ({_YEAR})(?![\d:%]|\.\d)")
_MONTH_DAY: Final = re.compile(r"(?<![\d/.])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)")
_PART_OF_YEAR: Final = re.compile(rf"\b(early|mid|late|pre|post)-(?={_YEAR}(?!\d))")
_DECADE: Final = re.compile(r"(?<![\w.])('?)((?:1[0-9]|20)?\d0)'?s\b")
_YEARS: Final = re.compile(rf"(?<![\w.])({_YEAR})\s?[-–]\s?({_YEAR}|\d\d)(?![\d-])")
_YEAR_SAID: Final = re.compile(
    rf"\b((?:in|since|by|from|until|till|during|before|after|around|circa|of|year|early|mid|late|pre|post|class of"
    rf"|spring|summer|fall|autumn|winter|and|to|for)\s)({_YEAR})(?![\d%]|[.,:/]\d|-\d|\s(?:people|viewers|users|dollars|more|other|fans|followers|of|[a-z]+s)\b)",
    re.I,
)
_YEAR_ALONE: Final = re.compile(
    r"(?<![\w.,$€£¥:/-])(19\d\d|20(?:0[1-9]|[1-9]\d))(?![\d%\w]|[.,:/]\d|-\d|\s?(?:[a-z]+s\b|people|more|other|times|x\b|[kKmMgG][a-zA-Z]*\b))"
)
_CLOCK: Final = r"(2[0-4]|1\d|0?\d):([0-5]\d)(?::([0-5]\d))?(?:\.\d+)?Z?\s?(?:([AaPp])\.?[Mm]\b\.?)?"
_TIME: Final = re.compile(rf"(?<![\d.:])({_CLOCK})(?:\s?[-–]\s?({_CLOCK}))?(?![\d:])")
_HOUR: Final = re.compile(r"(?<![\d.:])(1[0-2]|[1-9])(?:\s?[-–]\s?(1[0-2]|[1-9]))?\s?([AaPp])\.?[Mm]\b\.?")
_ORDINAL: Final = re.compile(r"(?<![\w.])(\d{1,15})(?:st|nd|rd|th)\b")
_HOURS: Final = re.compile(
    r"(?<![\d.:])((?:1[0-2]|[1-9])\s?[AaPp]\.?[Mm]\.?)\s?[-–]\s?(?=(?:1[0-2]|[1-9])(?::[0-5]\d)?\s?[AaPp]\.?[Mm])"
)
_SCORE: Final = re.compile(r"(?:ratio|score|aspect|won|lost|beat|odds|lead|leads|led)\b[^.]{0,12}$", re.I)


def dated(text: str) -> str:
    """Dates, years and times of day of `text` in words."""
    text = _WEEKDAY.sub(lambda m: _DAYS[m[1]], text)
    text = _ISO.sub(lambda m: f"{_date(m[3], m[4])}, {year(m[1])}{' at ' if m[0].endswith('T') else ''}", text)
    text = _SLASHED.sub(_slashed, text)
    text = _MONTH_DAY_YEAR.sub(_month_day_year, text)
    text = _DAY_MONTH_YEAR.sub(_day_month_year, text)
    text = _MONTH_YEAR.sub(lambda m: f"{_month(m[1])} {year(m[2])}", text)
    text = _MONTH_DAY.sub(_month_day, text)
    text = _DECADE.sub(lambda m: _decade(m[2]), text)
    text = _YEARS.sub(lambda m: f"{year(m[1])} to {year(m[2]) if len(m[2]) == 4 else cardinal(m[2])}", text)
    text = _PART_OF_YEAR.sub(r"\1 ", text)
    text = _YEAR_SAID.sub(lambda m: m[1] + year(m[2]), text)
    text = _YEAR_ALONE.sub(lambda m: year(m[1]), text)
    text = _TIME.sub(_times, text)
    text = _ORDINAL.sub(lambda m: ordinal(m[1]), text)
    return _HOUR.sub(_hours, _HOURS.sub(r"\1 to ", text))


def year(digits: str) -> str:
    """2000 -> two thousand, 2024 -> twenty twenty-four, 1905 -> nineteen oh five."""
    return in_pairs(digits)


def _date(month: str, day: str) -> str:
    return f"{_MONTHS[int(month) - 1]} {ordinal(day)}"


def _month(name: str) -> str:
    return _SHORT[name[:3].lower()]


def _slashed(match: re.Match[str]) -> str:
    """Month first, as in America, unless that is no month."""
    first, second, last = match.groups()
    month, day = (first, second) if int(first) <= 12 else (second, first)
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match[0]
    return f"{_date(month, day)}, {year(last if len(last) == 4 else '20' + last)}"


def _month_day_year(match: re.Match[str]) -> str:
    if not 1 <= int(match[2]) <= 31:
        return match[0]
    return f"{_month(match[1])} {ordinal(match[2])}" + (f", {year(match[4])}" if match[4] else "")


def _day_month_year(match: re.Match[str]) -> str:
    article, day, month, last = match.groups()
    if not 1 <= int(day) <= 31:
        return match[0]
    return f"{article or 'the '}{ordinal(day)} of {_month(month)}" + (f", {year(last)}" if last else "")


def _month_day(match: re.Match[str]) -> str:
    """12/25 is a day; 1/2 and 3/4 are parts of something, unless "on" stands before."""
    month, day = int(match[1]), int(match[2])
    near = re.search(r"\b(?:on|by|until|since|from|before|after|due|date:?)\s$", match.string[: match.start()], re.I)
    likely = (day >= 13 and month > 1) or day < month
    return _date(match[1], match[2]) if near or likely else match[0]


def _decade(digits: str) -> str:
    if len(digits) == 2:
        return plural(cardinal(digits))
    if digits[2:] == "00":
        return f"{cardinal(digits[:2])} hundreds" if digits != "2000" else "two thousands"
    return f"{cardinal(digits[:2])} {plural(cardinal(digits[2:]))}"


def _times(match: re.Match[str]) -> str:
    if not (match[5] or match[6]) and not match[4] and _SCORE.search(match.string[: match.start()]):
        return match[0]
    first = _time(match[2], match[3], match[4], match[5])
    if match[6] is None:
        return first
    return first.removesuffix(" o'clock") + " to " + _time(match[7], match[8], match[9], match[10])


def _time(hour: str, minute: str, second: str | None, half: str | None) -> str:
    said = cardinal(hour)
    if minute != "00":
        said += f" oh {cardinal(minute)}" if minute[0] == "0" else f" {cardinal(minute)}"
    elif not half and not second:
        said += " o'clock" if 1 <= int(hour) <= 12 else " hundred hours"
    if second:
        said += f" and {cardinal(second)} second{'s' * (int(second) != 1)}"
    return said + (f" {half.lower()}.m." if half else "")


def _hours(match: re.Match[str]) -> str:
    first = f"{cardinal(match[1])} to {cardinal(match[2])}" if match[2] else cardinal(match[1])
    return f"{first} {match[3].lower()}.m."
