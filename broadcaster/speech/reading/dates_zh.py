"""Dates and times of day in Mandarin. Pure: text with digits in, the same text with dates in words out."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.numerals_zh import cardinal, counted, one_by_one

_YEAR: Final = r"(?:1[0-9]|20|21)\d\d"
_MONTH: Final = r"(?:1[0-2]|0?[1-9])"
_DAY: Final = r"(?:3[01]|[12]\d|0?[1-9])"
_ALONE: Final = r"(?<![\d.:/A-Za-z-])"
_ENDS: Final = r"(?![\d/]|[.:-]\d)"

_ISO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)")
_FULL: Final = re.compile(rf"{_ALONE}({_YEAR})([-/.])({_MONTH})\2({_DAY})(?:日|号)?{_ENDS}")
_YEAR_MONTH: Final = re.compile(rf"{_ALONE}({_YEAR})[-/](0[1-9]|1[0-2])(?:月)?{_ENDS}(?!年)")
_YEARS: Final = re.compile(
    rf"{_ALONE}(\d{{4}}|\d\d)\s?[-~–—到至]\s?(\d{{4}}|\d\d)(?=年(?![前后来以度])|赛季|学年|财年)"
)
_YEAR_SAID: Final = re.compile(r"(?<![\d.])(\d{4})(?=\s?年)")
_SHORT_YEAR: Final = re.compile(
    r"(?<![\d.])(\d\d)(?=年(?:\d{1,2}月|[春夏秋冬初底末]|奥运|世界杯|高考|毕业|出生|国庆|春节))|(?<![\d.])(0\d)(?=年)"
)
_SPAN: Final = re.compile(r"前(?!后)|来|历史|文明|以[前来]|的[历文]|间|内|多")
_EVENT_YEAR: Final = re.compile(
    rf"{_ALONE}({_YEAR})(?=奥运|世界杯|欧洲杯|亚运|赛季|春晚|春节|新年|国庆|跨年|款|版|届|级|财年|学年|春|夏|秋|冬|[QH][1-4])"
)
_DECADE: Final = re.compile(
    r"(?<!\d)(\d[05])(?=、\d[05]后)|(?<!\d)(\d[05])(?=后(?!来|天|面|续|台|卫|期|者|方|勤|备|果|悔|脑|排|半))"
)
_MONTH_DAY: Final = re.compile(rf"{_ALONE}({_MONTH})[/](\d\d?)(?!\d|[./:-]\d|[%\w]*\^)")
_MONTH_DAY_SAID: Final = re.compile(r"(?<!\d)(\d{1,2})月(\d{1,2})(?=[日号])")
_HOLIDAY: Final = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})(?=晚会|假期|劳动节|黄金周|消费者|妇女节|儿童节|大促)")

_CLOCK: Final = (
    r"(?<![\d.:])(2[0-4]|1\d|0?\d)\s?:\s?([0-5]\d)(?::([0-5]\d))?(?:\.\d{1,3})?"
    r"(?:\s?([AaPp])\.?[Mm]\.?(?![A-Za-z]))?(?![\d:])"
)
_TIME: Final = re.compile(_CLOCK)
_TIME_RANGE: Final = re.compile(r"(?:(?<=:[0-5]\d)|(?<=[AaPp][Mm]))\s?[-~–—]\s?(?=\d{1,2}:[0-5]\d)")
_HALF_DAY: Final = re.compile(r"(?<![\d.:])(1[0-2]|[1-9])\s?([AaPp])\.?[Mm]\.?(?![A-Za-z])")
_O_CLOCK: Final = re.compile(r"(?<![\d.])(\d{1,2})([点时])(\d{2})(?=分?(?!\d))")
_SCORE_BEFORE: Final = re.compile(
    r"比分|比例|画幅|赔率|比值|领先|落后|战胜|击败|大胜|险胜|逆转|战平|不敌|输给|负于|以[^，。]{0,2}$|配比|浓度"
)
_SCORE_BEHIND: Final = re.compile(
    r"\s?(?:领先|落后|战胜|击败|大胜|险胜|逆转|战平|不敌|输|负|胜|赢|平|的?(?:比分|比例|画幅|画面|屏幕?|优势|混合)|横屏|竖屏)"
)
_LENGTH_BEFORE: Final = re.compile(r"(?:时长|片长|长度|用时|耗时|成绩|倒计时|还剩|进度)[是为：:\s]{0,2}$")


def fully_dated(text: str) -> str:
    """Dates with year, month and day, whose form is beyond doubt, in words."""
    text = _ISO_TIME.sub(r"\1 \2", text)
    return _FULL.sub(lambda m: f"{one_by_one(m[1])}年{cardinal(m[3])}月{cardinal(m[4])}日", text)


def dated(text: str) -> str:
    """The other dates, years and times of day of `text` in words."""
    text = _TIME_RANGE.sub("到", text)
    text = _YEARS.sub(_years, text)
    text = _YEAR_MONTH.sub(lambda m: f"{one_by_one(m[1])}年{cardinal(m[2])}月", text)
    text = _YEAR_SAID.sub(_year, text)
    text = _SHORT_YEAR.sub(lambda m: one_by_one(m[0]), text)
    text = _EVENT_YEAR.sub(lambda m: one_by_one(m[1]), text)
    text = _DECADE.sub(lambda m: one_by_one(m[0]), text)
    text = _MONTH_DAY_SAID.sub(lambda m: f"{cardinal(m[1])}月{cardinal(m[2])}", text)
    text = _HOLIDAY.sub(_holiday, text)
    text = _MONTH_DAY.sub(_month_day, text)
    text = _TIME.sub(_time, text)
    text = _HALF_DAY.sub(lambda m: f"{_part_of_day(int(m[1]), m[2])}{_hour(int(m[1]))}", text)
    return _O_CLOCK.sub(lambda m: f"{_hour(int(m[1]), m[2])}{_two_digits(m[3])}", text)


def _years(match: re.Match[str]) -> str:
    if len(match[1]) == 2 and len(match[2]) != 2:
        return match[0]
    if len(match[1]) == 2 and match.string[match.end()] == "年":
        return match[0]  # 10-20年 are years that pass
    return f"{one_by_one(match[1])}到{one_by_one(match[2])}"


def _year(match: re.Match[str]) -> str:
    digits = match[1]
    value = int(digits)
    behind = match.string[match.end() :].lstrip().removeprefix("年")
    passing = value % 1000 == 0 and _SPAN.match(behind)
    return digits if passing or value == 1000 or (value >= 2200 and value % 100 == 0) else one_by_one(digits)


def _holiday(match: re.Match[str]) -> str:
    """3.15晚会 is named by its digits, as 五一 and 六一八 are."""
    return (
        one_by_one(match[1] + match[2]).replace("一五", "幺五")
        if len(match[2]) == 2
        else one_by_one(match[1] + match[2])
    )


def _month_day(match: re.Match[str]) -> str:
    """11/5 and 12/25 are days; 3/4 and 1/20 are parts of something, unless the words around it speak of a day."""
    month, day = int(match[1]), int(match[2])
    before, behind = match.string[: match.start()], match.string[match.end() :]
    if not 1 <= day <= 31:
        return match[0]
    near = re.search(
        r"(?:于|在|从|截至|今天|明天|昨天|生日|日期|时间|定档|\(|（)[是：:\s]{0,2}$", before
    ) or re.match(r"\s?(?:[（(]?周|星期|开播|上映|上线|开始|截止|之前|前|晚|早|发售|发布|见|号)", behind)
    likely = day > month if month > 1 and day >= 13 else day < month
    if match[1][0] == "0" or match[2][0] == "0" or near or (likely and not re.match(r"\s?[=的杯人量以]", behind)):
        return f"{cardinal(match[1])}月{cardinal(match[2])}日"
    return match[0]


def _time(match: re.Match[str]) -> str:
    before, behind = match.string[: match.start()], match.string[match.end() :]
    hour, minute, second, half_day = int(match[1]), match[2], match[3], match[4]
    if not second and not half_day and (_SCORE_BEFORE.search(before[-6:]) or _SCORE_BEHIND.match(behind)):
        return match[0]
    if _LENGTH_BEFORE.search(before):
        return _length(match[1], minute, second) if second else _length("0", match[1], minute)
    second = second if second != "00" else None
    said = _part_of_day(hour, half_day) if half_day else ""
    if minute == "30" and not second and 0 < hour <= 12:
        return f"{said}{_hour(hour)}半"
    said += _hour(hour)
    if minute != "00" or second:
        said += _two_digits(minute) + "分"
    return said + (_two_digits(second) + "秒" if second else "")


def _length(hours: str, minutes: str, seconds: str) -> str:
    said = "".join(
        f"{counted(n)}{unit}" for n, unit in ((hours.lstrip("0"), "小时"), (minutes.lstrip("0"), "分")) if n
    )
    return said + (f"{counted(seconds.lstrip('0'))}秒" if int(seconds) else "钟" if said.endswith("分") else "")


def _part_of_day(hour: int, letter: str) -> str:
    if letter in "Aa":
        return "凌晨" if hour in (12, 1, 2, 3, 4) else "上午" if hour >= 8 else "早上"
    return "中午" if hour == 12 else "下午" if hour < 6 else "晚上"


def _hour(hour: int, name: str = "点") -> str:
    return ("两" if hour == 2 else cardinal(str(hour))) + name


def _two_digits(digits: str) -> str:
    """05 -> 零五, 00 -> 零, 30 -> 三十."""
    value = int(digits)
    return "零" + cardinal(digits) if 0 < value < 10 else cardinal(digits)
