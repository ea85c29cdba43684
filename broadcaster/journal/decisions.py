"""What was decided about the room, and by whom: why a prompt was chosen, what moderators did, who is banned.

Methods are called from the director's event loop; `JournalWriter` does the work in its thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broadcaster.journal.database import Database
from broadcaster.journal.prompts import PROMPT_COLUMNS, prompt_row
from broadcaster.journal.state import get_state, put_state
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Inbound


@dataclass(frozen=True, slots=True)
class Ban:
    """`until_ns`: wall clock, None for ever. `viewer` is the id in the channel ("source:id")."""

    viewer: str
    name: str
    until_ns: int | None
    by: str
    at_ns: int


class JournalDecisions:
    """The awaited ones raise JournalError, and then nothing is changed; the others are stored later."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def chosen(self, prompt: Inbound, why: Mapping[str, Any]) -> None:
        """It is said next, and why. From now on it is a prompt of the journal, whoever asked for it."""
        row = prompt_row(prompt)
        text = json.dumps(why, ensure_ascii=False, separators=(",", ":"))

        def job(db: Database) -> None:
            db.execute(
                f"INSERT INTO prompts ({PROMPT_COLUMNS}) VALUES ({', '.join('?' * len(row))})"
                " ON CONFLICT (id) DO NOTHING",
                row,
            )
            db.execute("UPDATE prompts SET why = ? WHERE id = ?", (text, prompt.id))

        self._writer.deferred(job)

    def changed(self, prompt: Inbound) -> None:
        """A prompt that waits has another text now, or was approved."""
        row = (prompt.text, int(prompt.approved), prompt.id)
        sql = "UPDATE prompts SET text = ?, approved = ? WHERE id = ?"
        self._writer.deferred(lambda db: db.execute(sql, row) and None)

    async def decided(self, action: str, by: str, *, prompt: str = "", viewer: str = "", detail: str = "") -> None:
        """Somebody who runs the room did this. `by` names source, role and person; `detail` is no viewer's text."""
        row = (time.time_ns(), action, by, prompt, viewer, detail)
        sql = "INSERT INTO decisions (at_ns, action, by_whom, prompt, viewer, detail) VALUES (?, ?, ?, ?, ?, ?)"
        await self._writer.durable(lambda db: db.execute(sql, row) and None)

    async def ban(self, ban: Ban) -> None:
        row = (ban.viewer, ban.name, ban.until_ns, ban.by, ban.at_ns)
        sql = (
            "INSERT INTO bans (viewer, name, until_ns, by_whom, at_ns) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (viewer) DO UPDATE SET name = excluded.name, until_ns = excluded.until_ns,"
            " by_whom = excluded.by_whom, at_ns = excluded.at_ns"
        )
        await self._writer.durable(lambda db: db.execute(sql, row) and None)

    async def lift(self, viewer: str) -> bool:
        """False: that viewer was not banned."""
        sql = "DELETE FROM bans WHERE viewer = ?"
        lifted: bool = await self._writer.durable(lambda db: db.execute(sql, (viewer,)).rowcount > 0)
        return lifted

    async def bans(self) -> list[Ban]:
        """Those that hold, the newest first; the others are deleted."""

        def job(db: Database) -> list[Ban]:
            db.execute("DELETE FROM bans WHERE until_ns <= ?", (time.time_ns(),))
            rows = db.execute(
                "SELECT viewer, name, until_ns, by_whom, at_ns FROM bans ORDER BY at_ns DESC"
            ).fetchall()
            return [Ban(*row) for row in rows]

        found: list[Ban] = await self._writer.durable(job)
        return found

    async def setting(self, key: str) -> str | None:
        """What `set` wrote last; None: nothing was ever written."""
        found: str | None = await self._writer.durable(lambda db: get_state(db, key))
        return found

    async def set(self, key: str, value: str) -> None:
        """For the keys see `journal.state`."""
        await self._writer.durable(lambda db: put_state(db, key, value))

    def note(self, key: str, value: str) -> None:
        """The same, stored later."""
        self._writer.deferred(lambda db: put_state(db, key, value))
