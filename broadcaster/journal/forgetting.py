"""Deleting what is known of a viewer, or of all of them, wherever the journal has it. Jobs of the writer.

What a viewer paid for and has not got yet stays until it has been on air; the wish is kept in the table `state` and
fulfilled when that is over. The as-run log keeps what the host said, and a ban keeps the viewer's id.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from broadcaster.journal.database import Database
from broadcaster.journal.state import put_state

WISH: Final = "forget:"
"""Keys of wishes in the table `state`: with the viewer's id behind it, or alone for everybody."""

_OPEN_POST: Final = "state IN ('waiting', 'queued')"
_OPEN_PROMPT: Final = "state IN ('queued', 'started')"


def forget(db: Database, viewer: str | None) -> int:
    """How many entries are gone or have lost their text and name: one viewer's, or (None) everybody's.

    The summary goes in either case: it cannot be made to forget one of those it is about.
    """
    before_ns = time.time_ns()
    who = (viewer is None, viewer)
    gone = db.execute("DELETE FROM viewers WHERE ? OR id = ?", who).rowcount
    gone += db.execute("DELETE FROM exchanges WHERE ? OR viewer = ?", who).rowcount
    gone += _strike_off(db, who)
    db.execute("DELETE FROM state WHERE key = 'summary'")
    db.execute("UPDATE decisions SET viewer = '' WHERE ? OR viewer = ?", who)
    db.execute("UPDATE bans SET name = '' WHERE ? OR viewer = ?", who)
    gone += _blank(db, viewer, before_ns)
    if _owed(db, viewer, before_ns):
        put_state(db, WISH + (viewer or ""), str(before_ns))
    return gone


def settle(db: Database) -> None:
    """A prompt is over: what had to wait for that is forgotten now."""
    for key, value in db.execute(f"SELECT key, value FROM state WHERE key LIKE '{WISH}%'").fetchall():
        viewer, before_ns = str(key).removeprefix(WISH) or None, int(value)
        _blank(db, viewer, before_ns)
        if not _owed(db, viewer, before_ns):
            _strike_off(db, (viewer is None, viewer), before_ns)
            db.execute("DELETE FROM state WHERE key = ?", (key,))


def _strike_off(db: Database, who: tuple[bool, str | None], seen_before_ns: int = 2**62) -> int:
    """Out of the register, but for those whose name is still to be said."""
    return db.execute(
        "DELETE FROM audience WHERE (? OR id = ?) AND last_ns <= ? AND id NOT IN"
        f" (SELECT viewer FROM posts WHERE viewer IS NOT NULL AND {_OPEN_POST})",
        (*who, seen_before_ns),
    ).rowcount


def _blank(db: Database, viewer: str | None, before_ns: int) -> int:
    """What is over and came before that time loses who it was and what they wrote; how much that is."""
    where, values = _theirs(viewer, before_ns)
    over = f"{where} AND NOT {_OPEN_PROMPT}"
    db.execute(f"UPDATE asrun SET author = '' WHERE prompt IN (SELECT id FROM prompts WHERE {over})", values)
    prompts = db.execute(
        f"UPDATE prompts SET text = '', author = '', viewer_id = NULL, viewer_name = '', given = NULL WHERE {over}",
        values,
    ).rowcount
    where, values = _their_posts(viewer, before_ns)
    posts = db.execute(
        f"UPDATE posts SET text = '', viewer = NULL WHERE {where} AND NOT {_OPEN_POST}", values
    ).rowcount
    return prompts + posts


def _owed(db: Database, viewer: str | None, before_ns: int) -> bool:
    """Something of theirs is still to be on air."""
    where, values = _theirs(viewer, before_ns)
    if db.execute(f"SELECT 1 FROM prompts WHERE {where} AND {_OPEN_PROMPT} LIMIT 1", values).fetchone():
        return True
    where, values = _their_posts(viewer, before_ns)
    return db.execute(f"SELECT 1 FROM posts WHERE {where} AND {_OPEN_POST} LIMIT 1", values).fetchone() is not None


def _their_posts(viewer: str | None, before_ns: int) -> tuple[str, tuple[Any, ...]]:
    if viewer is None:
        return "viewer IS NOT NULL AND received_ns <= ?", (before_ns,)
    return "viewer = ? AND received_ns <= ?", (viewer, before_ns)


def _theirs(viewer: str | None, before_ns: int) -> tuple[str, tuple[Any, ...]]:
    """Prompts of a viewer, or of any: asked by them, or thanking them among others."""
    if viewer is None:
        return "(viewer_id IS NOT NULL OR given IS NOT NULL) AND received_ns <= ?", (before_ns,)
    quoted = json.dumps(viewer, ensure_ascii=False)
    for special in ("!", "%", "_"):
        quoted = quoted.replace(special, f"!{special}")
    where = "(viewer_id = ? OR (given IS NOT NULL AND given LIKE ? ESCAPE '!')) AND received_ns <= ?"
    return where, (viewer, f"%{quoted}%", before_ns)
