"""What becomes too old goes: of viewers first, of the broadcast itself later. Jobs of the journal's writer.

Everything is done in small bites, so that no prompt waits for a clean-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from broadcaster.journal.database import Database

BITE: Final = 1_000
"""Rows of one table in one transaction: some 10 ms on a slow disk."""

_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Keep:
    """`days`: of the as-run log, and of all that is over. `viewer_days`: of names and texts of viewers, from when
    each was seen last."""

    days: int = 400
    viewer_days: int = 90


def _gone(column: str) -> str:
    """Of a viewer whom the register does not know any more: they have stayed away for long enough."""
    return f"{column} NOT IN (SELECT id FROM audience) AND {column} NOT IN (SELECT id FROM viewers)"


Bite = tuple[str, str, str, str]
"""What is done, to which table, its key, and to which rows: `?` is the limit."""

_VIEWERS: Final[tuple[Bite, ...]] = (
    ("DELETE FROM audience", "audience", "id", "last_ns < ?"),
    ("DELETE FROM viewers", "viewers", "id", "last_ns < ?"),
    ("DELETE FROM exchanges", "exchanges", "row", f"at_ns < ? AND viewer <> '' AND {_gone('viewer')}"),
    (
        "UPDATE posts SET text = '', viewer = NULL",
        "posts",
        "key",
        f"finished_ns < ? AND viewer IS NOT NULL AND {_gone('viewer')}",
    ),
    ("UPDATE decisions SET viewer = ''", "decisions", "row", f"at_ns < ? AND viewer <> '' AND {_gone('viewer')}"),
    ("UPDATE bans SET name = ''", "bans", "viewer", f"at_ns < ? AND name <> '' AND {_gone('viewer')}"),
)
"""In this order: the register forgets those who stayed away, then what is over loses their names and texts."""

_PROMPTS: Final = (
    "SELECT id FROM prompts WHERE finished_ns < ? AND (viewer_id IS NOT NULL OR given IS NOT NULL)"
    f" AND (viewer_id IS NULL OR {_gone('viewer_id')}) ORDER BY finished_ns, id LIMIT {BITE}"
)
"""A bite of their prompts: always the same ones until these have lost their names."""

_PAST: Final[tuple[Bite, ...]] = (
    ("DELETE FROM asrun", "asrun", "row", "start_ns < ?"),
    ("DELETE FROM prompts", "prompts", "id", "finished_ns < ?"),
    ("DELETE FROM posts", "posts", "key", "finished_ns < ?"),
    ("DELETE FROM posts", "posts", "key", "finished_ns IS NULL AND state = 'revoked' AND received_ns < ?"),
    ("DELETE FROM decisions", "decisions", "row", "at_ns < ?"),
    ("DELETE FROM bans", "bans", "viewer", "until_ns < ?"),
)


def bites(keep: Keep, now_ns: int) -> list[Callable[[Database], bool]]:
    """What there is to do, each for a transaction of its own, to be done until it returns False: there is no more."""
    seen_ns, oldest_ns = now_ns - keep.viewer_days * _DAY_NS, now_ns - keep.days * _DAY_NS
    oldest_day = datetime.fromtimestamp(oldest_ns / 1e9, UTC).date().isoformat()
    return [
        *(partial(_bite, bite, seen_ns) for bite in _VIEWERS),
        partial(_blank_prompts, seen_ns),
        *(partial(_bite, bite, oldest_ns) for bite in _PAST),
        partial(_forget_spending, oldest_day),
    ]


def _forget_spending(oldest_day: str, db: Database) -> bool:
    db.execute("DELETE FROM spending WHERE day < ?", (oldest_day,))
    return False


def _blank_prompts(limit_ns: int, db: Database) -> bool:
    """The as-run log first: it knows whose sentence it was only through the prompt."""
    db.execute(f"UPDATE asrun SET author = '' WHERE author <> '' AND prompt IN ({_PROMPTS})", (limit_ns,))
    changed = db.execute(
        "UPDATE prompts SET text = '', author = '', viewer_id = NULL, viewer_name = '', given = NULL"
        f" WHERE id IN ({_PROMPTS})",
        (limit_ns,),
    ).rowcount
    return changed >= BITE


def _bite(bite: Bite, limit_ns: int, db: Database) -> bool:
    change, table, key, where = bite
    sql = f"{change} WHERE {key} IN (SELECT {key} FROM {table} WHERE {where} LIMIT {BITE})"
    return db.execute(sql, (limit_ns,)).rowcount >= BITE
