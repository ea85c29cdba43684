"""The past: what was on air, how long it took, what is remembered of viewers. It is read and deleted here.

Director's event loop. The journal is read in threads, beside the connection that writes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from broadcaster.errors import JournalError, Refused
from broadcaster.journal import Journal, asrun_rows
from broadcaster.journal.asrun import ALIVE_SECONDS
from broadcaster.journal.traces import read_traces
from broadcaster.latency import summary
from broadcaster.ports import Mind

log = logging.getLogger(__name__)

PRUNE_SECONDS: Final = 24 * 3600.0
FIRST_PRUNE_SECONDS: Final = 60.0
"""The start has more urgent work; a daemon that never runs for a day cleans up all the same."""


class Records:
    """All that is asked of it raises Refused, "journal", when the journal cannot be read or written."""

    def __init__(self, journal: Journal, mind: Mind, forgotten: Callable[[str | None], None]) -> None:
        """`forgotten` is told of a viewer, or of everybody (None), before the journal is."""
        self._place = journal.place
        self._forgotten = forgotten
        self._journal = journal
        self._mind = mind

    async def asrun(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """See `station.Station.asrun`."""
        try:
            return await asyncio.to_thread(asrun_rows, self._place, limit, before)
        except JournalError as err:
            raise Refused(str(err), "journal") from err

    async def latency(self, turns: int | None, since_ns: int | None) -> dict[str, Any]:
        """See `station.Station.latency`."""
        try:
            return await asyncio.to_thread(lambda: summary(read_traces(self._place, turns, since_ns)))
        except JournalError as err:
            raise Refused(str(err), "journal") from err

    async def forget(self, viewer: str | None) -> int:
        """See `station.Station.forget`."""
        self._mind.forget(viewer)  # first: nothing of it may be stored again behind the deletion
        self._forgotten(viewer)
        try:
            gone = await self._journal.memory.forget(viewer)
        except JournalError as err:
            raise Refused(f"not everything was deleted: {err}", "journal") from err
        log.info("what was remembered is deleted", extra={"entries": gone, "everybody": viewer is None})
        return gone

    async def keep_house(self) -> None:
        """Deletes what has become too old: soon, and then once a day. Ends only by cancel."""
        await asyncio.sleep(FIRST_PRUNE_SECONDS)
        while True:
            with contextlib.suppress(JournalError):
                await self._journal.prune()
            await asyncio.sleep(PRUNE_SECONDS)

    async def stay_alive(self) -> None:
        """Writes signs of life, by which the next director knows how long nobody was there. Ends only by cancel."""
        while True:
            self._journal.live()
            await asyncio.sleep(ALIVE_SECONDS)
