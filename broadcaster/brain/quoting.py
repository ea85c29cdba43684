"""Foreign text inside a prompt: data between marks that it cannot close, never instructions. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

_TWINS: Final = str.maketrans({**dict.fromkeys("<＜﹤", "‹"), **dict.fromkeys(">＞﹥", "›")})
"""Every mark is made of < and >, and so are the control words of chat templates (<|im_start|>). Their full-width
forms go too: some tokenisers read them as the plain ones."""

_INVISIBLE: Final = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))


def harmless(text: str, limit: int) -> str:
    """One line of at most `limit` characters that holds no mark: what no eye sees is taken out (joiners of emoji
    too), < and > become ‹ and ›."""
    seen = "".join(
        " " if letter in "\n\r\t" else letter
        for letter in text
        if letter in "\n\r\t" or unicodedata.category(letter) not in _INVISIBLE
    )
    line = " ".join(seen.split()).translate(_TWINS)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def block(mark: str, text: str, limit: int, **about: str) -> str:
    """`text` between `<mark ...>` and `</mark>`; `about` become its attributes, as far as they say something."""
    attributes = "".join(
        f' {name}="{harmless(value, 60).replace(chr(34), "＂")}"' for name, value in about.items() if value
    )
    return f"<{mark}{attributes}>{harmless(text, limit)}</{mark}>"
