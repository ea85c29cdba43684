"""What the director must know of the journal at its start, and must have in it: the panic and the queue.

A journal that cannot be read at the start, or written at a panic, is tried again until it can. Event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from broadcaster.errors import JournalError
from broadcaster.journal import Journal, Unfinished
from broadcaster.types import Origin, Role

RETRY_SECONDS: Final = 1.0


class Durable:
    """`panicked`: what the journal says, None while nobody knows."""

    def __init__(self, journal: Journal, marker: Path) -> None:
        """`marker`: left by whoever panics when no director answers; it is a panic until the journal has it."""
        self.panicked: bool | None = None
        self._journal = journal
        self._marker = marker
        self._began_ns = time.time_ns()
        self._read = False
        self._unsaved: Origin | None = None
        if marker.exists():
            self.owe(Origin("cli", role=Role.OPERATOR))

    def owe(self, by: Origin) -> None:
        """A panic that is on and must be in the journal: `catch_up` writes it."""
        self.panicked = True
        self._unsaved = by

    async def read(self) -> list[Unfinished]:
        """Prompts of earlier runs that were not finished. Sets `panicked`. Raises JournalError."""
        panicked = await self._journal.panicked()
        found = [entry for entry in await self._journal.unfinished() if entry.prompt.received_ns < self._began_ns]
        if panicked is not None and self.panicked is None:
            self.panicked = panicked
        self._read = True
        return found

    async def save(self, on: bool, by: Origin) -> None:
        """Raises JournalError; the beginning of a panic is then written later, by `catch_up`."""
        self._unsaved = by if on else None
        self.panicked = on or self.panicked
        await self._journal.set_panicked(on, by)
        self._unsaved = None
        self.panicked = on
        self._marker.unlink(missing_ok=True)

    async def catch_up(self, late: Callable[[list[Unfinished]], None]) -> None:
        """Does what could not be done before; `late` gets what `read` should have returned. Ends only by cancel."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if self._journal.error:
                continue
            try:
                if (by := self._unsaved) is not None:
                    await self.save(True, by)
                if not self._read:
                    late(await self.read())
            except JournalError:
                continue  # told by the journal itself
