"""Written text without what is not said: markup, addresses, control characters, signs without a name. Pure.

What comes out holds letters, digits, the marks a voice pauses at, and the signs that the number rules read.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from broadcaster.speech.reading.languages import HAN

LINK: Final = {"zh": "链接", "en": "the link"}
"""What is said for a web address. Nobody can write one down from hearing; the words around it stay a sentence."""

_WIDE: Final = {
    code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
}
_SIGNS: Final = {
    **dict(zip("％＋－＝／＃＠＆＊～＜＞＄＾＿｜．￥￡", "%+-=/#@&*~<>$^_|.¥£", strict=True)),
    **dict(zip("−‒–➕➖﹣", "-–-+--", strict=True)),
    **dict.fromkeys("✖✕⨯", "×"),
    **dict.fromkeys("➗∕", "÷/"[0]),
    "∕": "/",
    "〜": "~",
    "㎡": "m²",
    "㎥": "m³",
    "㎏": "kg",
    "㎎": "mg",
    "㎞": "km",
    "㎝": "cm",
    "㎜": "mm",
    "㏄": "cc",
    "㎢": "km²",
    "№": "No.",
    "℡": "",
    "ℓ": "L",
    "µ": "μ",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "½": "1/2",
    "¾": "3/4",
    "⅛": "1/8",
    "≦": "≤",
    "≧": "≥",
    "∶": ":",
    "\u00a0": " ",
    "\u3000": " ",
    "\u2028": "\n",
    "\u2029": "\n",
    "\r": "\n",
    "\t": " ",
    "\u2018": "'",
    "\u2019": "'",
}
_TABLE: Final = str.maketrans({**{chr(c): chr(n) for c, n in _WIDE.items()}, **_SIGNS})

_BETWEEN_DIGITS: Final = re.compile(r"(?<=\d)[：．](?=\d)")
_NARROW: Final = {"：": ":", "．": "."}

_KEPT: Final = frozenset(
    "，。！？、；：…—“”（）《》·,.!?;:'\"()-–&%‰℃℉°′″+×÷=≈≠≤≥±√∞<>*/^~#@$¥€£₩₽₹²³_|[]【】「」『』{}\\`→← \n"
)
_SPOKEN_MARKS: Final = frozenset("，。！？、；：…—“”（）《》·,.!?;:'\"()- ")
"""All that is left beside letters when everything has been read."""

_ENGLISH_MARKS: Final = {"，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; "}
_WIDE_MARK: Final = re.compile("[，、。！？：；]")

_FENCE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.S)
_IMAGE: Final = re.compile(r"!\[[^\[\]\n]*\]\([^()\n]*\)")
_MARKDOWN_LINK: Final = re.compile(r"\[([^\[\]\n]+)\]\((?:https?://|www\.|/|#|mailto:)[^()\s]*\)")
_TAG: Final = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[|\]\]>|</?[A-Za-z?!][^<>\n]{0,300}>", re.S)
_RULE: Final = re.compile(r"^[ ]*(?:[-*_=][ ]?){3,}$|^[ ]*\|?[ ]*:?-{2,}:?[ ]*(?:\|[ ]*:?-{2,}:?[ ]*)*\|?[ ]*$", re.M)
_LINE_HEAD: Final = re.compile(rf"^[ ]*(?:>(?=[ >{HAN}])[ ]*)*(?:#{{1,6}}[ ]+|[-*+•·][ ]+(?:\[[ xX]\][ ]+)?)?", re.M)
_STRONG: Final = re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS: Final = re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]+?)(?<=\S)\1(?![\w*])")

_STOP: Final = rf"\s，。！？；、（）《》“”「」『』【】<>\"'{HAN}"
_URL: Final = re.compile(
    rf"(?:[a-z][a-z0-9+.-]{{1,9}}://|(?<![A-Za-z0-9])www\.)[^{_STOP}]*[^{_STOP}.,;:!?)(]|[a-z]+://", re.I
)
_BARE_PATH: Final = re.compile(
    rf"(?<![\w@.])(?:[a-z0-9-]+\.)+(?:com|cn|net|org|io|tv|cc|me|ai|dev|app|live)/[^{_STOP}]*", re.I
)
_LONE_WWW: Final = re.compile(r"\bwww\.", re.I)
_NAMED_LINK: Final = re.compile("(链接|网址|地址)([是为在见：:\\s]*)\ue000")
_ONLY_LINK: Final = re.compile("[\ue000\\W]*")

_LIST_NUMBER: Final = re.compile(r"^[ ]*(\d{1,2})[.)、)][ ]+", re.M)
_FULL_STOP_LESS: Final = re.compile(r"(?<=[\w\"”’)）》%])[ ]*\n\s*")
_BLANK: Final = re.compile(r"\s+")
_REPEATED_MARK: Final = re.compile(r"([，。！？、；：…—·,!?;:~])(?:[ ]?\1)+")
_REPEATED_SIGN: Final = re.compile(r"([<>=+×÷*%&$@#^≈≤≥])\1{2,}")
_DOTS: Final = re.compile(r"\.{2,}|。{2,}")
_REPEATED_HAN: Final = re.compile(rf"([{HAN}])\1{{3,}}")
_NUMERALS: Final = frozenset("零〇一二三四五六七八九十百千万亿两幺")
_REPEATED_SOUND: Final = re.compile(rf"([{HAN}]{{2,4}}?|[a-z]{{2,3}}?)\1{{3,}}")
_REPEATED_LETTER: Final = re.compile(r"([a-z])\1{3,}")


def plain(text: str, language: str) -> str:
    """`text` without markup, addresses, control characters and nameless signs; one kind of each sign is left."""
    for _ in range(8):  # taking something away can bring the parts of something else together
        before = text
        text = _once(text, language)
        if text == before:
            break
    return text


def _once(text: str, language: str) -> str:
    text = html.unescape(text).translate(_TABLE) if "&" in text else text.translate(_TABLE)
    text = "".join(c for c in text if not _is_invisible(c))
    text = _BETWEEN_DIGITS.sub(lambda match: _NARROW[match[0]], text)
    text = _without_markup(text)
    text = _addressed(text, language)
    return "".join(c if c in _KEPT or _is_letter(c) else " " for c in text)


def _is_invisible(char: str) -> bool:
    if char.isascii():
        return (char < " " and char != "\n") or char == "\x7f"
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Me", "Sk") or char in "\ufe0f\ufe0e"


def _is_letter(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LN" or category == "Mn"


def _without_markup(text: str) -> str:
    if "`" in text or "~~~" in text:
        text = _FENCE.sub("\n", text).replace("`", "")
    if "](" in text:
        text = _MARKDOWN_LINK.sub(r"\1", _IMAGE.sub("", text))
    if "<" in text or "]]>" in text:
        text = _TAG.sub("", text)
    text = _RULE.sub("", text)
    text = _LINE_HEAD.sub("", text)
    text = _STRONG.sub(r"\2", text)
    return _EMPHASIS.sub(r"\2", text)


def _addressed(text: str, language: str) -> str:
    """Web addresses become a word, or nothing when the text is nothing else."""
    text = text.replace("\ue000", "")
    text = _BARE_PATH.sub("\ue000", _URL.sub("\ue000", text))
    text = _LONE_WWW.sub("", text)
    if "\ue000" not in text:
        return text
    if _ONLY_LINK.fullmatch(text):
        return ""
    text = _NAMED_LINK.sub(r"\1", text)
    if language == "en":
        text = re.sub(r"\b(the )?(link|URL|address)([:\s]*)\ue000", lambda m: f"{m[1] or ''}{m[2]}", text, flags=re.I)
    return re.sub(" ?\ue000 ?" if language == "zh" else "\ue000", LINK[language], text)


def lines(text: str, language: str) -> str:
    """One line: the end of a line is a pause, the number of a list item is said with one."""
    comma, pause = ("，", "、") if language == "zh" else (", ", ", ")
    if "|" in text:
        text = re.sub(r"[ ]*\|[ ]*(?=\S)", comma, re.sub(r"[ ]*\|[ ]*$|^[ ]*\|[ ]*", "", text, flags=re.M))
    text = _LIST_NUMBER.sub(lambda match: match[1] + pause, text) if "\n" in text else text
    return _FULL_STOP_LESS.sub(comma, text.strip()) if "\n" in text else text


def shortened(text: str) -> str:
    """Runs that only show a mood are cut to what a host would say: 哈哈哈, 加油加油加油, one mark for many."""
    text = _REPEATED_SIGN.sub(" ", text)
    text = _DOTS.sub("…", text)
    text = _REPEATED_MARK.sub(r"\1", text)
    text = _REPEATED_HAN.sub(lambda m: m[0] if m[1] in _NUMERALS else m[1] * 3, text)
    text = _REPEATED_SOUND.sub(lambda m: m[0] if _NUMERALS & set(m[1]) else m[1] * 3, text)
    return _REPEATED_LETTER.sub(r"\1\1", text)


def tidy(text: str, language: str) -> str:
    """The last step: only letters and the marks of speech are left, with single spaces and single marks."""
    text = "".join(c if c in _SPOKEN_MARKS or _is_word(c) else " " for c in text)
    if language == "en":
        text = _WIDE_MARK.sub(lambda match: _ENGLISH_MARKS[match[0]], text)
    text = shortened(text)
    text = re.sub(r"[ ]*([，。！？、；：…])[ ]*", r"\1", _BLANK.sub(" ", text))
    text = re.sub(r"(?:[(（《“][ ]*[)）》”])|\"\s*\"", " ", text)
    text = re.sub(r"(?<![A-Za-z])[-](?![A-Za-z])|(?<=[^\w ])-|-(?=[^\w])", " ", text)
    text = re.sub(r"[，、；：,;: ]+([。！？!?…])", r"\1", text)
    text = re.sub(r"([，、；：])[，、；：,;: ]+", r"\1", text)
    text = _BLANK.sub(" ", text).strip()
    text = re.sub(r"^[，。、；：,;:.·—\- ]+", "", text)
    return text if any(_is_word(c) for c in text) else ""


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] == "L" or unicodedata.category(char) == "Mn" or char == "〇"
