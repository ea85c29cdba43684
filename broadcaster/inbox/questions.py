"""How much a comment looks like a question to the host, without a model. Pure.

Chinese and English: question marks and words, "A not A", polite openings, wishes ("sing a song"), and whether it is
addressed to the host. Ordinary grammar, put into marks by hand; the weights were set on the cases of the tests.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from broadcaster.inbox.alike import plainly

QUESTION_FROM: Final = 0.5
"""From this likeness on a comment is one for the lane of questions."""

_KEPT: Final = 4096
"""Texts whose likeness is kept: the same few come again and again, and two stages ask."""

_LONGEST: Final = 200
"""Characters that are looked at."""

_MARKS: Final = (
    (0.5, re.compile(
        r"什么|啥|怎么|怎样|咋|为何|如何|谁|哪|几[点个岁号月天年次种块]|多少|多久|多大|多高|多远|何时|干嘛"
    )),
    (0.5, re.compile(r"(?<![什怎这那多])[吗么嘛]\W*$|呢\s*\?")),
    (0.5, re.compile(r"(\w)[不没]\1|有没有|是否|能否|可否|是不是|可不可以|要不要")),
    (0.4, re.compile(r"请问|请教|想问|问一下|问下|问个|求问|有人知道|求解")),
    (0.5, re.compile(
        r"(?:讲|说|唱|来|跳|念|推荐|介绍|表演|科普|解释|分享|聊)(?:[个首段一]|下|讲|说|聊)|聊聊|说说|讲讲|求推荐|想听|点歌"
    )),
    (0.5, re.compile(r"^(?:\W*\w+,)?\s*(?:what|why|how|when|where|who|whose|which|whats|hows|wheres)\b")),
    (0.5, re.compile(
        r"\b(?:can|could|would|will|do|does|did|are|is|were|was|have|has|should|may) "
        r"(?:you|u|i|we|it|this|that|there|he|she|they|the|your)\b"
    )),
    (0.3, re.compile(r"\b(?:what|why|how|when|where|who|which)\b")),
    (0.5, re.compile(r"\b(?:tell (?:me|us)|please|pls|plz|explain|recommend|any advice|sing|anyone knows?)\b")),
    (0.4, re.compile(r"\?")),
    (0.3, re.compile(r"\w还是\w.*\?")),
    (0.1, re.compile(r"你|您|\byou(?:r|rs)?\b|\bu\b")),
    (0.2, re.compile(r"主播|播主|\bhost\b")),
)  # fmt: skip
_EXCLAIMED: Final = re.compile(
    r"谁懂|谁不|怎么这么|怎么那么|什么都|什么的|哪都|谁都|多么|没什么|什么鬼|what a\b|how (?:cute|nice|cool)\b"
    r"|不知道|不晓得|随便|\bdo(?:n't| not) know"
)
_LETTER: Final = re.compile(r"[^\W_]")


def likeness(text: str, names: tuple[str, ...] = ()) -> float:
    """0 (none) to 1. `names` are the host's: who calls the host by name wants an answer."""
    return _likeness(text[:_LONGEST], names)


@lru_cache(maxsize=_KEPT)
def _likeness(text: str, names: tuple[str, ...]) -> float:
    plain = plainly(text).strip()
    letters = len(_LETTER.findall(plain))
    if letters < 2:
        return 0.1 if "?" in plain else 0.0
    score = sum(weight for weight, mark in _MARKS if mark.search(plain))
    if any(name and name.casefold() in plain for name in names):
        score += 0.25
    if _EXCLAIMED.search(plain):
        score -= 0.5
    return min(1.0, max(0.0, score))
