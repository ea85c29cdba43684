"""How much there is to say: text measured in Chinese characters' worth of speech. Pure."""

from __future__ import annotations

from typing import Final

LETTER: Final = 0.33
"""English is spoken at about 15 letters per second, Mandarin at about 5 characters per second."""


def spoken_units(text: str) -> float:
    """One for a Han character or a digit, a third for a letter of an alphabet, none for anything else."""
    total = 0.0
    for char in text:
        if char.isdigit():
            total += 1.0
        elif char.isalpha():
            total += LETTER if ord(char) < 0x2E80 else 1.0
    return total
