"""The journal's tables as numbered steps, in SQLite's words; `postgresql.translated` has the others. Pure."""

from __future__ import annotations

from typing import Final

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
    """
    CREATE INDEX prompts_finished ON prompts (finished_ns);
    CREATE INDEX prompts_of_viewers ON prompts (finished_ns) WHERE viewer_id IS NOT NULL OR given IS NOT NULL;
    CREATE INDEX prompts_viewer ON prompts (viewer_id) WHERE viewer_id IS NOT NULL;
    CREATE INDEX prompts_given ON prompts (received_ns) WHERE given IS NOT NULL;
    CREATE INDEX posts_finished ON posts (finished_ns);
    CREATE INDEX posts_of_viewers ON posts (finished_ns) WHERE viewer IS NOT NULL;
    CREATE INDEX posts_viewer ON posts (viewer) WHERE viewer IS NOT NULL;
    """,
)
"""Step n brings a journal from version n to n + 1. Steps are only ever appended."""
