"""The phrase before a text that goes on after it was cut. Director's event loop.

It becomes a line of the prompt's script, so that it is numbered, logged and remembered like any other sentence.
"""

from __future__ import annotations

from typing import Final

from broadcaster.director.turns import Bridges
from broadcaster.director.utterance import Utterance
from broadcaster.journal import Journal, Line
from broadcaster.ports import Gate
from broadcaster.types import Origin, VerdictKind

BRIDGE: Final = "bridge"
"""Stands where a line has its verdict; a bridge that was masked says no more than that it is one."""


class Bridge:
    def __init__(self, phrases: Bridges, gate: Gate, journal: Journal) -> None:
        self._phrases = phrases
        self._gate = gate
        self._journal = journal

    async def lay(self, utterance: Utterance) -> None:
        """Puts a phrase where the utterance goes on; one that is there already and was not heard makes room."""
        utterance.resumes = False
        verdict = await self._gate.admit(self._phrases.take(), Origin(source=BRIDGE))
        script, at = utterance.script, utterance.cursor
        script.remove(at, BRIDGE)
        if verdict.kind not in (VerdictKind.DROP, VerdictKind.HOLD) and verdict.text.strip():
            phrase = verdict.text.strip()
            script.insert(at, Line(f"{phrase} " if phrase.isascii() else phrase, BRIDGE))
        self._journal.rescript(utterance.id, script.lines)
