"""Quantities in English: money, per cent, temperatures, units, fractions, ratios, ranges, sums. Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.numerals_en import cardinal, number, ordinal

_UNITS: Final = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "km²": ("square kilometer", "square kilometers"),
    "m²": ("square meter", "square meters"),
    "m2": ("square meter", "square meters"),
    "cm²": ("square centimeter", "square centimeters"),
    "sq ft": ("square foot", "square feet"),
    "ft²": ("square foot", "square feet"),
    "m³": ("cubic meter", "cubic meters"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"),
    "m": ("meter", "meters"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "in": ("inch", "inches"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"),
    "L": ("liter", "liters"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "GHz": ("gigahertz", "gigahertz"),
    "MHz": ("megahertz", "megahertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "Hz": ("hertz", "hertz"),
    "fps": ("frame per second", "frames per second"),
    "FPS": ("frame per second", "frames per second"),
    "dB": ("decibel", "decibels"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "GB/s": ("gigabyte per second", "gigabytes per second"),
    "MB/s": ("megabyte per second", "megabytes per second"),
    "TB": ("terabyte", "terabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "MB": ("megabyte", "megabytes"),
    "KB": ("kilobyte", "kilobytes"),
    "kB": ("kilobyte", "kilobytes"),
    "mAh": ("milliamp hour", "milliamp hours"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"),
    "W": ("watt", "watts"),
    "V": ("volt", "volts"),
    "kcal": ("kilocalorie", "kilocalories"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "h": ("hour", "hours"),
    "mins": ("minute", "minutes"),
    "min": ("minute", "minutes"),
    "secs": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"),
    "px": ("pixel", "pixels"),
    "rpm": ("revolution per minute", "revolutions per minute"),
}
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_CURRENCIES: Final = {
    "US$": ("dollar", "dollars", "cent", "cents"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yuan", "yuan", "fen", "fen"),
    "₩": ("won", "won", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_CODES: Final = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "RMB": "¥"}
_SCALES: Final = {
    "k": "thousand",
    "K": "thousand",
    "M": "million",
    "m": "million",
    "B": "billion",
    "b": "billion",
    "bn": "billion",
    "T": "trillion",
}

_N: Final = r"\d+(?:\.\d+)?"
_TO: Final = r"\s?[-–~]\s?"
_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)")
_SCALE: Final = r"(?:\s(thousand|million|billion|trillion)\b|([kKMBTmb]|bn)(?![A-Za-z]))"
_MONEY: Final = re.compile(
    rf"(-)?({'|'.join(re.escape(c) for c in _CURRENCIES)})\s?({_N})(?:{_TO}[$€£¥]?({_N}))?"
    rf"{_SCALE}?(?![\d])(-(?=[a-z]))?"
)
_CODED: Final = re.compile(rf"(?<![\w.])(?:({'|'.join(_CODES)})\s?({_N})|({_N})\s?({'|'.join(_CODES)}))(?![\w])")
_PER_CENT: Final = re.compile(rf"(?:(?<![\w)])([-+]))?({_N})%?(?:{_TO}({_N}))?\s?%")
_MEASURED: Final = re.compile(rf"(?:(?<![\w)])(-))?(?<![\d.])({_N})(?:{_TO}({_N}))?([ -]?)({_UNIT})(?![\w/²³])")
_FEET: Final = re.compile(r"(?<!\d)(\d{1,2})['′]\s?(\d{1,2})(?:[\"″]|(?!\w))")
_INCHES: Final = re.compile(rf"({_N})(?:\"|″)(?=[\s,.]|$)")
_MIXED: Final = re.compile(r"(?<![\d./])(\d{1,3})[ -](\d{1,2})/(\d{1,3})(?![\d/])")
_FRACTION: Final = re.compile(r"(?<![\d./])(\d{1,4})/(\d{1,4})(?![\d/]|\.\d)")
_TIMES_AS: Final = re.compile(rf"(?<![\w.])({_N})[xX](?!\w)")
_THOUSAND_K: Final = re.compile(rf"(?<![\w.])({_N})(k|K)(?=\+?(?!\w))")
_MILLIONS: Final = re.compile(rf"(?<![\w.])({_N})(M|bn|(?<=\.\d)B)(?!\w)")
_RATIO: Final = re.compile(rf"(?<![\d.:])({_N}(?::{_N})+)(?![\d:])")
_MONTHLY: Final = re.compile(r"(?<=[\dkK])/mo\b\.?(?!\s*$)|(?<=[\dkK])/mo\b")
_PER: Final = re.compile(
    r"(?<=[\dkKMB])/(?=(?:month|year|day|week|hour|min|minute|second|person|night|mo|yr|kg|lb)\b)"
)
_EXPONENT: Final = re.compile(rf"(?<![\w.])({_N})[eE]\+?(\d{{1,3}})(?!\w)")
_SUM: Final = re.compile(rf"(?<![\w.]){_N}(?:\s?[-+×÷*/x]\s?{_N})+(?=\s?[=≈])")
_SUM_SIGNS: Final = {
    "-": "minus",
    "+": "plus",
    "×": "times",
    "*": "times",
    "x": "times",
    "÷": "divided by",
    "/": "divided by",
}
_RANGE: Final = re.compile(rf"(?<![\d.\w-])({_N}){_TO}({_N})(?![\d-]|\.\d)")
_MINUS: Final = re.compile(r"(?:(?<![\w)-])-)(?=\.?\d)")
_PLUS: Final = re.compile(r"(?<=\d)\+(?!\s?\d)")
_BY: Final = re.compile(r"(?<=\d)\s?[×*]\s?(?=\d)|(?<=\d)\sx\s(?=\d)|(?<=\d)x(?=\d)")
_POWER: Final = re.compile(r"\^\(?(\d+)\)?")


def ungrouped(text: str) -> str:
    """1,234,567 -> 1234567, 1e6 -> 1 times 10^6."""
    return _EXPONENT.sub(r"\1 times 10^\2", _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text))


def measured(text: str) -> str:
    """Quantities of `text` in words; plain numbers are left."""
    text = _PER.sub(" per ", _MONTHLY.sub("/month", text))
    text = _SUM.sub(lambda m: re.sub(r"\s?([-+×÷*/x])\s?", lambda s: f" {_SUM_SIGNS[s[1]]} ", m[0]), text)
    text = _MONEY.sub(_money, text)
    text = _CODED.sub(lambda m: _amount(m[2] or m[3], _CODES[m[1] or m[4]]), text)
    text = _FEET.sub(lambda m: f"{cardinal(m[1])} foot {cardinal(m[2])}", text)
    text = _PER_CENT.sub(_per_cent, text)
    text = _MEASURED.sub(_unit, text)
    text = _INCHES.sub(lambda m: f"{number(m[1])} inches", text)
    text = _MIXED.sub(lambda m: f"{cardinal(m[1])} and {_fraction(m[2], m[3], 'a')}", text)
    text = _FRACTION.sub(lambda m: _fraction(m[1], m[2], "one"), text)
    text = _POWER.sub(lambda m: {"2": " squared", "3": " cubed"}.get(m[1], f" to the {ordinal(m[1][:12])}"), text)
    text = _TIMES_AS.sub(r"\1 times", text)
    text = _BY.sub(" times ", text)
    text = _THOUSAND_K.sub(_thousands, text)
    text = _MILLIONS.sub(lambda m: f"{m[1]} {_SCALES[m[2]]}", text)
    text = _RATIO.sub(lambda m: m[1].replace(":", " to "), text)
    text = _RANGE.sub(r"\1 to \2", text)
    text = _MINUS.sub("minus ", text)
    return _PLUS.sub(" plus", text)


def _money(match: re.Match[str]) -> str:
    minus, sign, low, high, word, letter, hyphen = match.groups()
    scale = word or _SCALES.get(letter or "", "")
    said = "minus " if minus else ""
    if high:
        return f"{said}{number(low)} to {number(high)}{' ' * bool(scale)}{scale} {_CURRENCIES[sign][1]}"
    if scale:
        return f"{said}{number(low)} {scale} {_CURRENCIES[sign][1]}"
    if hyphen:
        return f"{said}{number(low)} {_CURRENCIES[sign][0]} "
    return said + _amount(low, sign)


def _amount(digits: str, sign: str) -> str:
    """$3.50 -> three dollars and fifty cents; $0.27 -> twenty-seven cents."""
    one, many, small, smalls = _CURRENCIES[sign]
    whole, _, fraction = digits.partition(".")
    if len(fraction) > 2 or (fraction and not small) or len(whole) > 15:
        return f"{number(digits)} {many}"
    cents = int(fraction.ljust(2, "0")) if fraction else 0
    coins = f"{cardinal(str(cents))} {small if cents == 1 else smalls}" if cents else ""
    if cents and int(whole) == 0:
        return coins
    notes = f"{number(whole)} {one if int(whole) == 1 else many}"
    return f"{notes} and {coins}" if cents else notes


def _per_cent(match: re.Match[str]) -> str:
    sign, low, high = match.groups()
    said = {"-": "minus ", "+": "plus "}.get(sign or "", "") + number(low)
    return f"{said} to {number(high)} percent" if high else f"{said} percent"


def _unit(match: re.Match[str]) -> str:
    minus, low, high, mark, written = match.groups()
    behind = match.string[match.end() :]
    if (
        written in ("in", "m", "s", "h", "g", "min")
        and mark == " "
        and (written == "in" or (re.match(r"\s?[a-z]+\b", behind) is None and written in ("s",)))
    ):
        return match[0]
    one, many = _UNITS[written]
    said = ("minus " if minus else "") + number(low)
    if high:
        return f"{said} to {number(high)} {many}"
    return f"{said} {one if (low == '1' and not minus) or mark == '-' else many}"


def _fraction(numerator: str, denominator: str, single: str) -> str:
    """1/2 -> one half, 3/4 -> three quarters, 5/8 -> five eighths."""
    top, bottom = int(numerator), int(denominator)
    if bottom == 0 or (bottom > 100 and bottom % 100) or top > bottom > 10:
        return f"{number(numerator)} over {number(denominator)}"
    if bottom == 1:
        return f"{cardinal(numerator)} over one"
    name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(denominator)
    if top != 1:
        name = "halves" if name == "half" else name + "s"
    return f"{single if top == 1 else cardinal(numerator)} {name}"


def _thousands(match: re.Match[str]) -> str:
    """10k -> ten thousand; 4K is a picture."""
    if match[2] == "K" and match[1] in ("2", "4", "5", "6", "8", "12", "16"):
        return f"{match[1]} K"
    return f"{match[1]} thousand"
