"""Reading what was on air and what was decided, from any process, also while the daemon writes it. Blocking.

Everything here raises JournalError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from broadcaster.journal.database import EVERYTHING, JournalPlace, open_for_reading

PAGE: Final = 2_000
"""Rows in hand at a time: less than a megabyte."""

_ASRUN: Final = (
    "row, prompt, kind, source, author, role, lane, sentence, text, engine, verdict, start_tick, end_tick, start_ns,"
    " end_ns, samples, outcome"
)
_PROMPT: Final = (
    "id, kind, text, source, author, role, lane, paid, alike, viewer_id, viewer_name, event, item, count, given,"
    " post, approved, received_ns, state, reason, finished_ns, why"
)
_POST: Final = "key, kind, text, item, count, price, at_ns, received_ns, state, reason"
_DECISION: Final = "row, at_ns, action, by_whom, prompt, viewer, detail"


def asrun_rows(place: JournalPlace, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
    """The last `limit` sentences aired, newest first; `before` is the `row` to go on from.

    Keys: row, prompt, kind, source, author, role, lane, sentence, text, engine, verdict, start_tick, end_tick,
    start_ns, end_ns (wall clock), samples (heard, 48 kHz), outcome ("heard": in full; "cut": after `samples`;
    "on_air": now; "lost": playout or director died in it). Ticks count from the start of the playout process.
    An outcome of "gap" is no sentence: nobody could speak from start to end; `source` is "stopped" or "killed".
    """
    sql = f"SELECT {_ASRUN} FROM asrun WHERE row < ? ORDER BY row DESC LIMIT ?"
    with closing(open_for_reading(place)) as db:
        return _named(_ASRUN, db.execute(sql, (EVERYTHING if before is None else before, max(0, limit))))


def asrun_since(place: JournalPlace, since_ns: int = 0) -> tuple[int, Iterator[list[dict[str, Any]]]]:
    """All that was put down and began at that time or later: how much it is, and it, oldest first, in pages."""
    with closing(open_for_reading(place)) as db:
        (total,) = db.execute("SELECT count(*) FROM asrun WHERE start_ns >= ?", (since_ns,)).fetchone()
    return int(total), _pages(place, since_ns)


def _pages(place: JournalPlace, since_ns: int) -> Iterator[list[dict[str, Any]]]:
    sql = f"SELECT {_ASRUN} FROM asrun WHERE row > ? AND start_ns >= ? ORDER BY row LIMIT ?"
    last = 0
    with closing(open_for_reading(place)) as db:
        while True:
            page = _named(_ASRUN, db.execute(sql, (last, since_ns, PAGE)))
            if page:
                yield page
            if len(page) < PAGE:
                return
            last = page[-1]["row"]


def prompt_story(place: JournalPlace, identity: str) -> dict[str, Any] | None:
    """What became of one prompt, None if nobody knows it: its own columns, `posts` (what was paid for it),
    `decisions` (what moderators did with it) and `sentences` (as `asrun_rows`, oldest first)."""
    with closing(open_for_reading(place)) as db:
        found = _named(_PROMPT, db.execute(f"SELECT {_PROMPT} FROM prompts WHERE id = ?", (identity,)))
        if not found:
            return None
        posts = db.execute(f"SELECT {_POST} FROM posts WHERE prompt = ? ORDER BY received_ns, key", (identity,))
        decisions = db.execute(f"SELECT {_DECISION} FROM decisions WHERE prompt = ? ORDER BY row", (identity,))
        sentences = db.execute(f"SELECT {_ASRUN} FROM asrun WHERE prompt = ? ORDER BY row", (identity,))
        return {
            **found[0],
            "posts": _named(_POST, posts),
            "decisions": _named(_DECISION, decisions),
            "sentences": _named(_ASRUN, sentences),
        }


def decision_rows(place: JournalPlace, limit: int, since_ns: int = 0) -> list[dict[str, Any]]:
    """What those who run the room did, newest first. Keys: row, at_ns, action, by_whom, prompt, viewer, detail."""
    sql = f"SELECT {_DECISION} FROM decisions WHERE at_ns >= ? ORDER BY row DESC LIMIT ?"
    with closing(open_for_reading(place)) as db:
        return _named(_DECISION, db.execute(sql, (since_ns, limit)))


def _named(columns: str, rows: Any) -> list[dict[str, Any]]:
    names = columns.split(", ")
    return [dict(zip(names, row, strict=True)) for row in rows]
