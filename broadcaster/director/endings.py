"""How prompts end: told to everybody who must know, once. Director's event loop only.

Of the audience's comments only those that were chosen are in the journal and are told of; what the queue lets go
before that is a number.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from broadcaster.director.attachments import Attachments
from broadcaster.director.events import ending
from broadcaster.director.trace import Tracer
from broadcaster.journal import Journal
from broadcaster.ports import Mind
from broadcaster.types import Inbound, Lane
from broadcaster.wire import Aired

log = logging.getLogger(__name__)

CHOSEN: Final = 1024
"""Prompts of the audience that were chosen and have not ended: a few on their way to air, and what a restart left."""


class Endings:
    """`freed` is told that something has left the queue, `given_out` of every prompt that is performed next."""

    def __init__(
        self,
        journal: Journal,
        tracer: Tracer,
        attachments: Attachments,
        mind: Mind,
        publish: Callable[[dict[str, Any]], None],
        counters: Counter[str],
    ) -> None:
        self.freed: Callable[[], None] = lambda: None
        self.given_out: Callable[[Inbound], None] = lambda prompt: None
        self._journal = journal
        self._tracer = tracer
        self._attachments = attachments
        self._mind = mind
        self._publish = publish
        self._counters = counters
        self._chosen: dict[str, Mapping[str, Any]] = {}

    def end(self, prompt: Inbound, state: str, reason: str, event: Aired | None = None, sentence: int = 0) -> None:
        """`state`: "done", "cut" or "skipped"."""
        self._chosen.pop(prompt.id, None)
        self._tracer.ended(prompt.id)
        self._journal.finish(prompt.id, state, reason)
        self._attachments.ended(prompt.id)
        self._mind.ended(prompt, cut=state == "cut")
        self._counters[state] += 1
        self._publish(ending(prompt, state, reason, event, sentence))
        if prompt.paid and state != "done":
            about = {"prompt": prompt.id, "lane": prompt.lane.value, "state": state, "reason": reason}
            log.warning("what was paid for was not said in full", extra=about)
        self.freed()

    def chosen(self, prompt: Inbound, why: Mapping[str, Any]) -> None:
        """The queue has given it out to be said next, for these reasons."""
        self._journal.decisions.chosen(prompt, why)
        if prompt.lane is not Lane.MODERATOR:
            self.known([prompt])
            self._chosen[prompt.id] = why
        self.given_out(prompt)

    def why(self, id: str) -> Mapping[str, Any]:
        """Why a prompt of the audience was chosen that has not ended; {} for others, and for what a restart left."""
        return self._chosen.get(id, {})

    def known(self, prompts: Iterable[Inbound]) -> None:
        """They are in the journal: whatever becomes of them must be, too."""
        for prompt in prompts:
            self._chosen[prompt.id] = {}
        while len(self._chosen) > CHOSEN:
            del self._chosen[next(iter(self._chosen))]

    def let_go(self, prompt: Inbound, reason: str) -> None:
        """The queue gives it up."""
        if prompt.paid or prompt.lane is Lane.MODERATOR or prompt.id in self._chosen:
            self.end(prompt, "skipped", reason)
        else:
            self.freed()

    def expired(self, prompt: Inbound) -> None:
        self.let_go(prompt, "expired")
