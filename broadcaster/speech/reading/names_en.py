"""Numbers that are names in English: telephones, rooms, codes, addresses, versions, models, Roman numerals. Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.numerals_en import called, cardinal, in_pairs, number, one_by_one, ordinal

_MAIL: Final = re.compile(r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,40})@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})(?![\w@])", re.A)
_DOMAIN: Final = re.compile(
    r"(?<![\w@.-])((?:[A-Za-z0-9-]+\.)+(?:com|cn|net|org|io|tv|cc|me|ai|dev|app|live|xyz|gov|edu|co|uk)(?:\.[a-z]{2})?)(?![\w-])",
    re.A | re.I,
)
_FILE: Final = re.compile(
    r"(?<=[A-Za-z]{2})\.(?=[A-Za-z]{2,5}(?![A-Za-z.]))|(?<![\w.])\.(?=[A-Za-z]{2,5}(?![A-Za-z]))", re.A
)
_IP: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?(?![\d.]*\d)")
_VERSION: Final = re.compile(
    r"(?<![\w.])(?:([vV])\s?)?(\d+(?:\.\d+){2,5})(?!\d)|(?<![\w.])[vV](\d+(?:\.\d+)?)(?![\d.]*\d)"
)
_ABROAD: Final = re.compile(r"(?<![\w.])\+(\d{1,3})[- .]?\(?(\d{2,4})\)?[- .]?(\d{3,4})[- .]?(\d{4})(?!\d)")
_PHONE: Final = re.compile(r"(?<![\d.])(?:(1)[- .])?\(?(\d{3})\)?[- .]\s?(\d{3})[- .](\d{4})(?![\d-]|\.\d)")
_LOCAL: Final = re.compile(r"(?<![\d.-])(\d{3})-(\d{4})(?![\d-]|\.\d)")
_NAMED: Final = re.compile(
    r"\b(room|suite|apartment|apt\.?|flight|gate|channel|extension|ext\.?|code|PIN|ID|UID|account|port|route|highway|bus|zip|error|number|call|dial|text)"
    r"(s?\s?(?:is\s|number\s|code\s|:\s?|#\s?)?)([A-Z]{0,2})(\d{3,24})(?![\d,.]*\d|\s?%)",
    re.I,
)
_NUMBER_SIGN: Final = re.compile(r"\bNo\.\s?(?=\d)|(?<![\w&])#\s?(?=\d)")
_EMERGENCY: Final = re.compile(r"(?<![\w.$€£¥,/:-])(911|411|404|007)(?![\w%]|[.,:/]\d|\s(?:[a-z]+s|people|more)\b)")
_LAUGH: Final = re.compile(r"(?<![\w.$€£¥,/:-])(6{3,}|2333+|8{3,}|5{3,})(?![\w%]|[.,:/]\d|\s[a-z]+s\b)")
_ROUND_THE_CLOCK: Final = re.compile(r"(?<![\d/])24/7(?![\d/])")
_RASTER: Final = re.compile(r"(?<![\w.])(\d{3,4})([pPiI])\b")
_PIXELS: Final = re.compile(r"(?<![\w.])(\d{3,5})\s?[x×]\s?(\d{3,5})(?![\w.])")
_LETTER_NUMBER: Final = re.compile(r"(?<![A-Za-z])([A-Z])[.-](\d{2,4})(?![\d.]*\d)")
_MODEL: Final = re.compile(
    r"(?<![A-Za-z])([A-Za-z]*[A-Z][A-Za-z]*|[a-z]{1,3}(?=\d))([- ]?)(\d{3,4})"
    r"(?![\d,]|\.\d|:|/|%|\s?(?:people|viewers|[a-z]+s|percent|million|billion|thousand)\b)"
)
_ATTACHED: Final = re.compile(r"(?<![A-Za-z\d])([A-Za-z]+)-?(\d{1,2}(?:\.\d+)?)(?![\d.]*\d)")
_BOEING: Final = re.compile(r"\b(Boeing|Airbus) (?:A)?(\d{3})\b")

_ROMAN_CONTEXT: Final = re.compile(
    r"\b(World War|Chapter|Part|Volume|Vol\.|Act|Scene|Book|Phase|Type|Class|Title|Article|Section|Season"
    r"|Episode|Super Bowl|Final Fantasy|Rocky|Mark|Star Wars|Stage|Grade|Level|Tier|Apollo)\s([IVXL]+)\b"
)
_REGNAL: Final = re.compile(
    r"\b(Henry|Louis|Elizabeth|George|Charles|James|Edward|William|Richard|Philip"
    r"|Napoleon|Pius|Paul|John Paul|Benedict|Catherine|Peter|Frederick|Wilhelm|Leo|Ramses"
    r"|Nicholas|Alexander|Ivan)\s([IVX]+)\b(?!\.)"
)
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50}
_ROMAN_SIGNS: Final = {chr(0x2160 + n): str(n + 1) for n in range(12)}


def named(text: str) -> str:
    """Numbers of `text` that are names, in words."""
    text = "".join(_ROMAN_SIGNS.get(c, c) for c in text)
    text = _ROMAN_CONTEXT.sub(lambda m: f"{m[1]} {cardinal(str(_roman(m[2])))}", text)
    text = _REGNAL.sub(lambda m: f"{m[1]} the {ordinal(str(_roman(m[2])))}", text)
    text = _MAIL.sub(lambda m: f"{_spelled(m[1])} at {_spelled(m[2])}", text)
    text = _DOMAIN.sub(lambda m: _spelled(m[1]), text)
    text = _IP.sub(_address, text)
    text = _VERSION.sub(_version, text)
    text = _FILE.sub(" dot ", text)
    text = _ABROAD.sub(lambda m: f"plus {', '.join(called(part) for part in m.groups())}", text)
    text = _PHONE.sub(lambda m: ", ".join(called(part) for part in m.groups() if part), text)
    text = _LOCAL.sub(lambda m: f"{called(m[1])}, {called(m[2])}", text)
    text = _ROUND_THE_CLOCK.sub("twenty-four seven", text)
    text = _NUMBER_SIGN.sub("number ", text)
    text = _PIXELS.sub(lambda m: f"{in_pairs(m[1])} by {in_pairs(m[2])}" if len(m[1] + m[2]) < 9 else m[0], text)
    text = _RASTER.sub(lambda m: f"{in_pairs(m[1])} {m[2].lower()}", text)
    text = _NAMED.sub(lambda m: f"{m[1]}{m[2]}{' '.join(m[3])}{' ' if m[3] else ''}{_name(m[1], m[4])}", text)
    text = _LETTER_NUMBER.sub(lambda m: f"{m[1]} {_after_letter(m[2])}", text)
    text = _BOEING.sub(lambda m: f"{m[1]} {in_pairs(m[2])}", text)
    text = _EMERGENCY.sub(lambda m: _known(m[1]), text)
    text = _LAUGH.sub(lambda m: one_by_one(m[1][:6]), text)
    text = _MODEL.sub(_model, text)
    return _ATTACHED.sub(lambda m: f"{m[1]} {number(m[2])}{' ' if m.string[m.end() :][:1].isalpha() else ''}", text)


def _known(digits: str) -> str:
    return {"911": "nine one one", "411": "four one one", "404": "four oh four", "007": "double oh seven"}[digits]


def _name(what: str, digits: str) -> str:
    """Rooms, flights and routes in pairs, as they are called out; codes one by one."""
    paired = what.lower().rstrip(".") in (
        "room",
        "suite",
        "apartment",
        "apt",
        "flight",
        "gate",
        "channel",
        "route",
        "highway",
        "bus",
    )
    return in_pairs(digits) if paired and len(digits) in (3, 4) else called(digits)


def _after_letter(digits: str) -> str:
    return cardinal(digits) if len(digits) < 3 else called(digits)


def _model(match: re.Match[str]) -> str:
    letters, mark, digits = match.groups()
    if re.fullmatch(r"19\d\d|20\d\d", digits) and mark == " ":
        return match[0]
    behind = match.string[match.end() :][:1]
    return f"{letters} {in_pairs(digits) if digits[0] != '0' else called(digits)}{' ' if behind.isalpha() else ''}"


def _address(match: re.Match[str]) -> str:
    port = f" port {called(match[2])}" if match[2] else ""
    return " dot ".join(one_by_one(part) for part in match[1].split(".")) + port


def _version(match: re.Match[str]) -> str:
    digits = match[2] or match[3]
    said = " point ".join(cardinal(p) if len(p) < 3 and p[0] != "0" else one_by_one(p) for p in digits.split("."))
    return f"version {said}" if match[3] or match[1] else said


def _spelled(written: str) -> str:
    said = re.sub(r"\d+", lambda m: f" {called(m[0])} ", written)
    said = said.replace(".", " dot ").replace("_", " underscore ").replace("-", " dash ").replace("+", " plus ")
    return re.sub(r"\s+", " ", said).strip()


def _roman(letters: str) -> int:
    values = [_ROMAN_VALUES[c] for c in letters]
    following = [*values[1:], 0]
    return sum(-value if value < behind else value for value, behind in zip(values, following, strict=True))
