"""How things are read: the one place that turns written text into the words a voice should say. Pure after `load`.

wetext does dates, times, percentages, money and units of Mandarin well. What it gets wrong is put right before it
sees the text: thousands commas, model names (GPT-4o), numbers that are names (room numbers, telephone numbers)
and the numbers viewers write for a laugh (666, 233). English numbers are read by the English G2P itself.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from typing import Any, Final

_DIGITS: Final = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_CALLED: Final = _DIGITS | {"1": "幺"}
"""Digits of a number that is a name: telephone, room and account numbers say 幺 for 1."""

_HALF_WIDTH: Final = {
    code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
}
_KEPT_SYMBOLS: Final = frozenset("℃℉°")
_MARKUP: Final = str.maketrans("", "", "*`_|<>[]{}\\^\u200b\ufeff")

_URL: Final = re.compile(r"(?:https?|rtmps?|ftp)://[^\s，。；！？、）)》」]+|www\.[^\s，。；！？、）)》」]+", re.I)
_TILDE: Final = re.compile(r"(?<!\d)[~～]|[~～](?![\d-])")
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NAMED_NUMBER: Final = re.compile(
    r"(房间号码?|直播间号?|UID|ID|QQ群?号?|[Qq][Qq]|群号|电话号?码?|热线|手机号?码?|验证码|尾号|工号|邮编)"
    r"([是为：:\s]{0,3})(\+?\d[\d\- ]*\d)(?![\d.])",
    re.I,
)
_MOBILE: Final = re.compile(r"(?<!\d)(?:\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?!\d)")
_LAUGH: Final = re.compile(
    r"(?<![\d.A-Za-z-])(6{3,}|23{2,}|8{3,})(?![\d.%‰A-Za-z元块万千百亿个人次年月日号度米公里斤分秒条名位只])"
)
_MODEL_NAME: Final = re.compile(r"([A-Za-z]+)[-.]?(\d+)(?![\d.]*\d)")
_RASTER: Final = re.compile(r"(?<![\d.])(\d{3,4})(?=[pP](?![A-Za-z]))")
_LAUGH_LIMIT: Final = 6

_zh: Callable[[str], str] | None = None
_lock = threading.Lock()


def load() -> None:
    """Reads wetext's grammars (0.2-0.4 s); `reading` does it by itself otherwise."""
    _grammar()


def _grammar() -> Callable[[str], str]:
    global _zh
    with _lock:
        if _zh is None:
            from wetext import Normalizer

            normalizer: Any = Normalizer(lang="zh", operator="tn")
            _zh = normalizer.normalize
        return _zh


def reading(text: str, language: str) -> str:
    """`text` as it is to be spoken in `language` ("zh" or "en"); empty when there is nothing to say."""
    text = _cleaned(text)
    if language == "zh":
        text = _grammar()(_precleaned(text)) if _has_digit(text) else text
    return re.sub(r"[ \t\r\n]+", " ", text).strip()


def _cleaned(text: str) -> str:
    text = _URL.sub("", text.translate(_HALF_WIDTH)).replace("C#", "C sharp")
    text = _TILDE.sub("", text.translate(_MARKUP).replace("#", ""))
    text = _THOUSANDS.sub("", text)
    return "".join(c if _is_speech(c) else " " for c in text)


def _is_speech(char: str) -> bool:
    if char in _KEPT_SYMBOLS or char.isspace():
        return True
    category = unicodedata.category(char)
    return category[0] in "LNP" or (category in ("Sc", "Sm", "Mn") and char not in "\ufe0f\ufe0e\u20e3")


def _has_digit(text: str) -> bool:
    return any(c.isdigit() or c in _KEPT_SYMBOLS or c in "$￥¥€%‰" for c in text)


def _precleaned(text: str) -> str:
    text = _NAMED_NUMBER.sub(lambda m: m[1] + m[2] + _one_by_one(m[3], _CALLED), text)
    text = _MOBILE.sub(lambda m: _one_by_one(m[1] + m[2] + m[3], _CALLED), text)
    text = _LAUGH.sub(lambda m: _one_by_one(m[1][:_LAUGH_LIMIT], _DIGITS), text)
    text = _RASTER.sub(lambda m: _one_by_one(m[1], _CALLED), text)
    return _MODEL_NAME.sub(_model_name, text)


def _one_by_one(digits: str, names: dict[str, str]) -> str:
    return "".join(names.get(c, "") for c in digits)


def _model_name(match: re.Match[str]) -> str:
    """GPT-4o, iPhone 15: up to two digits are a number, more are read one by one (RTX 4090, H.264)."""
    letters, digits = match[1], match[2]
    return f"{letters} {digits if len(digits) <= 2 else _one_by_one(digits, _CALLED)}"
