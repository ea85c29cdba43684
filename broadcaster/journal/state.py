"""Single values by their key: the table `state`. Inside a job of the writer, or a reader's connection.

Keys in use: panic, summary, alive, session, slow, pause, and those of `forgetting`.
"""

from __future__ import annotations

import time

from broadcaster.journal.database import Database


def get_state(db: Database, key: str) -> str | None:
    """None: nothing was ever written."""
    row = db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def put_state(db: Database, key: str, value: str) -> None:
    db.execute(
        "INSERT INTO state (key, value, changed_ns) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, changed_ns = excluded.changed_ns",
        (key, value, time.time_ns()),
    )
