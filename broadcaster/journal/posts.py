"""What was paid for, from the moment it is received: the table `posts`, one row a post, and its way to an end.

`bring` may be called from any thread, everything else from the director's event loop; `JournalWriter` does the work
in its thread. A post is *waiting* until a prompt is made of it, *queued* with its prompt, and then *done*, *cut*,
*skipped* or *revoked*. Every step is a condition on the row itself: whatever is asked twice happens once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.journal.database import Database
from broadcaster.journal.prompts import PROMPT_COLUMNS, prompt_row
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Inbound, Lane, Post, PostKind, Viewer

_COLUMNS: Final = "key, source, kind, viewer, text, item, count, price, combo, room, at_ns, received_ns"
_LANE: Final = {
    Lane.SUPER_CHAT: "kind = 'super_chat'",
    Lane.SUPPORT: "(kind = 'guard' OR (kind = 'gift' AND price >= ?))",
    Lane.THANKS: "NOT (kind = 'super_chat' OR kind = 'guard' OR (kind = 'gift' AND price >= ?))",
}
PAID_LANES: Final = tuple(_LANE)


@dataclass(frozen=True, slots=True)
class Stored:
    """`new`: they were not known before; `revoked`: key of each post that was taken back, and its prompt or None."""

    new: tuple[Post, ...]
    revoked: tuple[tuple[str, str | None], ...]


class JournalPosts:
    """`support_price`: from this price on (thousandths of a yuan) a gift is of the lane SUPPORT."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer
        self.support_price = 50_000

    @property
    def error(self) -> str:
        """Why nothing can be stored at the moment; "" when only what was given can be at fault."""
        return self._writer.error

    def bring(self, posts: Sequence[Post], session_ns: int) -> Future[Stored]:
        """Stores paid posts and takes revoked ones back, in order; done when it is synced to disk.

        The viewers' totals since `session_ns` grow in the same transaction. Raises JournalError.
        """
        given = tuple(posts)

        def job(db: Database) -> Stored:
            new: list[Post] = []
            revoked: list[tuple[str, str | None]] = []
            for post in given:
                if post.kind is PostKind.REVOKE:
                    revoked += [found for each in post.revokes if (found := _revoke(db, post, each)) is not None]
                elif _insert(db, post, "waiting"):
                    new.append(post)
                    _credit(db, post, session_ns)
            return Stored(tuple(new), tuple(revoked))

        return self._writer.submit(job)

    async def queue(self, prompts: Mapping[str, tuple[Inbound, Sequence[str]]]) -> set[str]:
        """Stores prompts with the keys of the posts they are made of; ids of those that were stored.

        A prompt is not, when one of its posts has meanwhile been revoked or has a prompt. Raises JournalError.
        """
        asked = list(prompts.values())

        def job(db: Database) -> set[str]:
            return {prompt.id for prompt, keys in asked if _queue(db, prompt, keys)}

        stored: set[str] = await self._writer.durable(job)
        return stored

    async def waiting(self, lane: Lane, limit: int) -> tuple[list[Post], int]:
        """The oldest that wait for a prompt of that lane, and how many there are. Raises JournalError."""
        price = () if lane is Lane.SUPER_CHAT else (self.support_price,)
        where = f"state = 'waiting' AND {_LANE[lane]}"

        def job(db: Database) -> tuple[list[Post], int]:
            columns = ", ".join(f"posts.{name}" for name in _COLUMNS.split(", "))
            rows = db.execute(
                f"SELECT {columns}, audience.name, level, medal, medal_level, guard FROM posts"
                f" LEFT JOIN audience ON audience.id = posts.viewer WHERE {where}"
                " ORDER BY received_ns, key LIMIT ?",
                (*price, limit),
            ).fetchall()
            count = db.execute(f"SELECT count(*) FROM posts WHERE {where}", price).fetchone()
            return [_post(row) for row in rows], int(count[0])

        found: tuple[list[Post], int] = await self._writer.durable(job)
        return found

    def skip(self, key: str, reason: str) -> None:
        """Nothing will be made of a post that waits; `reason` says why."""
        row = (reason, time.time_ns(), key)
        sql = "UPDATE posts SET state = 'skipped', reason = ?, finished_ns = ? WHERE key = ? AND state = 'waiting'"
        self._writer.deferred(lambda db: db.execute(sql, row) and None)


def finish_posts(db: Database, prompt: str, state: str, reason: str, at_ns: int) -> None:
    """A prompt has ended, and with it the posts it was made of."""
    ended = "revoked" if reason == "revoked" else state
    db.execute(
        "UPDATE posts SET state = ?, reason = ?, finished_ns = ? WHERE prompt = ? AND state = 'queued'",
        (ended, reason, at_ns, prompt),
    )


def viewer_id(source: str, viewer: Viewer | None) -> str | None:
    """A viewer's id in the channel; where the platform gives none the name has to do. None for nobody."""
    if viewer is None or not (viewer.id or viewer.name):
        return None
    return f"{source}:{viewer.id}" if viewer.id else f"{source}:name:{viewer.name}"


def _insert(db: Database, post: Post, state: str) -> bool:
    row = (
        post.key, post.source, post.kind.value, viewer_id(post.source, post.viewer), post.text, post.item,
        post.count, post.price, post.combo, post.room, post.at_ns, post.received_ns, state,
    )  # fmt: skip
    sql = f"INSERT INTO posts ({_COLUMNS}, state) VALUES ({', '.join('?' * len(row))}) ON CONFLICT (key) DO NOTHING"
    return db.execute(sql, row).rowcount > 0


def _credit(db: Database, post: Post, session_ns: int) -> None:
    identity, viewer = viewer_id(post.source, post.viewer), post.viewer
    if identity is None or viewer is None:
        return
    db.execute(
        "INSERT INTO audience (id, name, level, medal, medal_level, guard, paid, paid_since_ns, posts, first_ns,"
        " last_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " paid = CASE WHEN audience.paid_since_ns = excluded.paid_since_ns THEN audience.paid ELSE 0 END"
        " + excluded.paid, paid_since_ns = excluded.paid_since_ns, last_ns = excluded.last_ns",
        (
            identity, viewer.name, viewer.level, viewer.medal, viewer.medal_level, viewer.guard, post.price,
            session_ns, post.received_ns, post.received_ns,
        ),
    )  # fmt: skip


def _revoke(db: Database, post: Post, identity: str) -> tuple[str, str | None] | None:
    """A super chat that has not come yet leaves a mark, so that it counts as known when it does."""
    key = f"{post.source}:{identity}"
    row = db.execute("SELECT state, prompt, kind FROM posts WHERE key = ?", (key,)).fetchone()
    if row is None:
        _insert(db, Post(post.source, PostKind.SUPER_CHAT, identity, received_ns=post.received_ns), "revoked")
        return None
    if row[0] not in ("waiting", "queued") or row[2] != PostKind.SUPER_CHAT.value:
        return None
    db.execute(
        "UPDATE posts SET state = 'revoked', reason = 'revoked', finished_ns = ? WHERE key = ?",
        (time.time_ns(), key),
    )
    return key, row[1]


def _queue(db: Database, prompt: Inbound, keys: Sequence[str]) -> bool:
    marks = ", ".join("?" * len(keys))
    sql = f"SELECT count(*) FROM posts WHERE state = 'waiting' AND key IN ({marks})"
    if db.execute(sql, tuple(keys)).fetchone()[0] != len(keys):
        return False
    row = prompt_row(prompt)
    db.execute(f"INSERT INTO prompts ({PROMPT_COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)
    db.execute(f"UPDATE posts SET state = 'queued', prompt = ? WHERE key IN ({marks})", (prompt.id, *keys))
    return True


def _post(row: Sequence[Any]) -> Post:
    (
        key, source, kind, viewer, text, item, count, price, combo, room, at_ns, received_ns,
        name, level, medal, medal_level, guard,
    ) = row  # fmt: skip
    known = None
    if viewer is not None:
        identity = str(viewer).removeprefix(f"{source}:")
        if identity.startswith("name:"):
            known = Viewer("", identity.removeprefix("name:"))
        else:
            known = Viewer(identity, name or "", level or 0, medal or "", medal_level or 0, guard or 0)
    return Post(
        source, PostKind(kind), str(key).removeprefix(f"{source}:"), known, text, item, count, price, at_ns,
        received_ns, room, combo,
    )  # fmt: skip
