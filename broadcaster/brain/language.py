"""Which language a question is in, and its words that say nothing about its subject. Pure."""

from __future__ import annotations

import re
from typing import Final

_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_LETTER: Final = re.compile(r"[A-Za-z]")
_SLANG: Final = re.compile(r"(?!(?:why|hmm+|try|pls|plz|thx)\b)(?:[b-df-hj-np-tv-z]+|awsl|gg|orz)\W*", re.IGNORECASE)
"""One word without a vowel: the initials in which Chinese viewers write (yyds, xswl, hhh)."""

PICTURE: Final = re.compile(r"\[[^\[\]]{1,12}\]")
"""Bilibili's pictures, such as [打call] and [dog]: no language."""


def language_of(text: str) -> str:
    """Chinese unless the text has words in Latin letters and not one Han character."""
    plain = PICTURE.sub(" ", text).strip()
    foreign = not _HAN.search(plain) and _LETTER.search(plain) and not _SLANG.fullmatch(plain)
    return "en" if foreign else "zh"


STOP_WORDS: Final = frozenset(
    "什么 怎么 怎样 如何 请问 为什么 哪里 哪个 哪些 多少 几个 可以 能不能 可不可以 有没有 是不是 知道 告诉 一下"
    " 我们 你们 他们 你 我 他 她 它 的 了 吗 呢 吧 啊 呀 是 在 有 和 与 就 都 也 很 会 要 想 请 问 能 这 那 个"
    " 给 对 把 被 说 讲 这个 那个 什么样 介绍 关于"
    " a an the is are am was were be been do does did can could will would shall should may might i you he she it we"
    " they me my your his her its our their what which who whom whose when where why how of in on at to for from with"
    " by about and or not no so this that these those there here please tell know have has had if then than"
    " as".split()
)
"""What a question is made of whatever it asks: left out of the search, so that they make up no match."""
