"""The journal's tables as numbered steps, and how a database file is opened and brought up to date.

Called from the writer thread and, read only, from any process that wants the log.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from broadcaster.errors import JournalError

BUSY_SECONDS: Final = 2.0
"""How long a lock of another process is waited for before a prompt is refused."""

MIGRATIONS: Final = (
    """
    CREATE TABLE prompts (
        id          TEXT PRIMARY KEY,
        kind        TEXT NOT NULL,
        text        TEXT NOT NULL,
        source      TEXT NOT NULL,
        author      TEXT NOT NULL,
        role        TEXT NOT NULL,
        received_ns INTEGER NOT NULL,
        state       TEXT NOT NULL DEFAULT 'queued',
        reason      TEXT NOT NULL DEFAULT '',
        finished_ns INTEGER,
        scripted    INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX prompts_open ON prompts (received_ns) WHERE state IN ('queued', 'started');
    CREATE TABLE script (
        prompt  TEXT NOT NULL,
        number  INTEGER NOT NULL,
        text    TEXT NOT NULL,
        verdict TEXT NOT NULL,
        reason  TEXT NOT NULL,
        PRIMARY KEY (prompt, number)
    ) WITHOUT ROWID;
    CREATE TABLE asrun (
        row        INTEGER PRIMARY KEY AUTOINCREMENT,
        prompt     TEXT NOT NULL,
        kind       TEXT NOT NULL,
        source     TEXT NOT NULL,
        author     TEXT NOT NULL,
        role       TEXT NOT NULL,
        generation INTEGER NOT NULL,
        sentence   INTEGER NOT NULL,
        text       TEXT NOT NULL,
        engine     TEXT NOT NULL,
        verdict    TEXT NOT NULL,
        start_tick INTEGER,
        end_tick   INTEGER,
        start_ns   INTEGER NOT NULL,
        end_ns     INTEGER,
        samples    INTEGER,
        outcome    TEXT NOT NULL
    );
    CREATE INDEX asrun_prompt ON asrun (prompt, generation, sentence);
    CREATE INDEX asrun_time ON asrun (start_ns);
    CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL, changed_ns INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE prompts ADD COLUMN speed REAL NOT NULL DEFAULT 1.0;
    ALTER TABLE prompts ADD COLUMN pitch REAL NOT NULL DEFAULT 0.0;
    ALTER TABLE prompts ADD COLUMN voice TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE prompts ADD COLUMN viewer_id TEXT;
    ALTER TABLE prompts ADD COLUMN viewer_name TEXT NOT NULL DEFAULT '';
    ALTER TABLE prompts ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE prompts ADD COLUMN event TEXT;
    ALTER TABLE prompts ADD COLUMN item TEXT NOT NULL DEFAULT '';
    ALTER TABLE prompts ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE prompts ADD COLUMN recording TEXT;
    CREATE TABLE exchanges (
        row      INTEGER PRIMARY KEY AUTOINCREMENT,
        prompt   TEXT NOT NULL UNIQUE,
        viewer   TEXT NOT NULL,
        question TEXT NOT NULL,
        answer   TEXT NOT NULL,
        at_ns    INTEGER NOT NULL,
        cut      INTEGER NOT NULL
    );
    CREATE TABLE viewers (
        id        TEXT PRIMARY KEY,
        name      TEXT NOT NULL,
        first_ns  INTEGER NOT NULL,
        last_ns   INTEGER NOT NULL,
        visits    INTEGER NOT NULL,
        exchanges INTEGER NOT NULL,
        notes     TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX viewers_seen ON viewers (last_ns);
    CREATE TABLE spending (
        day               TEXT NOT NULL,
        link              TEXT NOT NULL,
        requests          INTEGER NOT NULL,
        prompt_tokens     INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cost              INTEGER NOT NULL,
        PRIMARY KEY (day, link)
    ) WITHOUT ROWID;
    CREATE TABLE traces (
        row      INTEGER PRIMARY KEY AUTOINCREMENT,
        prompt   TEXT NOT NULL,
        package  INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        brain    TEXT NOT NULL,
        voice    TEXT NOT NULL,
        at_ns    INTEGER NOT NULL,
        stages   TEXT NOT NULL
    );
    CREATE INDEX traces_time ON traces (at_ns);
    """,
    """
    ALTER TABLE prompts ADD COLUMN lane TEXT NOT NULL DEFAULT 'moderator';
    ALTER TABLE prompts ADD COLUMN paid INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE prompts ADD COLUMN alike INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE prompts ADD COLUMN given TEXT;
    ALTER TABLE prompts ADD COLUMN post TEXT NOT NULL DEFAULT '';
    ALTER TABLE prompts ADD COLUMN approved INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE prompts ADD COLUMN why TEXT NOT NULL DEFAULT '';
    ALTER TABLE asrun ADD COLUMN lane TEXT NOT NULL DEFAULT '';
    CREATE TABLE posts (
        key         TEXT PRIMARY KEY,
        source      TEXT NOT NULL,
        kind        TEXT NOT NULL,
        viewer      TEXT,
        text        TEXT NOT NULL,
        item        TEXT NOT NULL,
        count       INTEGER NOT NULL,
        price       INTEGER NOT NULL,
        combo       TEXT NOT NULL,
        room        TEXT NOT NULL,
        at_ns       INTEGER NOT NULL,
        received_ns INTEGER NOT NULL,
        state       TEXT NOT NULL DEFAULT 'waiting',
        reason      TEXT NOT NULL DEFAULT '',
        prompt      TEXT,
        finished_ns INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX posts_open ON posts (received_ns) WHERE state IN ('waiting', 'queued');
    CREATE INDEX posts_prompt ON posts (prompt);
    CREATE TABLE audience (
        id            TEXT PRIMARY KEY,
        name          TEXT NOT NULL,
        level         INTEGER NOT NULL,
        medal         TEXT NOT NULL,
        medal_level   INTEGER NOT NULL,
        guard         INTEGER NOT NULL,
        paid          INTEGER NOT NULL,
        paid_since_ns INTEGER NOT NULL,
        posts         INTEGER NOT NULL,
        first_ns      INTEGER NOT NULL,
        last_ns       INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX audience_seen ON audience (last_ns);
    CREATE TABLE bans (
        viewer   TEXT PRIMARY KEY,
        name     TEXT NOT NULL,
        until_ns INTEGER,
        by_whom  TEXT NOT NULL,
        at_ns    INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE decisions (
        row     INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ns   INTEGER NOT NULL,
        action  TEXT NOT NULL,
        by_whom TEXT NOT NULL,
        prompt  TEXT NOT NULL,
        viewer  TEXT NOT NULL,
        detail  TEXT NOT NULL
    );
    CREATE INDEX decisions_time ON decisions (at_ns);
    """,
)
"""Step n brings a file from version n to n + 1. Steps are only ever appended."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Opens (or makes) the journal, checks it and brings it up to date. Raises JournalError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as err:
        raise explained(path, err) from err
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(f"quick_check: {fault}")
        _migrate(db, path)
    except (OSError, sqlite3.Error) as err:
        db.close()
        raise explained(path, err) from err
    except JournalError:
        db.close()
        raise
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A read-only connection beside a running daemon. Raises JournalError, also when there is no journal yet."""
    if not path.exists():
        raise JournalError(f"{path}: no journal yet; this channel has never run")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as err:
        raise explained(path, err) from err
    if version != len(MIGRATIONS):
        db.close()
        raise JournalError(f"{path}: {_version_fault(version)}")
    return db


def explained(path: Path, err: Exception) -> JournalError:
    """The error with what to do about it. `err` never holds text of a prompt: all values are bound, not spliced."""
    text = str(err)
    lower = text.lower()
    if isinstance(err, PermissionError) or "readonly" in lower or "unable to open" in lower:
        remedy = "make the folder writable for the user the daemon runs as"
    elif "locked" in lower:
        remedy = "another program holds it; close that one"
    elif "full" in lower or "disk i/o" in lower or isinstance(err, OSError):
        remedy = "check that its disk works and has free space"
    elif "malformed" in lower or "not a database" in lower or "quick_check" in lower:
        remedy = (
            "it is damaged: move it (with its -wal and -shm files) away to keep it for inspection; "
            "a new one is made within seconds, without what waited in the old one"
        )
    else:
        remedy = "report this"
    return JournalError(f"{path}: {text}; {remedy}")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise JournalError(f"{path}: {_version_fault(version)}")
    for number in range(version, len(MIGRATIONS)):
        db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")


def _version_fault(version: int) -> str:
    if version > len(MIGRATIONS):
        return (
            f"version {version}, made by a newer broadcaster (this one knows {len(MIGRATIONS)}); "
            "run that one, or move the file away"
        )
    return f"version {version} is older than {len(MIGRATIONS)}; start the daemon once to bring it up to date"
