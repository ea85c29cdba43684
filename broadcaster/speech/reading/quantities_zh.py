"""Quantities in Mandarin: money, per cent, temperatures, units, counted things, ratios, sums. Pure.

Text with digits in, the same text with these in words out. Names (`names_zh`) and dates (`dates_zh`) are done before.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.languages import HAN
from broadcaster.speech.reading.numerals_zh import cardinal, counted, number, one_by_one

_UNITS: Final = {
    "km/h|kph|KM/H|Km/h": "公里每小时",
    "m/s²|m/s2": "米每二次方秒",
    "m/s": "米每秒",
    "km²|km2|km\\^2": "平方公里",
    "cm²|cm2": "平方厘米",
    "m²|m2|m\\^2": "平方米",
    "cm³|cm3": "立方厘米",
    "m³|m3|m\\^3": "立方米",
    "km|KM|Km": "公里",
    "cm|CM": "厘米",
    "mm|MM": "毫米",
    "μm|um": "微米",
    "nm": "纳米",
    "m": "米",
    "kg/m³": "公斤每立方米",
    "kg|KG|Kg": "公斤",
    "mg": "毫克",
    "μg|ug": "微克",
    "g": "克",
    "t": "吨",
    "ml|mL|ML": "毫升",
    "L": "升",
    "℃|°C|°c": "摄氏度",
    "℉|°F": "华氏度",
    "°": "度",
    "GHz|Ghz": "G赫兹",
    "MHz|Mhz": "兆赫兹",
    "kHz|KHz|khz": "千赫兹",
    "Hz|HZ|hz": "赫兹",
    "fps|FPS": "帧",
    "dB|db|DB": "分贝",
    "Gbps": "G比特每秒",
    "Mbps|mbps": "兆比特每秒",
    "kbps|Kbps": "千比特每秒",
    "GB/s": "GB每秒",
    "MB/s": "兆每秒",
    "KB/s|kB/s": "KB每秒",
    "MB|M": "兆",
    "mAh|mah|MAH": "毫安时",
    "kWh|KWh|kwh": "千瓦时",
    "kW|KW|kw": "千瓦",
    "MW": "兆瓦",
    "mA": "毫安",
    "kV": "千伏",
    "mV": "毫伏",
    "V": "伏",
    "kcal|Kcal|KCAL": "千卡",
    "cal": "卡",
    "kJ|KJ": "千焦",
    "hPa": "百帕",
    "kPa": "千帕",
    "MPa": "兆帕",
    "Pa": "帕",
    "ms": "毫秒",
    "min|mins": "分钟",
    "hrs?|h|H": "小时",
    "s|sec": "秒",
    "px": "像素",
    "rpm": "转每分钟",
    "mph": "英里每小时",
    "lbs?": "磅",
    "oz": "盎司",
    "ft": "英尺",
    "RMB|CNY|rmb": "元",
    "USD|usd": "美元",
    "EUR": "欧元",
    "GBP": "英镑",
    "JPY": "日元",
    "HKD": "港元",
}
_UNIT_WORDS: Final = {re.sub(r"\\", "", u): word for key, word in _UNITS.items() for u in key.split("|")} | {
    "hr": "小时",
    "hrs": "小时",
    "lb": "磅",
    "lbs": "磅",
    "W": "瓦",
}
_UNIT: Final = "|".join(sorted((u for key in _UNITS for u in key.split("|")), key=len, reverse=True))

_MEASURES: Final = (
    "个 位 名 人 条 只 张 件 次(?!元|方) 天 周 年 岁 小时 分钟 秒 元 块 角 毛 米 公里 千米 厘米 毫米 "
    "公斤 千克 克 斤 吨 升 毫升 台 辆 部 句 遍 种 类 家 场 集 首 页(?!面) 杯 瓶 碗 盒 包 袋 份 颗 粒 "
    "把(?!手) 支 根 双 套 间 座 栋 届 轮 局 盘 节 课 段 项 点 分(?!之) 成 折 倍 步 面 头 匹 本 枚 架 艘 "
    "株 棵 朵 片 美元 欧元 英镑 港元 日元 公顷 平方 立方 亩 字 声 下 回 批 组 样 道 题 招 拳 脚 顿 餐 晚 "
    "夜 季 星期 门(?!牌) 口 篇 幅 笔 封 则 档 票 户 层楼 厅 室 卫 英里 英寸 英尺 海里 光年 度 帧 分贝 "
    "赫兹 瓦 伏 "
).split()
COUNTED: Final = (
    f"(?:\\s?(?:[万亿千百元块]|个|位|{'|'.join(_MEASURES)}|月|日|号(?!房|楼)|余|多[个位名人次元]|[wW](?![A-Za-z])))"
)
"""Behind a number: something is counted, so the number is a quantity and no name."""

_N: Final = r"\d+(?:\.\d+)?"
_SCALE: Final = r"(?:百万|千万|万亿|十亿|百亿|千亿|十万|[百千万亿])"
_TO: Final = r"\s?(?:-|~|–|—|到|至)\s?"
_MINUS: Final = (
    rf"(?:(?<![\w)%])-|(?<=[为是约到至于达低])-|(?<=[{HAN}])-(?=[\d.]+\s?(?:[-~–到至]\s?-?[\d.]+\s?)?(?:%|‰|℃|°|度)))"
)

_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)")
_SPEED: Final = re.compile(rf"((?:时速|车速|风速)[^\d，。]{{0,4}}{_N})\s?(?:km/h|KM/H|kph|公里/小时)")
_CURRENCY: Final = {
    "HK$": "港元",
    "NT$": "新台币",
    "US$": "美元",
    "A$": "澳元",
    "C$": "加元",
    "$": "美元",
    "¥": "元",
    "€": "欧元",
    "£": "英镑",
    "₩": "韩元",
    "₽": "卢布",
    "₹": "卢比",
    "RMB": "元",
    "CNY": "元",
    "USD": "美元",
    "EUR": "欧元",
    "HKD": "港元",
}
_LETTER_SCALES: Final = {
    "k": 3,
    "K": 3,
    "M": 6,
    "m": 6,
    "B": 9,
    "b": 9,
    "bn": 9,
    "million": 6,
    "billion": 9,
    "w": 4,
    "W": 4,
}
_PREFIXED: Final = re.compile(
    rf"({'|'.join(re.escape(c) for c in _CURRENCY)})\s?({_N})(?:{_TO}(?:[$¥€£]\s?)?({_N}))?"
    rf"(?:\s?({_SCALE})|\s?(million|billion|bn|[kKmMbBwW])(?![A-Za-z]))?(?:元|块钱?|美元|欧元)?(?![\d])"
)
_PER_CENT: Final = re.compile(rf"({_MINUS}|\+)?({_N})(?:\s?[%‰]?{_TO}(-?)({_N}))?\s?([%‰])")
_TEMPERATURE: Final = re.compile(
    rf"({_MINUS})?({_N})(?:\s?(?:℃|°C|°c|°|度)?{_TO}(-?)({_N}))?\s?(℃|°C|°c|℉|°F|摄氏度|华氏度|°|度)(?![A-Za-z])"
)
_MEASURED: Final = re.compile(
    rf"({_MINUS})?({_N})({_SCALE})?(?:\s?(?:{_UNIT})?{_TO}({_N})({_SCALE})?)?\s?({_UNIT})(?![A-Za-z0-9])"
)
_WATTS: Final = re.compile(
    rf"({_N})\s?W(?=\s?(?:快充|闪充|充电|功率|电源|适配器|灯|音箱|的?(?:输出|无线)))|(?<=功率)([是为：:]?){_N}\s?W(?![A-Za-z])"
)
_TEN_THOUSANDS: Final = re.compile(rf"({_N})\s?[wW](?![A-Za-z])")
_PLUS: Final = re.compile(rf"({_N})({_SCALE})?\+(?=\s?(.?))")
_AND_OVER: Final = re.compile(r"(?<=[岁元块米年天月级人位个分])\+")
_MORE_OF: Final = re.compile(r"[个位名人条只张件次天年岁元块米种类家场集首页款项国座]")
_SOME: Final = re.compile(rf"(?<![\d.])(\d)、(\d)(?={_SCALE}?(?:{'|'.join(_MEASURES)}))")
_RANGE: Final = re.compile(
    rf"(第|No\.)?({_MINUS})?(?<![\d.])({_N})({_SCALE})?((?:{'|'.join(_MEASURES)}|月|日|号|级|楼)?)({_TO})(-?)({_N})(?![\d.]*[-\d])"
)
_RATIO: Final = re.compile(rf"(?<![\d.:])({_N}(?:\s?:\s?{_N})+)(?![\d:])")
_MIXED: Final = re.compile(r"(?<![\d./])(\d{1,3}) (\d)/(\d{1,2})(?![\d/])")
_FRACTION: Final = re.compile(r"(?<![\d./])(\d{1,5})/(\d{1,5})(?![\d/]|\.\d)")
_ROUND_THE_CLOCK: Final = re.compile(r"(?<!\d)7\s?[*×xX]\s?24(小时)?|(?<![\d/])24/7(?![\d/])(小时)?")
_DISCOUNT: Final = re.compile(r"(?<![\d.])(\d)\.(\d)(?=折)")
_BARGAIN: Final = re.compile(r"(?<![\d.])(\d{1,3})\.(\d)(?=包邮)")
_SPAN: Final = re.compile(
    r"(?:(?<=[日号月年点分半])|(?<=[周期][一二三四五六日天]))\s?[-–~]\s?(?=(?:周|星期)?[\d一二三四五六七八九十两零日天])"
)
_OF_TWO: Final = re.compile(rf"(?<![\d.第初周A-Za-z零〇十])(?<!星期)2(?=\s?(?:{'|'.join(_MEASURES)})|个?半)")
_TWO_SCALE: Final = re.compile(rf"(?<![\d.])({_N})\s?({_SCALE})")
_HUNDREDTHS: Final = re.compile(r"(?<![\d.])(\d{1,2})(米|秒)(\d{2})(?![\d.]|秒|厘米)")
_BY: Final = re.compile(rf"(?<=[元块米斤克升钱])/(?=[{HAN}])")
_INCHES: Final = re.compile(rf"({_N})\s?(?:\"|″|'')(?=[{HAN}\s，。]|$)")
_FEET: Final = re.compile(r"(\d)['′](\d{1,2})[\"″]")
_MINUTES: Final = re.compile(r"(?<!\d)(\d{1,2})['′](\d{2})[\"″]?(?!\d)")

_SUM: Final = re.compile(
    r"(?<![\w.])-?[\d.()（）√π]+(?:\s?[-+×÷*/xX^²³]\s?[\d.()√π]*)+\s?[=≈≠<>≤≥]\s?(?=[-\d?？(√xX])"
)
_EXPONENT: Final = re.compile(rf"(?<![\w.])({_N})[eE]\+?(\d{{1,3}})(?![\w.])")
_SUM_SIGNS: Final = {"-": "减", "+": "加", "×": "乘", "*": "乘", "x": "乘", "X": "乘", "÷": "除以", "/": "除以"}
_COMPARED: Final = {
    "=": "等于",
    "≈": "约等于",
    "≠": "不等于",
    "≤": "小于等于",
    "≥": "大于等于",
    "<": "小于",
    ">": "大于",
    "±": "正负",
    "√": "根号",
    "∞": "无穷大",
    "π": "派",
}
_ABOUT: Final = re.compile(r"(?<![\dA-Za-z)π])[≈](?=\s?\d)")
_POWER: Final = re.compile(r"(?<=[\w)])\^\(?(\d+)\)?")
_TIMES: Final = re.compile(rf"(?<=[\d)])\s?[×xX*]\s?(?=[\d(])|(?<=[{HAN}\s])×(?=\d)")
_TIMES_AS: Final = re.compile(rf"({_N})[xX×](?!\s?[A-Za-z0-9+*/=×÷-])")
_PLUS_SIGN: Final = re.compile(r"\+")
_LONE_MINUS: Final = re.compile(rf"{_MINUS}(?=\d)")
_LONG_YEAR: Final = re.compile(
    rf"(?<![\d.\w:/-])(19[89]\d|20(?:0[1-9]|[1-3]\d))(?![\d.%‰]|[-/:]\d|{COUNTED}|\s?\+)", re.A
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?|\.\d+")


def ungrouped(text: str) -> str:
    """1,234,567 -> 1234567."""
    return _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text)


def summed(text: str) -> str:
    """The left sides of equations, whose signs mean something else elsewhere (5-3=2), and powers of ten."""
    text = _EXPONENT.sub(r"\1×10^\2", text)
    return _SUM.sub(_sum, text)


def measured(text: str) -> str:
    """All that is left of digits and signs of `text` in words."""
    text = _SPEED.sub(r"\1公里", text)
    text = _ROUND_THE_CLOCK.sub("七乘二十四小时", text)
    text = _PREFIXED.sub(_money, text)
    text = _DISCOUNT.sub(lambda m: one_by_one(m[1] + m[2]), text)
    text = _BARGAIN.sub(lambda m: f"{number(m[1])}块{one_by_one(m[2])}", text)
    text = _WATTS.sub(lambda m: m[0].replace("W", "瓦"), text)
    text = _TEN_THOUSANDS.sub(r"\1万", text)
    text = _FEET.sub(lambda m: f"{number(m[1])}英尺{number(m[2])}英寸" if int(m[2]) < 12 else m[0], text)
    text = _MINUTES.sub(lambda m: f"{counted(m[1])}分{number(m[2].lstrip('0') or '0')}秒", text)
    text = _INCHES.sub(lambda m: f"{number(m[1])}英寸", text)
    text = _PER_CENT.sub(_per_cent, text)
    text = _TEMPERATURE.sub(_temperature, text)
    text = _MEASURED.sub(_unit, text)
    text = _HUNDREDTHS.sub(lambda m: f"{counted(m[1])}{m[2]}{one_by_one(m[3])}", _BY.sub("每", text))
    text = _MIXED.sub(lambda m: f"{cardinal(m[1])}又{cardinal(m[3])}分之{cardinal(m[2])}", text)
    text = _FRACTION.sub(lambda m: f"{cardinal(m[2])}分之{cardinal(m[1])}", text)
    text = _RATIO.sub(lambda m: "比".join(number(part.strip()) for part in m[1].split(":")), text)
    text = _SOME.sub(lambda m: _few(m[1], m[2]), text)
    text = _RANGE.sub(_range, text)
    text = _LONG_YEAR.sub(lambda m: one_by_one(m[1]), text)
    text = _PLUS.sub(_plus, _AND_OVER.sub("以上", text))
    text = _signed(text)
    text = _SPAN.sub("到", text)
    text = _TWO_SCALE.sub(lambda m: _scaled(m[1], m[2]), text)
    text = _OF_TWO.sub("两", text)
    return _NUMBER.sub(lambda m: number(m[0]), text)


def _signed(text: str) -> str:
    """Signs between and before what has not been read as a quantity."""
    text = _POWER.sub(
        lambda m: "的平方" if m[1] == "2" else "的立方" if m[1] == "3" else f"的{cardinal(m[1])}次方", text
    )
    text = re.sub(r"(?<=\d)²", "的平方", text).replace("²", "平方")
    text = re.sub(r"(?<=\d)³", "的立方", text).replace("³", "立方")
    text = _TIMES_AS.sub(r"\1倍", _TIMES.sub("乘", text))
    text = _ABOUT.sub("约", text)
    text = re.sub(r"[<>](?![=\s]*[\w(（-])", " ", text).replace("<=", "≤").replace(">=", "≥").replace("==", "=")
    for sign, word in _COMPARED.items():
        text = re.sub(rf"\s?{re.escape(sign)}\s?", word, text) if sign in text else text
    text = re.sub(r"\s?÷\s?", "除以", text).replace("×", "乘")
    text = _LONE_MINUS.sub("负", text)
    return re.sub(r"\s?\+\s?", "加", text)


def _sum(match: re.Match[str]) -> str:
    written = match[0]
    head = "负" if written.startswith("-") else ""
    written = written.removeprefix("-")
    said = re.sub(r"\s?([-+×÷*/xX])\s?", lambda m: _SUM_SIGNS[m[1]], written)
    return head + said


def _scaled(digits: str, scale: str) -> str:
    return ("两" if digits == "2" and scale[0] in "千万亿百" else number(digits)) + scale


def _money(match: re.Match[str]) -> str:
    sign, low, high, scale, letters = match.groups()
    if letters:
        low, scale = _multiplied(low, _LETTER_SCALES[letters])
        high = _multiplied(high, _LETTER_SCALES[letters])[0] if high else None
    said = _amount(low, scale)
    if high:
        said = f"{_amount(low, '')}到{_amount(high, scale)}"
    return said + _CURRENCY[sign]


def _amount(digits: str, scale: str | None) -> str:
    digits = re.sub(r"\.0+$|(?<=\.\d)0$", "", digits)
    return _scaled(digits, scale) if scale else counted(digits)


def _multiplied(digits: str, power: int) -> tuple[str, str]:
    """3.5 and a power of ten as a number and 万 or 亿."""
    whole, _, fraction = digits.partition(".")
    value = int((whole + fraction).ljust(len(whole) + power, "0")[: len(whole) + power])
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if value >= size and value % (size // 100) == 0:
            return f"{value / size:.2f}".rstrip("0").rstrip("."), name
    return str(value), ""


def _per_cent(match: re.Match[str]) -> str:
    sign, low, minus, high, mark = match.groups()
    name = "百分之" if mark == "%" else "千分之"
    said = (
        {"-": "负", "+": "正"}.get(sign or "", "")
        + name
        + (_hundred(low) if mark == "%" and not high else number(low))
    )
    return f"{said}到{'负' * bool(minus)}{name}{number(high)}" if high else said


def _hundred(digits: str) -> str:
    return "百" if digits == "100" else number(digits)


def _temperature(match: re.Match[str]) -> str:
    minus, low, minus_high, high, written = match.groups()
    unit = {"℃": "摄氏度", "摄氏度": "摄氏度", "℉": "华氏度", "华氏度": "华氏度"}.get(written) or (
        "摄氏度" if written[-1] in "Cc" else "华氏度" if written[-1] == "F" else "度"
    )
    if high:
        return f"{'负' * bool(minus)}{number(low)}到{'负' * bool(minus_high)}{number(high)}{unit}"
    return f"{'零下' * bool(minus)}{counted(low) if unit == '度' and not minus else number(low)}{unit}"


def _unit(match: re.Match[str]) -> str:
    minus, low, low_scale, high, high_scale, written = match.groups()
    unit = _UNIT_WORDS[written]
    minus_said = "负" if minus else ""
    first = _scaled(low, low_scale) if low_scale else number(low) if high else counted(low)
    if not high:
        return f"{minus_said}{first}{unit}"
    last = _scaled(high, high_scale) if high_scale else counted(high)
    return f"{minus_said}{first}到{last}{unit}"


def _few(first: str, second: str) -> str:
    if int(second) != int(first) + 1:
        return f"{first}、{second}"
    return ("两" if first == "2" else cardinal(first)) + cardinal(second)


def _range(match: re.Match[str]) -> str:
    """10-20元 is a range, 2-1 a score; what falls without being a score is one all the same."""
    ordinal, minus, low, scale, measure, mark, minus_high, high = match.groups()
    behind = match.string[match.end() :]
    counts = re.match(rf"\s?(?:{_SCALE}|{'|'.join(_MEASURES)})", behind)
    sign = mark.strip()
    if sign in ("-", "–") and not (measure or minus or ordinal) and float(low) >= float(high) and not counts:
        return f"{number(low)}比{number(high)}"
    first = (ordinal or "") + ("负" if minus else "")
    first += _scaled(low, scale) if scale else counted(low) if measure or counts else number(low)
    if ordinal:
        first = ordinal + number(low)
    last = "负" * bool(minus_high) + high
    return f"{first}{measure}{sign if sign in ('到', '至') else '到'}{last}"


def _plus(match: re.Match[str]) -> str:
    digits, scale, behind = match[1], match[2], match[3]
    if behind.isalnum() and behind.isascii():
        return match[0]
    said = _scaled(digits, scale) if scale else number(digits)
    return said + ("多" if _MORE_OF.match(behind) and (scale or digits.endswith("0")) else "加")
