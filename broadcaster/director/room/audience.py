"""Who is in the room: one identity across events and restarts, bounded. Director's event loop only.

A viewer's id in the channel is "source:id". What they paid counts from the beginning of the broadcast.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from broadcaster.director.room.limits import Bucket
from broadcaster.journal.audience import JournalAudience, Seen
from broadcaster.journal.posts import viewer_id
from broadcaster.types import Post, Viewer

GUESTS: Final = 20_000
"""In memory; whoever was seen longest ago goes first, and those who paid after all others. Some 10 MB."""

KEPT_AT_ONCE: Final = 1_000
"""Viewers written in one go; the others follow."""


class Guest:
    """One viewer as the desk knows them. `viewer.name` is the platform's, not yet moderated."""

    __slots__ = ("answered_ns", "bucket", "first_ns", "last_ns", "paid", "posts", "raw", "slow_until", "viewer")

    def __init__(self, viewer: Viewer, raw: Viewer | None, now_ns: int) -> None:
        self.viewer = viewer
        self.raw = raw
        """As the source told it last: while that is the same there is nothing to learn."""
        self.paid = 0
        self.posts = 0
        self.first_ns = now_ns
        self.last_ns = now_ns
        self.bucket: Bucket | None = None
        self.slow_until = 0.0
        self.answered_ns = 0

    def learn(self, raw: Viewer) -> None:
        """What a source tells of somebody; what it leaves out of one event is known from others."""
        self.raw = raw
        known = self.viewer
        medal = raw if raw.medal else known
        self.viewer = Viewer(
            known.id, raw.name or known.name, raw.level or known.level, medal.medal, medal.medal_level,
            raw.guard or known.guard,
        )  # fmt: skip


class Audience:
    """`session_ns`: the beginning of this broadcast (wall clock)."""

    def __init__(
        self, journal: JournalAudience, wall_ns: Callable[[], int] = time.time_ns, most: int = GUESTS
    ) -> None:
        self.session_ns = 0
        self._journal = journal
        self._wall_ns = wall_ns
        self._most = most
        self._guests: OrderedDict[str, Guest] = OrderedDict()
        self._changed: dict[str, Guest] = {}

    def __len__(self) -> int:
        return len(self._guests)

    async def load(self) -> int:
        """Those of earlier runs; when the last of them was seen (0: nobody ever was). Raises JournalError."""
        found = await self._journal.recent(self._most // 2)
        for seen in reversed(found):
            guest = Guest(seen.viewer, None, seen.first_ns)
            guest.posts, guest.last_ns = seen.posts, seen.last_ns
            guest.paid = seen.paid if seen.paid_since_ns == self.session_ns else 0
            self._guests.setdefault(seen.viewer.id, guest)
        return found[0].last_ns if found else 0

    def begin_session(self, session_ns: int) -> None:
        """What was paid counts anew."""
        self.session_ns = session_ns
        for guest in self._guests.values():
            guest.paid = 0

    def meet(self, post: Post) -> Guest | None:
        """The viewer of a post, as far as known with it; None when it names nobody."""
        raw = post.viewer
        identity = viewer_id(post.source, raw)
        if identity is None or raw is None:
            return None
        guest = self._guests.get(identity)
        if guest is None:
            guest = Guest(replace(raw, id=identity), raw, post.received_ns or self._wall_ns())
            self._add(identity, guest)
        else:
            self._guests.move_to_end(identity)
            if guest.raw is not raw and guest.raw != raw:
                guest.learn(raw)
        return guest

    def get(self, identity: str) -> Guest | None:
        return self._guests.get(identity)

    def note(self, guest: Guest, post: Post) -> None:
        """What they sent is considered: they are kept beyond this run."""
        guest.posts += 1
        guest.paid += post.price
        guest.last_ns = max(guest.last_ns, post.received_ns)
        self._changed[guest.viewer.id] = guest

    def forget(self, identity: str | None) -> list[str]:
        """That viewer, or everybody: nothing at hand is stored again. Who it was."""
        gone = list(self._guests) if identity is None else [identity]
        for each in gone:
            self._guests.pop(each, None)
            self._changed.pop(each, None)
        return gone

    def save(self) -> None:
        """Hands what has changed to the journal, a part at a time."""
        names = list(self._changed)[:KEPT_AT_ONCE]
        if not names:
            return
        guests = [self._changed.pop(name) for name in names]
        since = self.session_ns
        self._journal.keep(
            [Seen(each.viewer, each.paid, since, each.posts, each.first_ns, each.last_ns) for each in guests]
        )

    def _add(self, identity: str, guest: Guest) -> None:
        self._guests[identity] = guest
        if len(self._guests) <= self._most:
            return
        for _ in range(8):  # those who paid get another round, but a room full of them is bounded as well
            oldest, found = next(iter(self._guests.items()))
            if not found.paid:
                break
            self._guests.move_to_end(oldest)
        self._guests.pop(next(iter(self._guests)))
