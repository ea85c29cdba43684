"""Reading the as-run log from any process, also while the daemon writes it. Blocking."""

from __future__ import annotations

from typing import Any

from broadcaster.journal.database import EVERYTHING, JournalPlace, open_for_reading

_COLUMNS = (
    "row, prompt, kind, source, author, role, sentence, text, engine, verdict, start_tick, end_tick, start_ns,"
    " end_ns, samples, outcome"
)


def asrun_rows(place: JournalPlace, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
    """The last `limit` sentences aired, newest first; `before` is the `row` to go on from.

    Keys: row, prompt, kind, source, author, role, sentence, text, engine, verdict, start_tick, end_tick,
    start_ns, end_ns (wall clock), samples (heard, 48 kHz), outcome ("heard": in full; "cut": after `samples`;
    "on_air": now; "lost": playout or director died in it). Ticks count from the start of the playout process.
    Raises JournalError.
    """
    db = open_for_reading(place)
    try:
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM asrun WHERE row < ? ORDER BY row DESC LIMIT ?",
            (before if before is not None else EVERYTHING, max(0, limit)),
        ).fetchall()
        return [dict(zip(_COLUMNS.split(", "), row, strict=True)) for row in rows]
    finally:
        db.close()
