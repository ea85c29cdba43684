"""The conversation as it was heard, and who was in it: port `MemoryStore` on the journal. Director's event loop."""

from __future__ import annotations

from typing import Any

from broadcaster.journal.database import EVERYTHING, Database, JournalPlace, open_for_reading
from broadcaster.journal.forgetting import forget
from broadcaster.journal.state import get_state, put_state
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Exchange, ViewerNote

_EXCHANGE = "prompt, viewer, question, answer, at_ns, cut"
_VIEWER = "id, name, first_ns, last_ns, visits, exchanges, notes"
_AUDIENCE = "id, name, level, medal, medal_level, guard, paid, paid_since_ns, posts, first_ns, last_ns"
_KEEP_VIEWER = (
    f"INSERT INTO viewers ({_VIEWER}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " name = excluded.name, first_ns = excluded.first_ns, last_ns = excluded.last_ns, visits = excluded.visits,"
    " exchanges = excluded.exchanges, notes = excluded.notes"
)


def read_memory(place: JournalPlace, viewer: str | None, limit: int) -> dict[str, Any]:
    """What is remembered (of one viewer), for people: `summary`, `exchanges` (oldest first), `viewers` (seen last
    first), at most `limit` of each, and `known`, how many viewers there are. Of one viewer also `audience`: who the
    room takes them for, what they paid (thousandths of a yuan since `paid_since_ns`) and how often they wrote, or
    None. From any process.

    Raises JournalError.
    """
    db = open_for_reading(place)
    try:
        summary = get_state(db, "summary")
        chosen = (viewer is None, viewer, limit)
        exchanges = db.execute(
            f"SELECT {_EXCHANGE} FROM exchanges WHERE ? OR viewer = ? ORDER BY row DESC LIMIT ?", chosen
        ).fetchall()
        viewers = db.execute(
            f"SELECT {_VIEWER} FROM viewers WHERE ? OR id = ? ORDER BY last_ns DESC LIMIT ?", chosen
        ).fetchall()
        known = _count(db)
        audience = db.execute(f"SELECT {_AUDIENCE} FROM audience WHERE id = ?", (viewer,)).fetchone()
    finally:
        db.close()
    return {
        "summary": summary or "",
        "exchanges": [dict(zip(_EXCHANGE.split(", "), row, strict=True)) for row in reversed(exchanges)],
        "viewers": [dict(zip(_VIEWER.split(", "), row, strict=True)) for row in viewers],
        "known": known,
        "audience": dict(zip(_AUDIENCE.split(", "), audience, strict=True)) if audience is not None else None,
    }


class JournalMemory:
    """Port `MemoryStore`. Every write is bounded where it happens: the tables never outgrow what may stay."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def exchanges(self, limit: int) -> list[Exchange]:
        def job(db: Database) -> list[Exchange]:
            rows = db.execute(f"SELECT {_EXCHANGE} FROM exchanges ORDER BY row DESC LIMIT ?", (limit,)).fetchall()
            return [
                Exchange(prompt, viewer, question, answer, at_ns, bool(cut))
                for prompt, viewer, question, answer, at_ns, cut in reversed(rows)
            ]

        found: list[Exchange] = await self._writer.durable(job)
        return found

    async def summary(self) -> str:
        found: str | None = await self._writer.durable(lambda db: get_state(db, "summary"))
        return found or ""

    async def viewer(self, id: str) -> ViewerNote | None:
        def job(db: Database) -> ViewerNote | None:
            row = db.execute(f"SELECT {_VIEWER} FROM viewers WHERE id = ?", (id,)).fetchone()
            return None if row is None else ViewerNote(*row)

        found: ViewerNote | None = await self._writer.durable(job)
        return found

    async def viewers(self) -> int:
        found: int = await self._writer.durable(_count)
        return found

    def keep_exchange(self, exchange: Exchange, keep: int) -> None:
        row = (
            exchange.prompt, exchange.viewer, exchange.question, exchange.answer, exchange.at_ns, int(exchange.cut)
        )  # fmt: skip

        def job(db: Database) -> None:
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
        self._writer.deferred(lambda db: put_state(db, "summary", text))

    def keep_viewer(self, note: ViewerNote, keep: int) -> None:
        row = (note.id, note.name, note.first_ns, note.last_ns, note.visits, note.exchanges, note.notes)

        def job(db: Database) -> None:
            db.execute(_KEEP_VIEWER, row)
            db.execute(
                "DELETE FROM viewers WHERE id IN (SELECT id FROM viewers ORDER BY last_ns DESC, id LIMIT ? OFFSET ?)",
                (EVERYTHING, keep),
            )

        self._writer.deferred(job)

    async def forget(self, viewer: str | None = None) -> int:
        """Deletes one viewer (note, questions and answers), or all that is remembered; how many entries it was.

        What is meant by that, and what has to wait until it was on air: `forgetting`. Raises JournalError.
        """
        gone: int = await self._writer.durable(lambda db: forget(db, viewer))
        return gone


def _count(db: Database) -> int:
    (known,) = db.execute("SELECT count(*) FROM viewers").fetchone() or (0,)
    return int(known)
