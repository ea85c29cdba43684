"""Numbers that are names in Mandarin: telephones, rooms, codes, addresses, versions, models, and the numbers of chat.

Pure: text with digits in, the same text with these numbers in words out.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.languages import HAN
from broadcaster.speech.reading.numerals_zh import called, cardinal, number, one_by_one
from broadcaster.speech.reading.quantities_zh import COUNTED

_MAIL: Final = re.compile(r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,40})@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})(?![\w@])", re.A)
_DOMAIN: Final = re.compile(
    r"(?<![\w@.-])((?:[A-Za-z0-9-]+\.)+(?:com|cn|net|org|io|tv|cc|me|ai|dev|app|live|top|xyz|gov|edu)(?:\.cn)?)(?![\w-])",
    re.A | re.I,
)
_FILE: Final = re.compile(
    r"(?<=[A-Za-z])\.(?=[A-Za-z]{2,5}(?![A-Za-z.]))|(?<![\w.])\.(?=[A-Za-z]{2,5}(?![A-Za-z]))", re.A
)

_WHAT: Final = (
    r"房间(?:号码?)?|房号|直播间号?|UID|uid|ID|Id|QQ群?号?|qq群?号?|群号|微信号?|电话号?码?|热线|专线|手机号?码?|验证码|尾号|工号|学号|邮编|编号|"
    r"单号|订单号?|卡号|账号|密码|口令|邀请码|取件码|兑换码|激活码|股票(?:代码)?|代码|车牌号?|端口号?|拨打|致电|请拨|客服|报警|急救|火警|门牌号?|身份证号?码?"
)
_NAMED: Final = re.compile(rf"({_WHAT})([是为：:\s]{{0,3}})(\+?\d[\d\- ]*\d|\d)(?![\d.]*[\d%万亿个人次元])")
_NAMED_CODE: Final = re.compile(rf"({_WHAT})([是为：:\s]{{0,3}})(?=[A-Za-z]*\d)([A-Za-z0-9]{{4,24}})(?![A-Za-z0-9.])")
_NAMED_BEHIND: Final = re.compile(
    r"(?<![\d.\-/])(\d{3,5})(?=(?:热线|客服|报警|急救|平台|端口|房间|教室|宿舍|病房|包间|号房|室(?![内外友])|航班|次列车))"
)
_SUITE: Final = re.compile(r"(?<![\d-])(\d{1,2})-(\d{3,4})(?=室|房|号房)")
_SUITE_BEHIND: Final = re.compile(r"(?<=[楼栋幢座单元])(\d{3,4})(?![\d.]|" + COUNTED + ")")
_MOBILE: Final = re.compile(r"(?<![\d.])(?:\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?!\d)")
_SERVICE: Final = re.compile(r"(?<![\d.])([48]00)[- ]?(\d{3,4})[- ]?(\d{3,4})(?![\d.])")
_LANDLINE: Final = re.compile(
    r"(?<![\d.])(?:\+?86[- ]?)?[(（]?(0?\d{2,3})[)）\- ]{1,2}(\d{7,8}|\d{4} \d{4})"
    r"(?:[-转]|\s?ext\.?\s?)?(\d{1,5})?(?!\d)"
)
_ABROAD: Final = re.compile(r"\+(\d{1,3})[- (]{1,2}(\d[\d\- )]{5,14}\d)(?!\d)")
_HOTLINE: Final = re.compile(
    rf"(?<![\d.A-Za-z/:-])(110|119|12306|12315|12348|12123|10086|10010|10000号|95\d{{3}})(?![\d.:/-]|{COUNTED})"
)
_STOCK: Final = re.compile(r"(?<=[(（])(\d{6})(?=[)）])")

_CHAIN: Final = re.compile(r"(?<![\w.-])\d+(?:-\d+){3,6}(?![\w-]|\.\d)")
_LETTERS_SLASH: Final = re.compile(r"(?<=[A-Za-z])/(?=\d)")
_HANDLE: Final = re.compile(r"(?<=[A-Za-z]_)\d+|\d+(?=_[A-Za-z])")
_IP: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?(?![\d.]*\d)")
_VERSION: Final = re.compile(r"(?<![\d.])(\d+(?:\.\d+){2,5})(?!\d)")
_ONE_POINT: Final = re.compile(r"(?<![A-Za-z])([vV])\s?(\d+)\.(\d+)(?!\d)")

_LAUGH: Final = re.compile(
    rf"(?<![\d.A-Za-z:/-])(6{{3,}}|23{{2,}}|8{{3,}}|5{{3,}})(?![\d%‰A-Za-z]|[.:/-]\d|{COUNTED})"
)
_SAID_SO: Final = re.compile(
    rf"(?<![\d.A-Za-z:/-])(520|521|1314|5201314|996|007|985|211|911|404|618|315|1024|886|748|360|12345)(?![\d%‰A-Za-z]|[.:/-]\d|\s?\+|{COUNTED})"
)
_LAUGH_LIMIT: Final = 6

_RANKED: Final = re.compile(r"(?<![A-Za-z])(?:No|NO|no)\.?\s?(\d+)(?![.\d])|(?<![\w#&])#(\d{1,4})(?!\d)", re.A)
_ENGLISH_ORDINAL: Final = re.compile(r"(?<![\d.第])(\d{1,4})(?:st|nd|rd|th)(?![A-Za-z])")
_TOP: Final = re.compile(r"(?<![A-Za-z])(top)[ -]?(\d+)(?![\d.])", re.I)
_RASTER: Final = re.compile(r"(?<![\d.])(\d{3,4})(?=[pPiI](?![A-Za-z]))")
_PIXELS: Final = re.compile(r"(?<![\d.])(\d{3,5})\s?[xX×*]\s?(\d{3,5})(?![\d.])")
_LETTERS_NUMBER: Final = re.compile(
    rf"(?<![\dA-Za-z])([A-Za-z]+)([-. ]?)(\d+(?:\.\d+)?)(?![\d]*\.\d)(?:-(\d{{3,5}}))?"
    rf"(?![\d]|\s?{COUNTED}|[:/]\d|\s?%)"
)
_NUMBER_LETTERS: Final = re.compile(r"(?<![\d.A-Za-z-])(\d{4,5})(?=[A-Z][A-Za-z]*)")
_HYPHEN_BEHIND: Final = re.compile(r"(?<=\d)-(?=[A-Za-z])")
_MAKER: Final = re.compile(rf"(波音|空客|空中客车|运|歼|歼轰|直|东风|标致|图)[-]?(\d{{1,3}})(?![\d.]|{COUNTED})")
_FORMATION: Final = re.compile(r"(?<![\d.-])(\d(?:-\d){2,3})(?![\d.-])")

_ROMAN_SIGNS: Final = {chr(0x2160 + n): cardinal(str(n + 1)) for n in range(12)} | {
    chr(0x2170 + n): cardinal(str(n + 1)) for n in range(12)
}
_ROMAN: Final = re.compile(rf"(?<=[{HAN}])\s?(?=[IVX]{{2,5}}(?![A-Za-z0-9]))(X?(?:IX|IV|V?I{{0,3}}))(?![A-Za-z0-9])")
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10}


def named(text: str) -> str:
    """Numbers of `text` that are names, in words."""
    text = "".join(_ROMAN_SIGNS.get(c, c) for c in text)
    text = _ROMAN.sub(lambda m: cardinal(str(roman(m[1]))), text)
    if "." in text:
        text = _DOMAIN.sub(
            lambda m: _spelled(m[1]), _MAIL.sub(lambda m: f"{_spelled(m[1])}艾特{_spelled(m[2])}", text)
        )
        text = _IP.sub(_address, text)
        text = _FILE.sub("点", text)
    text = _telephoned(text)
    text = _LETTERS_SLASH.sub("", _FORMATION.sub(lambda m: one_by_one(m[1]), text))
    text = _CHAIN.sub(lambda m: called(m[0]), text)
    text = _HANDLE.sub(lambda m: called(m[0]), text)
    text = _VERSION.sub(lambda m: _version(m[1]), text)
    text = _ONE_POINT.sub(lambda m: f"{m[1]}{cardinal(m[2])}点{one_by_one(m[3])}", text)
    text = _LAUGH.sub(lambda m: one_by_one(m[1][:_LAUGH_LIMIT]), text)
    text = _SAID_SO.sub(lambda m: one_by_one(m[1]) if m[1] in ("1314", "5201314", "521") else called(m[1]), text)
    text = _RANKED.sub(lambda m: "第" + cardinal(m[1] or m[2]), text)
    text = _ENGLISH_ORDINAL.sub(lambda m: "第" + cardinal(m[1]), text)
    text = _TOP.sub(lambda m: m[1] + cardinal(m[2]), text)
    text = _PIXELS.sub(lambda m: f"{called(m[1])}乘{called(m[2])}", text)
    text = _RASTER.sub(lambda m: called(m[1]), text)
    text = _MAKER.sub(lambda m: m[1] + (called(m[2]) if len(m[2]) > 2 else cardinal(m[2])), text)
    text = _LETTERS_NUMBER.sub(_model, text)
    text = _NUMBER_LETTERS.sub(lambda m: called(m[1]), text)
    return _HYPHEN_BEHIND.sub("", text)


def _telephoned(text: str) -> str:
    text = _NAMED.sub(lambda m: m[1] + m[2] + _parts_called(m[3]), text)
    text = _NAMED_CODE.sub(lambda m: m[1] + m[2] + _spelled(m[3]), text)
    text = _MOBILE.sub(lambda m: called(m[1] + m[2] + m[3]), text)
    text = _SERVICE.sub(_service, text)
    text = _LANDLINE.sub(_landline, text)
    text = _ABROAD.sub(lambda m: "加" + cardinal(m[1]) + "，" + called(m[2]), text)
    text = _SUITE.sub(lambda m: f"{called(m[1])}杠{called(m[2])}", text)
    text = _NAMED_BEHIND.sub(lambda m: called(m[1]), text)
    text = _SUITE_BEHIND.sub(lambda m: called(m[1]), text)
    text = _STOCK.sub(lambda m: called(m[1]), text)
    return _HOTLINE.sub(lambda m: called(m[1]) + ("号" if m[1].endswith("号") else ""), text)


def _parts_called(written: str) -> str:
    """A telephone number behind its name may be any of the kinds below; the country's own prefix is not said."""
    bare = re.sub(r"^\+?86[- ]?(?=1[3-9])", "", written)
    return ("加" if bare.startswith("+") else "") + called(bare)


def _service(match: re.Match[str]) -> str:
    digits = match[1] + match[2] + match[3]
    return called(digits) if len(digits) == 10 else match[0]


def _landline(match: re.Match[str]) -> str:
    area = match[1] if match[1].startswith("0") else "0" + match[1]
    if not (match[1].startswith("0") or match[0].startswith(("+86", "86"))):
        return match[0]
    return called(area) + called(match[2]) + ("转" + called(match[3]) if match[3] else "")


def _address(match: re.Match[str]) -> str:
    if any(int(part) > 255 for part in match[1].split(".")):
        return match[0]
    port = f"端口{called(match[2])}" if match[2] else ""
    return "点".join(one_by_one(part) for part in match[1].split(".")) + port


def _version(written: str) -> str:
    first, *others = written.split(".")
    return "点".join([cardinal(first) if len(first) < 4 else one_by_one(first), *map(one_by_one, others)])


def _spelled(written: str) -> str:
    """Part of an address or a code: its digits one by one, its signs by their names."""
    said = re.sub(r"\d+", lambda m: called(m[0]), written)
    return said.replace(".", "点").replace("_", "下划线").replace("-", "杠").replace("+", "加")


def _model(match: re.Match[str]) -> str:
    """GPT-4o, iPhone 15: up to two digits are a number, more are read one by one (RTX 4090, H.264, G1024次)."""
    letters, mark, digits, more = match.groups()
    if mark == "." and len(letters) > 1:
        return match[0]
    if "." in digits:
        said = number(digits)
    elif len(digits) <= 2 and digits[0] != "0":
        said = cardinal(digits)
    else:
        said = one_by_one(digits) if re.fullmatch(r"19\d\d|20\d\d", digits) else called(digits)
    return letters + (" " if mark == " " else "") + said + (" " + called(more) if more else "")


def roman(letters: str) -> int:
    """The value of a Roman numeral."""
    values = [_ROMAN_VALUES[c] for c in letters]
    following = [*values[1:], 0]
    return sum(-value if value < behind else value for value, behind in zip(values, following, strict=True))
