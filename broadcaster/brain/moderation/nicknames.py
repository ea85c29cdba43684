"""Names of viewers and gifts as a host can say them and a screen can show them. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from broadcaster.brain.names import UNSEEN

LONGEST: Final = 16
"""Characters: a longer name takes longer to say than the thanks for what its owner gave."""

MOST_DIGITS: Final = 4
"""Of a longer number the last ones are said: platforms call their people user8391274655."""

_NUMBER: Final = re.compile(rf"\d{{{MOST_DIGITS + 1},}}")
_BETWEEN: Final = frozenset(" _-·・.~'’&")
"""What keeps the parts of a name apart; all other signs are left out."""


def speakable(name: str) -> str:
    """Letters and digits of `name`, shortened; "" when there are none."""
    parts: list[str] = []
    for letter in unicodedata.normalize("NFKC", name):
        kind = unicodedata.category(letter)
        if letter in UNSEEN:
            parts.append(" ")
        elif kind[0] in "LN" or kind in ("Mn", "Mc"):
            parts.append(letter)
        elif letter in _BETWEEN:
            parts.append("'" if letter in "'’" else " ")
    line = " ".join("".join(parts).split()).strip("' ")
    line = _NUMBER.sub(lambda number: number.group()[-MOST_DIGITS:], line)
    if not any(unicodedata.category(letter)[0] in "LN" for letter in line):
        return ""
    return line if len(line) <= LONGEST else line[:LONGEST].rstrip()
