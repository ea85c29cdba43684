"""The journal in a file of its own: SQLite, write-ahead log, synced at every commit.

Called from the writer thread and, read only, from any process.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from broadcaster.errors import JournalError
from broadcaster.journal.database import Passing, Result, Unstorable, version_fault
from broadcaster.journal.migrations import MIGRATIONS

BUSY_SECONDS: Final = 2.0
"""How long a lock of another process is waited for before a prompt is refused."""

_WRONG_IN_ITSELF: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
)


class SqliteDatabase:
    """A `Database`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self._inode = _inode(path)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Result:
        try:
            cursor = self._db.execute(sql, values)
            rows = cursor.fetchall()
        except sqlite3.Error as err:
            raise explained(self.path, err) from err
        return Result(rows, cursor.rowcount)

    def script(self, sql: str) -> None:
        """Several statements, which also begin and end their transaction."""
        try:
            self._db.executescript(sql)
        except sqlite3.Error as err:
            raise explained(self.path, err) from err

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def stale(self) -> bool:
        """Somebody moved the file away: writing on would go to a file that nobody can find."""
        return self._inode != _inode(self.path)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def open_for_writing(path: Path) -> SqliteDatabase:
    """Opens (or makes) the file, checks it and brings it up to date. Raises JournalError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as err:
        raise explained(path, err) from err
    try:
        path.chmod(0o600)
        db = SqliteDatabase(path, connection)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")  # what a viewer had forgotten is not left lying in free pages
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(f"quick_check: {fault}")
        _migrate(db)
    except (OSError, sqlite3.Error) as err:
        connection.close()
        raise explained(path, err) from err
    except JournalError:
        connection.close()
        raise
    return db


def open_for_reading(path: Path) -> SqliteDatabase:
    """A read-only connection. Raises JournalError, also when there is no file yet."""
    if not path.exists():
        raise JournalError(f"{path}: no journal yet; this channel has never run")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    except sqlite3.Error as err:
        raise explained(path, err) from err
    db = SqliteDatabase(path, connection)
    try:
        version = _version(db)
        if version != len(MIGRATIONS):
            raise JournalError(f"{path}: {version_fault(version, len(MIGRATIONS))}")
    except JournalError:
        db.close()
        raise
    return db


def explained(path: Path, err: Exception) -> JournalError:
    """The error with what to do about it. `err` never holds text of a prompt: all values are bound, not spliced."""
    text = str(err)
    lower = text.lower()
    kind: type[JournalError] = JournalError
    if isinstance(err, _WRONG_IN_ITSELF) or "no such column" in lower or "syntax error" in lower:
        kind, remedy = Unstorable, "report this"
    elif isinstance(err, PermissionError) or "readonly" in lower or "unable to open" in lower:
        remedy = "make the folder writable for the user the daemon runs as"
    elif "locked" in lower:
        kind, remedy = Passing, "another program holds it; close that one"
    elif "full" in lower:
        kind, remedy = Passing, "check that its disk works and has free space"
    elif "disk i/o" in lower or isinstance(err, OSError):
        remedy = "check that its disk works and has free space"
    elif "malformed" in lower or "not a database" in lower or "quick_check" in lower:
        remedy = (
            "it is damaged: move it (with its -wal and -shm files) away to keep it for inspection; "
            "a new one is made within seconds, without what waited in the old one"
        )
    else:
        remedy = "report this"
    return kind(f"{path}: {text}; {remedy}")


def _version(db: SqliteDatabase) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone() or (0,)
    return int(version)


def _migrate(db: SqliteDatabase) -> None:
    version = _version(db)
    if version > len(MIGRATIONS):
        raise JournalError(f"{db.path}: {version_fault(version, len(MIGRATIONS))}")
    for number in range(version, len(MIGRATIONS)):
        db.script(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
