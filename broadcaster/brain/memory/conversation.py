"""The memory of a channel: what was heard on air and who was there, kept in the journal. Director's event loop.

Only what was heard counts: nothing enters but through `heard`. The journal gets every sentence at once, so that
a kill loses none that playout had reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from broadcaster.brain.memory.history import MOST_EXCHANGES, History, Remembered
from broadcaster.brain.memory.summary import MOST_WAITING, Ask, Summary
from broadcaster.brain.memory.viewers import Viewers
from broadcaster.config.minds import MemoryConfig
from broadcaster.errors import JournalError
from broadcaster.ports import MemoryStore
from broadcaster.types import Inbound, Message, PromptKind, RoomEvent, Viewer

log = logging.getLogger(__name__)

PASSING: Final = (RoomEvent.FOLLOW, RoomEvent.LIKE, RoomEvent.ENTER)
"""Thanked so often that a busy room would push the conversation out of the history."""

ENDED: Final = 64
"""Prompts whose viewer has been seen, or that are to be forgotten; a late report of an older one is not looked at."""


class Memory:
    """`ask` summarises (None: no model does); `wall` is wall-clock time in nanoseconds."""

    def __init__(
        self, settings: MemoryConfig, *, ask: Ask | None = None, wall: Callable[[], int] = time.time_ns
    ) -> None:
        self._history = History(settings.history_tokens)
        self._summary = Summary(settings.summary_tokens, ask, self._keep_summary)
        self._viewers = Viewers(settings.viewers, settings.viewer_tokens)
        self._wall = wall
        self._store: MemoryStore | None = None
        self._read = False
        """What the journal holds is known; until then nothing there makes way for something new."""
        self._counted: deque[str] = deque(maxlen=ENDED)
        self._forgotten: deque[str] = deque(maxlen=ENDED)
        self._deleted: deque[tuple[str | None, int]] = deque(maxlen=ENDED)
        """Who was forgotten, and when: what they had asked by then may still be waiting for its answer."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, store: MemoryStore) -> None:
        """Reads what is remembered. Never fails: what cannot be read is forgotten, and told in the log."""
        self._store = store
        try:
            self._summary.text = await store.summary()
            exchanges = await store.exchanges(MOST_EXCHANGES + MOST_WAITING)
            await self._viewers.open(store)
        except JournalError as err:
            log.warning("what was said before is not remembered", extra={"reason": str(err)})
            return
        self._read = True
        self._summary.add(self._history.restore(exchanges))

    def messages(self) -> tuple[Message, ...]:
        return self._history.messages()

    def summary(self) -> str:
        return self._summary.text

    async def viewer_note(self, viewer: Viewer | None) -> str:
        return await self._viewers.note(viewer, self._wall())

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        if prompt.id in self._forgotten or self._asked_before(prompt):
            return
        if prompt.viewer is not None and prompt.id not in self._counted:
            self._counted.append(prompt.id)
            self._background(self._viewers.seen(prompt, self._wall()))
        if prompt.given and prompt.id not in self._counted:
            self._counted.append(prompt.id)
            self._note_given(prompt)
        if prompt.given or (prompt.happening is not None and prompt.happening.event in PASSING):
            return
        question = prompt.text if prompt.kind is PromptKind.ASK else ""
        viewer = prompt.viewer.id if prompt.viewer is not None else ""
        kept = self._history.hear(Remembered(prompt.id, viewer, question, self._wall()), sentence, text)
        self._summary.add(self._history.overflow())
        self._keep(kept)

    def ended(self, prompt: Inbound, *, cut: bool = False) -> None:
        kept = self._history.end(prompt.id, cut=cut)
        if kept is not None and cut:
            self._keep(kept)

    def forget(self, viewer: str | None) -> None:
        """What is at hand of that viewer, or of everybody. The journal's part is deleted by whoever has it.

        Of an answer that is being heard, or still waits to be, nothing more is remembered either.
        """
        self._deleted.append((viewer, self._wall()))
        for task in self._tasks:
            task.cancel()  # a note that is just being written would come back behind the deletion
        self._forgotten.extend(self._history.prompts_of(viewer))
        self._history.forget(viewer)
        self._viewers.forget(viewer)
        self._summary.forget()

    def status(self) -> dict[str, Any]:
        """`messages`, `tokens`: of the history; `viewers`: how many are known."""
        return {
            "messages": len(self._history.messages()),
            "tokens": self._history.tokens,
            "viewers": self._viewers.count,
        }

    async def settled(self) -> None:
        """Until everything heard so far is noted and summarised."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._summary.settled()

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._summary.close()

    def _note_given(self, prompt: Inbound) -> None:
        for part in prompt.given:
            if part.happening.event not in PASSING:
                alone = replace(prompt, viewer=part.viewer, happening=part.happening, given=())
                self._background(self._viewers.seen(alone, self._wall()))

    def _asked_before(self, prompt: Inbound) -> bool:
        """Before whoever asked it was forgotten."""
        whose = (None, prompt.viewer.id) if prompt.viewer is not None else (None,)
        return any(viewer in whose and 0 < prompt.received_ns <= at for viewer, at in self._deleted)

    def _keep(self, kept: Remembered) -> None:
        if self._store is not None:
            # Those that wait for the summary stay in the journal until they are in it, also over a restart.
            known = len(self._history) + self._summary.waiting
            self._store.keep_exchange(kept.exchange(), known if self._read else MOST_EXCHANGES + MOST_WAITING)

    def _keep_summary(self, text: str) -> None:
        if self._store is not None and self._read:
            self._store.keep_summary(text)
            newest = self._history.newest()
            if newest is not None:
                self._keep(newest)  # what is in the summary now has to go from there

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
