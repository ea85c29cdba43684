"""How far speed and pitch may go, however those of message, presenter and link add up. Pure."""

from __future__ import annotations

import math
from typing import Final

SLOWEST: Final = 0.5
FASTEST: Final = 2.0
HIGHEST: Final = 6.0
"""Semitones, both ways."""


def speed_of(*factors: float) -> float:
    """All of them together; 1 is the voice's own."""
    return min(max(math.prod(factors), SLOWEST), FASTEST)


def pitch_of(*semitones: float) -> float:
    """All of them together."""
    return min(max(sum(semitones), -HIGHEST), HIGHEST)
