"""How the names of viewers and gifts are read out. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NAME_LIMIT: Final = 16
"""Characters of a viewer's name, or of a gift's, that are read out."""

UNSEEN: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters to Unicode, nothing to the eye: the fillers of Hangul, of which names are made that seem to be none."""

_ADDRESS: Final = re.compile(r"https?://\S*|www\.\S*|</?[a-z][^<>]{0,40}>", re.IGNORECASE)
"""Tags as well: nobody says them."""
_LONG_NUMBER: Final = re.compile(r"\d{7,}")
"""Such as platforms put behind the names they give: only its end is read."""


def speakable(name: str) -> str:
    """A viewer's or a gift's name as far as it can be read out: no emoji, addresses or long numbers. May be ""."""
    plain = _ADDRESS.sub("", name)
    plain = "".join(
        letter if (unicodedata.category(letter)[0] in "LN" and letter not in UNSEEN) or letter in "·-'&" else " "
        for letter in plain
    )
    plain = _LONG_NUMBER.sub(lambda match: match[0][-4:], " ".join(plain.split()))
    return plain[:NAME_LIMIT].strip(" ·-'&")
