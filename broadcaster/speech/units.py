"""How much there is to say: text measured in Chinese characters' worth of speech. Pure."""

from __future__ import annotations

from broadcaster.sentences import LETTER, spoken_units

__all__ = ["LETTER", "spoken_units"]
