"""Addresses, telephone, QQ and WeChat numbers in a text. Pure; regular expressions over one plain character each.

Dates, prices, scores, times and numbers of rooms are left alone. A number counts by what it looks like (a mobile
telephone) or by what stands before it (QQ, WeChat, a group).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from broadcaster.brain.moderation.findings import Finding
from broadcaster.brain.moderation.folding import TABLE

_SPOKEN: Final = str.maketrans("零〇洞幺一壹二贰两三叁四肆五伍六陆七柒拐八捌九玖", "000111222334455667778899")
"""Digits as they are written or read out in Chinese."""

_GAP: Final = r"[ \t\-_.·・,，、*~—/|+\ufe0f\u20e3\u200b-\u200d]{0,3}"
"""What is put between the digits of one number."""

_FILL: Final = r"[\s:：=是为号码+➕加id、,，.。\-~_()（）]{0,6}"
"""What stands between the name of a service and the number."""


_TLD: Final = (
    "com|cn|net|org|info|top|xyz|vip|cc|io|me|tv|shop|club|site|online|live|link|app|gg|ru|hk|tw|jp|uk|us|de|fr|eu|"
    "win|fun|icu|work|store|pro|biz|ltd|art|dev|ai|co|edu|gov|ly|gl|be|xn--[a-z0-9]+"
)
"""Ends of names that are in use for links; others (.js, .py, .md) are files or are no addresses at all."""

_WITHIN: Final = r"[\s.·\-_*~、/|]{0,2}"
"""What is put into the name of a service."""

_SERVICE: Final = (
    rf"(?:[微薇威徽v]|wei){_WITHIN}(?:信|xin)|[微薇威]{_WITHIN}x|微♥|微❤|卫星号|加卫星|绿泡泡|we ?chat"
    rf"|w{_WITHIN}x|v{_WITHIN}x|[加➕+]个?[v薇威微]"
)
_WECHAT: Final = rf"(?:{_SERVICE}|v(?=[:：]))"
_QQ: Final = r"(?:q ?q|扣扣|扣口|企鹅|球球|秋秋|[加\s]q|^q)"


def _digits(least: int, most: int) -> str:
    """Of `least` to `most` digits."""
    return rf"\d(?:{_GAP}\d){{{least - 1},{most - 1}}}(?!\d)"


_NAME: Final = r"(?=[a-z0-9_\-]*[\d_\-])[a-z][a-z0-9_\-]{4,19}"
"""A WeChat name (6 to 20 characters, a letter first) that no word of a sentence looks like."""

_PATTERNS: Final = (
    (
        "address",
        r"(?:h(?:tt|xx)ps?|ftp)\s?[:：]\s?//\s?[^\s\u3400-\u9fff，。！？；]+"
        r"|(?<![a-z0-9])www\s?[.。·]\s?[^\s\u3400-\u9fff，。！？；]+",
    ),
    (
        "mail",
        r"(?<![a-z0-9.+_\-])[a-z0-9][a-z0-9.+_\-]*\s?(?:@|[(（\[]\s?at\s?[)）\]]|艾特"
        r"|＃at＃)\s?[a-z0-9][a-z0-9\-]*(?:\s?(?:\.|点|。)\s?[a-z0-9\-]+)+",
    ),
    (
        "address",
        rf"(?<![a-z0-9@.\-])(?:[a-z0-9][a-z0-9\-]*\.)+(?:{_TLD})(?![a-z0-9\-])(?:[/:][^\s\u3400-\u9fff，。！？；]*)?",
    ),
    (
        "address",
        r"(?<![a-z0-9\-])(?:[a-z0-9\-]{2,40}|[\u3400-\u9fff]{2,4})\s?(?:点|dot"
        r"|[(\[【]\s?(?:dot|点|[.。])\s?[)\]】])\s?(?:com|cn|net|org|cc|vip|top|xyz)(?![a-z0-9])",
    ),
    (
        "address",
        r"(?<![a-z0-9\-])[a-z0-9\-]{2,40}(?:\s[.。·]|[。·])\s?"
        r"(?:com|net|org|(?:cn|cc)(?![\u3400-\u9fff]))(?![a-z0-9])",
    ),
    ("wechat", rf"(?<![a-z]){_WECHAT}(?:群|号|id)?{_FILL}(?P<n>{_NAME}|{_digits(5, 13)})"),
    (
        "wechat",
        rf"(?<![a-z]){_WECHAT}\s?(?:号|id|[:：=])[\s:：=是为+➕加]{{0,4}}(?P<n>[a-z][a-z0-9_\-]{{5,19}})(?![a-z0-9])",
    ),
    ("qq", rf"(?<![a-z]){_QQ}(?:群|号)?{_FILL}(?P<n>{_digits(5, 11)})"),
    ("qq", rf"(?<![a-z])q[:：]?{_GAP}[1-9](?:{_GAP}\d){{5,10}}(?!\d)"),
    ("group", rf"(?:[进加入]群|群号|裙号?|qun|[扣企]群|交流群|粉丝群|福利群){_FILL}(?P<n>{_digits(6, 11)})"),
    (
        "messenger",
        r"(?<![a-z])(?:telegram|tg|whats ?app|line|signal|discord|电报|纸飞机|飞机)\s?(?:群|号|id)?\s?"
        r"(?:[:：=是@]\s?@?|(?<=[号d])\s?)(?P<n>[a-z0-9_+][a-z0-9_+\-]{4,31})(?![a-z0-9])",
    ),
    (
        "messenger",
        r"(?<![a-z])(?:telegram|tg|whats ?app|电报)(?:群|号)?\s"
        r"(?P<n>(?=[a-z_\-]*[\d_])[a-z0-9_+][a-z0-9_+\-]{4,31})(?![a-z0-9])",
    ),
    ("telephone", rf"(?<![\d.])(?:(?:\+|00)?86{_GAP})?1{_GAP}[3-9](?:{_GAP}\d){{9}}(?!\d)"),
    ("telephone", r"(?<![\d.\-])(?:\(?0\d{2,3}\)?[ \-]?)\d{3,4}[ \-]?\d{4}(?![\d\-.])"),
    ("telephone", r"(?<![\d.\-])[48]00[ \-]?\d{3}[ \-]?\d{4}(?![\d\-.])"),
    ("telephone", r"(?<![\d.])\+\d{1,3}[ \-.]?(?:\(\d{1,4}\)[ \-.]?)?\d(?:[ \-.]?\d){6,11}(?!\d)"),
    ("telephone", r"(?<![\d.\-])\(?[2-9]\d{2}\)?[ \-.][2-9]\d{2}[ \-.]\d{4}(?![\d\-.])"),
    ("telephone", rf"(?:电话|手机号?|拨打|致电|call me at|phone)[\s:：是为]{{0,4}}(?P<n>{_digits(7, 13)})"),
)

_SEARCHED: Final = tuple((name, re.compile(pattern)) for name, pattern in _PATTERNS)

_WORTH_IT: Final = re.compile(
    r"[@♥❤]|[a-z0-9]\s?[.。·]\s?[a-z]|[.。][)\]】]|://|艾特|(?:点|dot)\W{0,2}(?:c|n|o|v|t|x)"
    rf"|\d\D{{0,3}}\d\D{{0,3}}\d\D{{0,3}}\d\D{{0,3}}\d|{_SERVICE}|v[:：]|telegram|tg|tele|whats|line"
    r"|signal|discord|电报|飞机"
)
"""A text without any of these holds no contact: one look instead of sixteen."""


class _Plain(dict[str, str]):
    """Character -> the one that the patterns look at: in its place, so that what is found is where it was."""

    def __missing__(self, letter: str) -> str:
        folded = TABLE[letter] if letter.isalnum() or not letter.isascii() else letter
        plain = folded if len(folded) == 1 else _signs(letter)
        if len(self) < 30_000:
            self[letter] = plain
        return plain


def _signs(letter: str) -> str:
    """Full-width signs as the plain ones that addresses are made of."""
    return {
        "＠": "@",
        "．": ".",
        "：": ":",
        "／": "/",
        "－": "-",
        "＿": "_",
        "＋": "+",
        "　": " ",
        "（": "(",
        "）": ")",
    }.get(letter, letter)


_PLAIN: Final = _Plain()


def find(text: str, action: str) -> Iterator[Finding]:
    """Contacts in `text`; each is to be treated as `action` says."""
    plain = "".join(map(_PLAIN.__getitem__, text))
    spoken = plain.translate(_SPOKEN)
    if _WORTH_IT.search(spoken) is None:
        return
    for name, pattern in _SEARCHED:
        for found in pattern.finditer(spoken):
            if name != "telephone" or _is_telephone(found.group()):
                start, end = found.span("n" if "n" in pattern.groupindex else 0)
                yield Finding("contact", name, action, start, end)


def _is_telephone(number: str) -> bool:
    """Not a list of numbers, as in "13 14 15 16 17 8": nobody writes a telephone number in pairs.
    Nor is counting one."""
    groups = re.findall(r"\d+", number)
    if "".join(groups) in _COUNTING:
        return False
    lengths = [len(group) for group in groups]
    return max(lengths) == 1 or (min(lengths) >= 2 and lengths.count(2) <= 1)


_COUNTING: Final = "01234567890"
