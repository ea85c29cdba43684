"""The conversation as it was heard, and who was in it: port `MemoryStore` on the journal. Director's event loop."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from broadcaster.journal.migrations import explained, open_for_reading
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Exchange, ViewerNote

_EXCHANGE = "prompt, viewer, question, answer, at_ns, cut"
_VIEWER = "id, name, first_ns, last_ns, visits, exchanges, notes"


def read_memory(path: Path, viewer: str | None, limit: int) -> dict[str, Any]:
    """What is remembered (of one viewer), for people: `summary`, `exchanges` (oldest first), `viewers` (seen last
    first), at most `limit` of each, and `known`, how many viewers there are. From any process.

    Raises JournalError.
    """
    db = open_for_reading(path)
    try:
        summary = db.execute("SELECT value FROM state WHERE key = 'summary'").fetchone()
        chosen = (viewer is None, viewer, limit)
        exchanges = db.execute(
            f"SELECT {_EXCHANGE} FROM exchanges WHERE ? OR viewer = ? ORDER BY row DESC LIMIT ?", chosen
        ).fetchall()
        viewers = db.execute(
            f"SELECT {_VIEWER} FROM viewers WHERE ? OR id = ? ORDER BY last_ns DESC LIMIT ?", chosen
        ).fetchall()
        known = db.execute("SELECT count(*) FROM viewers").fetchone()[0]
    except sqlite3.Error as err:
        raise explained(path, err) from err
    finally:
        db.close()
    return {
        "summary": str(summary[0]) if summary is not None else "",
        "exchanges": [dict(zip(_EXCHANGE.split(", "), row, strict=True)) for row in reversed(exchanges)],
        "viewers": [dict(zip(_VIEWER.split(", "), row, strict=True)) for row in viewers],
        "known": known,
    }


class JournalMemory:
    """Port `MemoryStore`. Every write is bounded where it happens: the tables never outgrow what may stay."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def exchanges(self, limit: int) -> list[Exchange]:
        def job(db: sqlite3.Connection) -> list[Exchange]:
            rows = db.execute(f"SELECT {_EXCHANGE} FROM exchanges ORDER BY row DESC LIMIT ?", (limit,)).fetchall()
            return [
                Exchange(prompt, viewer, question, answer, at_ns, bool(cut))
                for prompt, viewer, question, answer, at_ns, cut in reversed(rows)
            ]

        found: list[Exchange] = await self._writer.durable(job)
        return found

    async def summary(self) -> str:
        def job(db: sqlite3.Connection) -> str:
            row = db.execute("SELECT value FROM state WHERE key = 'summary'").fetchone()
            return "" if row is None else str(row[0])

        found: str = await self._writer.durable(job)
        return found

    async def viewer(self, id: str) -> ViewerNote | None:
        def job(db: sqlite3.Connection) -> ViewerNote | None:
            row = db.execute(f"SELECT {_VIEWER} FROM viewers WHERE id = ?", (id,)).fetchone()
            return None if row is None else ViewerNote(*row)

        found: ViewerNote | None = await self._writer.durable(job)
        return found

    async def viewers(self) -> int:
        found: int = await self._writer.durable(lambda db: db.execute("SELECT count(*) FROM viewers").fetchone()[0])
        return found

    def keep_exchange(self, exchange: Exchange, keep: int) -> None:
        row = (
            exchange.prompt, exchange.viewer, exchange.question, exchange.answer, exchange.at_ns, int(exchange.cut)
        )  # fmt: skip

        def job(db: sqlite3.Connection) -> None:
            changed = db.execute(
                "UPDATE exchanges SET viewer = ?, question = ?, answer = ?, at_ns = ?, cut = ? WHERE prompt = ?",
                (*row[1:], row[0]),
            ).rowcount
            if not changed:
                db.execute(f"INSERT INTO exchanges ({_EXCHANGE}) VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "DELETE FROM exchanges WHERE row <= (SELECT row FROM exchanges ORDER BY row DESC LIMIT 1 OFFSET ?)",
                (keep,),
            )

        self._writer.deferred(job)

    def keep_summary(self, text: str) -> None:
        sql = "INSERT OR REPLACE INTO state VALUES ('summary', ?, ?)"
        self._writer.deferred(lambda db: db.execute(sql, (text, time.time_ns())) and None)

    def keep_viewer(self, note: ViewerNote, keep: int) -> None:
        row = (note.id, note.name, note.first_ns, note.last_ns, note.visits, note.exchanges, note.notes)

        def job(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO viewers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "DELETE FROM viewers WHERE id IN"
                " (SELECT id FROM viewers ORDER BY last_ns DESC, id LIMIT -1 OFFSET ?)",
                (keep,),
            )

        self._writer.deferred(job)

    async def forget(self, viewer: str | None = None) -> int:
        """Deletes one viewer (note, questions and answers), or all that is remembered; how many entries it was.

        The summary goes in either case: it cannot be made to forget one of those it is about. Of prompts that are
        over, who asked and what goes as well. The as-run log stays: what was broadcast. Raises JournalError.
        """

        def job(db: sqlite3.Connection) -> int:
            everybody = viewer is None
            gone = db.execute("DELETE FROM viewers WHERE ? OR id = ?", (everybody, viewer)).rowcount
            gone += db.execute("DELETE FROM exchanges WHERE ? OR viewer = ?", (everybody, viewer)).rowcount
            db.execute("DELETE FROM state WHERE key = 'summary'")
            theirs = "viewer_id IS NOT NULL AND (? OR viewer_id = ?)"
            db.execute(
                f"UPDATE asrun SET author = '' WHERE prompt IN (SELECT id FROM prompts WHERE {theirs})",
                (everybody, viewer),
            )
            db.execute(
                "UPDATE prompts SET text = '', author = '', viewer_id = NULL, viewer_name = ''"
                f" WHERE {theirs} AND state NOT IN ('queued', 'started')",
                (everybody, viewer),
            )
            return gone

        gone: int = await self._writer.durable(job)
        return gone
