"""How long every package took, in the journal database: written by the director, read by any process."""

from __future__ import annotations

import json
from typing import Any, Final

from broadcaster.journal.database import Database, JournalPlace, open_for_reading
from broadcaster.journal.writer import JournalWriter
from broadcaster.latency import Trace

KEEP_TRACES: Final = 20_000
"""A day of talk without a break in packages of some 4 s; 300 bytes each."""


class JournalTraces:
    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def keep(self, trace: Trace) -> None:
        """Stored later; the oldest ones beyond KEEP_TRACES go."""
        stages = json.dumps({**trace.stages, "gap": trace.gap_ms})
        row = (trace.prompt, trace.package, trace.kind, trace.brain, trace.voice, trace.at_ns, stages)

        def job(db: Database) -> None:
            (added,) = db.execute(
                "INSERT INTO traces (prompt, package, kind, brain, voice, at_ns, stages) VALUES (?,?,?,?,?,?,?)"
                " RETURNING row",
                row,
            ).fetchone() or (0,)
            db.execute("DELETE FROM traces WHERE row <= ?", (added - KEEP_TRACES,))

        self._writer.deferred(job)


def read_traces(place: JournalPlace, turns: int | None = None, since_ns: int | None = None) -> list[Trace]:
    """Oldest first: of the last `turns` turns, or since a time (wall clock). Blocking. Raises JournalError."""
    db = open_for_reading(place)
    try:
        start = db.execute(
            "SELECT row FROM traces WHERE package = 0 ORDER BY row DESC LIMIT 1 OFFSET ?", ((turns or 0) - 1,)
        ).fetchone() if turns else None  # fmt: skip
        rows = db.execute(
            "SELECT prompt, package, kind, brain, voice, at_ns, stages FROM traces WHERE row >= ? AND at_ns >= ?"
            " ORDER BY row",
            (start[0] if start else 0, since_ns or 0),
        ).fetchall()
    finally:
        db.close()
    return [_trace(*row) for row in rows]


def _trace(prompt: str, package: int, kind: str, brain: str, voice: str, at_ns: int, text: str) -> Trace:
    stages: dict[str, Any] = json.loads(text)
    gap = int(stages.pop("gap", 0))
    return Trace(prompt, package, kind, brain, voice, at_ns, stages, gap)
