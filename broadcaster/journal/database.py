"""One way to a journal, whichever database keeps it: the place, a connection, its answers and its errors.

Called from the writer thread and, read only, from any process that wants the log. A connection belongs to one
thread. Statements are written once, in what SQLite (3.35 and newer) and PostgreSQL (13 and newer) both take:

- `?` stands for a value, and nowhere else; values are bound, never spliced.
- INSERT ... ON CONFLICT (key) DO UPDATE SET column = excluded.column, or DO NOTHING; never INSERT OR ...
  There the old value is named with its table: SET count = spending.count + excluded.count.
- RETURNING row instead of the last row's id. LIMIT always has a number: `EVERYTHING` where there is no limit.
- No truth values in columns: whole numbers, compared as such. A `?` alone as a condition gets a bool.
- Whole numbers are 64 bits wide. count() is one, sum() only after CAST(... AS BIGINT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from broadcaster.config.address import Server, server_of
from broadcaster.errors import JournalError

EVERYTHING: Final = 2**62
"""A LIMIT that is none."""

Row = tuple[Any, ...]

JournalPlace = Path | Server
"""Where a channel keeps its journal: a file, or its schema on a server. As text it holds no password."""


def journal_place(url: str | None, channel: str, file: Path) -> JournalPlace:
    """`file`, unless `url` (journal.url of the configuration) names a server. Raises ValueError: it is no address."""
    return server_of(url, channel) if url else file


class Unstorable(JournalError):
    """This statement is wrong in itself (a key that is taken, a value of a wrong kind); others are not affected."""


class Passing(JournalError):
    """The connection is whole, only the moment is not: the disk is full, somebody holds a lock."""


class Result:
    """All rows of one statement, or how many rows it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Row], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def fetchone(self) -> Any:
        """The next row; None when there is none left."""
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        return list(self._rows)


class Database(Protocol):
    """A connection to a journal. Everything raises JournalError, or one of its kinds above."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Result:
        """One statement with its values."""

    def begin(self) -> None:
        """A transaction that may write."""

    def commit(self) -> None:
        """Returns when it is on the disk."""

    def rollback(self) -> None:
        """Of what was begun, if anything; never raises."""

    def stale(self) -> bool:
        """This connection leads to a file that is not there any more; open another one."""

    def close(self) -> None:
        """Never raises."""


def open_for_writing(place: JournalPlace) -> Database:
    """Opens (or makes) the journal, checks it and brings it up to date. Raises JournalError."""
    if isinstance(place, Path):
        from broadcaster.journal import sqlite

        return sqlite.open_for_writing(place)
    from broadcaster.journal import postgresql

    return postgresql.open_for_writing(place)


def open_for_reading(place: JournalPlace) -> Database:
    """A read-only connection beside a running daemon. Raises JournalError, also when there is no journal yet."""
    if isinstance(place, Path):
        from broadcaster.journal import sqlite

        return sqlite.open_for_reading(place)
    from broadcaster.journal import postgresql

    return postgresql.open_for_reading(place)


def version_fault(version: int, known: int) -> str:
    """What is wrong with a journal that is not of this program's version, and what to do."""
    if version > known:
        return (
            f"version {version}, made by a newer broadcaster (this one knows {known}); "
            "run that one, or move the journal away"
        )
    return f"version {version} is older than {known}; start the daemon once to bring it up to date"
