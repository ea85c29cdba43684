"""The door: a text that asks for air time is checked, journalled and handed on as an accepted prompt.

Whatever is turned away is refused aloud and counted. Director's event loop only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broadcaster.director.admission import Admission
from broadcaster.director.attachments import Attachments
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.director.rundown import Rundown
from broadcaster.errors import JournalError, Refused
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal
from broadcaster.types import PLAIN, Happening, Inbound, Manner, Origin, PromptKind, Viewer


class Reception:
    """`arrived` gets every accepted prompt, which has a place reserved in the inbox. `stopping`: nobody is let in."""

    def __init__(
        self,
        admission: Admission,
        attachments: Attachments,
        inbox: Inbox,
        journal: Journal,
        rundown: Rundown,
        end_to_end: EndToEndDesk | None,
        counters: Counter[str],
        *,
        stopping: Callable[[], bool],
        arrived: Callable[[Inbound], None],
    ) -> None:
        self._admission = admission
        self._attachments = attachments
        self._inbox = inbox
        self._journal = journal
        self._rundown = rundown
        self._end_to_end = end_to_end
        self._counters = counters
        self._stopping = stopping
        self._arrived = arrived
        self._storing: set[asyncio.Task[Any]] = set()

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound:
        """See `station.Station.accept`."""
        try:
            self._check_open()
            prompt = self._admission.inbound(
                kind,
                text,
                origin,
                manner,
                viewer=viewer,
                resumable=resumable,
                happening=happening,
                recording=self._recording(kind, recording) if recording else None,
            )
            self._inbox.reserve()
        except Refused:
            self._counters["refused"] += 1
            raise
        self._attachments.begun(prompt)
        # Shielded: a client that leaves now must not leave a prompt behind that is in the journal and nowhere else.
        task = asyncio.create_task(self._journalled(prompt))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return await asyncio.shield(task)

    async def attach(self, data: bytes) -> str:
        """See `station.Station.attach`."""
        self._need_end_to_end()
        return await self._attachments.keep(data)

    def close(self) -> None:
        """What is being journalled is not waited for."""
        for task in tuple(self._storing):
            task.cancel()

    def _check_open(self) -> None:
        if self._stopping():
            raise Refused("the daemon is going down; send it again when it is back", "stopping")
        if self._rundown.panicked:
            raise Refused("the channel is in panic; an operator must resume it first", "panicked")

    def _recording(self, kind: PromptKind, name: str) -> Path:
        self._need_end_to_end()
        if kind is not PromptKind.ASK:
            raise Refused("only a question can be a recording")
        return self._attachments.path(name)

    def _need_end_to_end(self) -> None:
        if self._end_to_end is None or not self._end_to_end.enabled:
            raise Refused(
                "nobody here can listen to a recording -> set up an end-to-end voice (brain.end_to_end), or ask in "
                "writing"
            )

    async def _journalled(self, prompt: Inbound) -> Inbound:
        try:
            await self._journal.accept(prompt)
        except JournalError as err:
            self._attachments.ended(prompt.id)
            self._inbox.release()
            self._counters["refused"] += 1
            raise Refused(f"the prompt was not accepted: {err}", "journal") from err
        self._arrived(prompt)
        return prompt
