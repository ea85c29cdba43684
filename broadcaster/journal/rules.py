"""What moderators have decided for good: who is banned, the slow mode, whether the automatic queue is paused.

Called from the director's event loop; the journal's thread does the work. Every write is durable when it returns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.journal.writer import JournalWriter

SLOW: Final = "slow_s"
PAUSED: Final = "pause_auto"


@dataclass(frozen=True, slots=True)
class Ban:
    """`viewer` is the viewer's id in the channel, `until_ns` wall clock (None: for good), `by` who did it."""

    viewer: str
    name: str
    until_ns: int | None
    by: str
    at_ns: int


class JournalRules:
    """All of it raises JournalError; the table is then as it was."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def bans(self) -> list[Ban]:
        """Those that are over, too."""
        rows = await self._writer.durable(
            lambda db: db.execute("SELECT viewer, name, until_ns, by_whom, at_ns FROM bans ORDER BY at_ns").fetchall()
        )
        return [Ban(*row) for row in rows]

    async def ban(self, ban: Ban) -> None:
        row = (ban.viewer, ban.name, ban.until_ns, ban.by, ban.at_ns)
        sql = (
            "INSERT INTO bans (viewer, name, until_ns, by_whom, at_ns) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (viewer) DO UPDATE SET name = excluded.name, until_ns = excluded.until_ns,"
            " by_whom = excluded.by_whom, at_ns = excluded.at_ns"
        )
        await self._writer.durable(lambda db: db.execute(sql, row) and None)

    async def unban(self, viewer: str) -> None:
        await self._writer.durable(lambda db: db.execute("DELETE FROM bans WHERE viewer = ?", (viewer,)) and None)

    async def setting(self, key: str) -> str | None:
        row: Any = await self._writer.durable(
            lambda db: db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        )
        return None if row is None else str(row[0])

    async def set(self, key: str, value: str) -> None:
        row = (key, value, time.time_ns())
        sql = (
            "INSERT INTO state (key, value, changed_ns) VALUES (?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, changed_ns = excluded.changed_ns"
        )
        await self._writer.durable(lambda db: db.execute(sql, row) and None)
