"""Traditional characters to simplified ones: word lists and pronunciations know only those. Pure after the first use.

Without it 銀行行長 comes out as "yinxing xingzhang": the dictionaries cut traditional text into single characters.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_ROUNDS: Final = 3
"""A few characters become simple in two steps (薴, 苧, 苎)."""


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("tw2s")


def load() -> None:
    """Reads the tables (7 ms); `simplified` does it by itself otherwise."""
    _converter()


def simplified(text: str) -> str:
    """`text` in simplified characters; what is simplified already stays."""
    if not _HAN.search(text):
        return text
    for _ in range(_ROUNDS):
        before, text = text, str(_converter().convert(text))
        if text == before:
            break
    return text
