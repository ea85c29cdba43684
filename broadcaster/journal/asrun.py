"""The as-run log: every sentence that was on air, and every time that nobody could speak. Jobs of the writer."""

from __future__ import annotations

from typing import Final

from broadcaster.journal.database import Database
from broadcaster.journal.state import put_state
from broadcaster.wire import Aired

ALIVE_SECONDS: Final = 2.0
"""Between two signs of life: a gap is known to that."""

GAP_SECONDS: Final = 5.0
"""A restart that was asked for and took no longer is none."""

_ADD: Final = (
    "INSERT INTO asrun (prompt, kind, source, author, role, lane, generation, sentence, text, engine, verdict,"
    " start_tick, end_tick, start_ns, end_ns, samples, outcome) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)


def begin(db: Database, event: Aired, verdict: str, outcome: str) -> None:
    """A sentence is on air, or was: once, however often it is told.

    One that was cut, or lost, with the daemon comes again under the same numbers: it is another one.
    """
    sql = (
        "SELECT 1 FROM asrun WHERE prompt = ? AND generation = ? AND sentence = ?"
        " AND (outcome NOT IN ('lost', 'cut') OR start_ns = ? OR end_ns = ?)"
    )
    key = (event.utterance, event.generation, event.sentence)
    if db.execute(sql, (*key, event.wall_ns, event.wall_ns)).fetchone():
        return
    sql = "SELECT kind, source, author, role, lane FROM prompts WHERE id = ?"
    who = db.execute(sql, (event.utterance,)).fetchone() or ("",) * 5
    ended = outcome != "on_air"
    db.execute(
        _ADD,
        (
            event.utterance, *who, event.generation, event.sentence, event.text, event.engine, verdict,
            None if ended else event.tick, event.tick if ended else None,
            event.wall_ns, event.wall_ns if ended else None, event.samples if ended else None, outcome,
        ),
    )  # fmt: skip


def end(db: Database, event: Aired, verdict: str) -> None:
    """A sentence was heard, or cut. One whose beginning nobody told is put down if anything of it was heard."""
    changed = db.execute(
        "UPDATE asrun SET end_tick = ?, end_ns = ?, samples = ?, outcome = ?"
        " WHERE row = (SELECT max(row) FROM asrun"
        " WHERE prompt = ? AND generation = ? AND sentence = ? AND outcome IN ('on_air', 'lost'))",
        (
            event.tick, event.wall_ns, event.samples, event.event,
            event.utterance, event.generation, event.sentence,
        ),
    ).rowcount  # fmt: skip
    if changed == 0 and event.samples > 0:
        begin(db, event, verdict, event.event)


def sign_of_life(db: Database, leaving: bool = False) -> None:
    """There is a director now; `leaving`: it ends because it was asked to."""
    put_state(db, "alive", "off" if leaving else "on")


def mind_the_gap(db: Database, now_ns: int) -> None:
    """A director begins. The time since the last one goes into the log, if it was long or that one was killed."""
    row = db.execute("SELECT value, changed_ns FROM state WHERE key = 'alive'").fetchone()
    sign_of_life(db)
    if row is None:
        return
    how, last_ns = ("stopped" if row[0] == "off" else "killed"), int(row[1])
    if now_ns <= last_ns or (how == "stopped" and now_ns - last_ns < GAP_SECONDS * 1e9):
        return
    who = ("", "gap", how, "", "", "", 0, 0, "", "", "")
    db.execute(_ADD, (*who, None, None, last_ns, now_ns, None, "gap"))
