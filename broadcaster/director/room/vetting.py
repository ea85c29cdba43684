"""The costly judgement of viewers' texts, ahead of the choice: only of the few that may be chosen next, in one go.

Whatever is chosen sooner than it was judged here is judged by the performer. Director's event loop only.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from broadcaster.inbox import Inbox
from broadcaster.ports import Gate
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role, Verdict, VerdictKind

AHEAD: Final = 8
"""Prompts: more than half a minute of talk, much longer than any judgement takes."""

LOOK_S: Final = 0.2
JUDGED: Final = 256
"""Texts whose judgement is remembered: what is overtaken comes into view again."""

_VIEWER: Final = Origin("room", role=Role.VIEWER)


class Vetting:
    """`drop` and `hold` are told of prompts that are no longer in the queue, with the reason."""

    def __init__(
        self,
        gate: Gate,
        inbox: Inbox,
        *,
        drop: Callable[[Inbound, str], None],
        hold: Callable[[Inbound, str], None],
    ) -> None:
        self._gate = gate
        self._inbox = inbox
        self._drop = drop
        self._hold = hold
        self._judged: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Ends only by cancel."""
        while True:
            await asyncio.sleep(LOOK_S)
            if len(self._inbox):
                await self.look()

    async def look(self) -> None:
        """Judges what has come into view."""
        ahead = [
            prompt
            for prompt in self._inbox.peek(AHEAD)
            if _is_a_viewers(prompt) and (prompt.id, prompt.text) not in self._judged
        ]
        if not ahead:
            return
        verdicts = await self._gate.hear([prompt.text for prompt in ahead], _VIEWER)
        for prompt, verdict in zip(ahead, verdicts, strict=True):
            self._apply(prompt, verdict)

    def _apply(self, prompt: Inbound, verdict: Verdict) -> None:
        """A prompt that was chosen meanwhile is judged by the performer, one that a moderator has approved or edited
        is as it was decided."""
        self._remember(prompt.id, prompt.text)
        waits = self._inbox.find(prompt.id)
        if waits is None or waits.approved or waits.text != prompt.text:
            return
        if verdict.kind in (VerdictKind.DROP, VerdictKind.HOLD):
            found = self._inbox.remove(prompt.id, alone=True)
            if found is not None and verdict.kind is VerdictKind.DROP:
                self._drop(found, "dropped")
            elif found is not None:
                self._hold(found, verdict.reason)
        elif verdict.text != prompt.text and verdict.text.strip():
            self._remember(prompt.id, verdict.text)
            self._inbox.replace(replace(prompt, text=verdict.text))

    def _remember(self, id: str, text: str) -> None:
        self._judged[(id, text)] = None
        while len(self._judged) > JUDGED:
            self._judged.popitem(last=False)


def _is_a_viewers(prompt: Inbound) -> bool:
    return prompt.kind is PromptKind.ASK and prompt.lane is not Lane.MODERATOR and not prompt.approved
