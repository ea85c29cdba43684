"""How many tokens a text is, roughly and rather too many: no tokeniser is at hand for every model. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from broadcaster.types import Message

HAN: Final = 1.0
"""Tokens per Chinese character. Qwen's and OpenAI's newer tokenisers need 0.6 to 0.8 on running text (their own
documentation); older ones over 1, so that this bounds what a server counts for most."""

LETTERS: Final = 0.3
"""Tokens per other character: documentation says four characters of English to a token."""

PER_MESSAGE: Final = 6
"""Role and separators around each message."""

PER_IMAGE: Final = 1300
"""A picture of 1280 by 720 at the usual 28 by 28 pixels per token."""


def tokens_of(text: str) -> int:
    wide = sum(ord(char) >= 0x2E80 for char in text)
    return int(wide * HAN + (len(text) - wide) * LETTERS + 0.999)


def tokens_in(messages: Iterable[Message]) -> int:
    return sum(tokens_of(each.text) + PER_MESSAGE + PER_IMAGE * len(each.images) for each in messages)


def cut_to(text: str, limit: int) -> str:
    """The beginning of `text` that is at most `limit` tokens."""
    if tokens_of(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens_of(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low]
