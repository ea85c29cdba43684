"""Utterances that were cut, until playout says where the cut fell. Director's event loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from broadcaster.director.utterance import Utterance
from broadcaster.wire import Aired

CUT_REPORT_SECONDS: Final = 2.0
"""Playout reports a cut within two ticks; if it does not (it died), the utterance is closed without a place."""

Key = tuple[str, int]
"""Id and generation: what is given again under the same id is another one."""


class Leaving:
    """`gone` is called once for each: (utterance, reason, the event that ended it, if it came)."""

    def __init__(self, gone: Callable[[Utterance, str, Aired | None], None]) -> None:
        self._gone = gone
        self._waiting: dict[Key, tuple[Utterance, str]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, utterance: Utterance, reason: str) -> None:
        key = (utterance.id, utterance.generation)
        self._waiting[key] = (utterance, reason)
        asyncio.get_running_loop().call_later(CUT_REPORT_SECONDS, self.over, key, None)

    def find(self, key: Key) -> Utterance | None:
        found = self._waiting.get(key)
        return found[0] if found is not None else None

    def all(self) -> list[Utterance]:
        return [utterance for utterance, _ in self._waiting.values()]

    def over(self, key: Key, event: Aired | None) -> None:
        found = self._waiting.pop(key, None)
        if found is not None:
            self._gone(*found, event)

    def all_over(self) -> None:
        """Nobody will report them: playout is gone."""
        for key in list(self._waiting):
            self.over(key, None)
