"""Who is in the room, kept across restarts: the table `audience`. Director's event loop.

What was paid is added by `JournalPosts.bring`, in the transaction that stores the post; nothing here changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broadcaster.journal.database import Database
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Viewer

_COLUMNS: Final = "id, name, level, medal, medal_level, guard, paid, paid_since_ns, posts, first_ns, last_ns"


@dataclass(frozen=True, slots=True)
class Seen:
    """One viewer. `paid` in thousandths of a yuan since `paid_since_ns`; times are wall clock.

    `viewer.id` is the id in the channel: "source:id".
    """

    viewer: Viewer
    paid: int
    paid_since_ns: int
    posts: int
    first_ns: int
    last_ns: int


class JournalAudience:
    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def recent(self, limit: int) -> list[Seen]:
        """Those seen last, the latest first. Raises JournalError."""

        def job(db: Database) -> list[Seen]:
            rows = db.execute(f"SELECT {_COLUMNS} FROM audience ORDER BY last_ns DESC LIMIT ?", (limit,)).fetchall()
            return [Seen(Viewer(*row[:6]), *row[6:]) for row in rows]

        found: list[Seen] = await self._writer.durable(job)
        return found

    def keep(self, seen: Sequence[Seen]) -> None:
        """Adds or replaces all of them but what they paid; stored later."""
        rows = [
            (
                each.viewer.id, each.viewer.name, each.viewer.level, each.viewer.medal, each.viewer.medal_level,
                each.viewer.guard, each.paid_since_ns, each.posts, each.first_ns, each.last_ns,
            )
            for each in seen
        ]  # fmt: skip
        sql = (
            f"INSERT INTO audience ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, level = excluded.level, medal = excluded.medal,"
            " medal_level = excluded.medal_level, guard = excluded.guard, posts = excluded.posts,"
            " last_ns = excluded.last_ns"
        )

        def job(db: Database) -> None:
            for row in rows:
                db.execute(sql, row)

        self._writer.deferred(job)
