"""The desk of the paid: every post that was paid for becomes a prompt once, in order, or stays on disk until it can.

The journal knows all of them before anybody here does; a window of them is in memory. Director's event loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from broadcaster.config.room import Inbox as InboxConfig
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.desk import Rules
from broadcaster.director.room.prompts import EVENTS, Prompts
from broadcaster.director.room.thanks import Part, Window
from broadcaster.errors import JournalError
from broadcaster.journal.posts import PAID_LANES, JournalPosts
from broadcaster.redact import whereabouts
from broadcaster.types import Inbound, Lane, Post, PostKind

log = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Prompts stored in one transaction."""

LOOK_S: Final = 0.5
"""How often it is looked whether what is on disk has room now, when nobody says that it has."""

RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Ready:
    prompt: Inbound
    keys: tuple[str, ...]
    guest: Guest | None


class Till:
    """`room_for` tells how many more paid prompts of a lane the queue takes; `offer` gives it one, which it keeps.
    `recalled` is told of one that was taken back while it was being stored."""

    def __init__(
        self,
        settings: InboxConfig,
        journal: JournalPosts,
        audience: Audience,
        prompts: Prompts,
        rules: Rules,
        window: Window,
        *,
        room_for: Callable[[Lane], int],
        offer: Callable[[Inbound, Guest | None], None],
        recalled: Callable[[Inbound], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.received: Counter[str] = Counter()
        """By kind."""
        self.skipped: Counter[str] = Counter()
        """Posts that no prompt is made of, by reason; each is in the log and the journal."""
        self._journal = journal
        self._audience = audience
        self._prompts = prompts
        self._rules = rules
        self._window = window
        self._room_for = room_for
        self._offer = offer
        self._recalled = recalled
        self._recalls: set[str] = set()
        self._clock = clock
        self._support_price = int(settings.support_price * 1000)
        journal.support_price = self._support_price
        self._order = frozenset(Lane(name) for name in settings.order)
        self._ready: deque[_Ready] = deque()
        self._more = asyncio.Event()
        self._vacant = asyncio.Event()
        self._hand: dict[str, Lane] = {}
        self._disk: Counter[Lane] = Counter()
        self._overflows: Counter[Lane] = Counter()

    @property
    def on_disk(self) -> int:
        """Posts that wait there because the queue has no room for them."""
        return sum(self._disk.values())

    @property
    def disk_by_lane(self) -> dict[str, int]:
        return {lane.value: count for lane, count in self._disk.items() if count}

    def awaits(self) -> None:
        """There may be posts of an earlier run: they are looked for."""
        for lane in PAID_LANES:
            self._disk[lane] = max(1, self._disk[lane])

    def freed(self) -> None:
        """A place in the queue has become free."""
        self._vacant.set()

    def skip(self, key: str, reason: str) -> None:
        """One that waits on disk."""
        self.skipped[reason] += 1
        self._journal.skip(key, reason)
        log.warning("what was paid for is skipped", extra={"reason": reason})

    def recall(self, prompt: str) -> bool:
        """It was taken back; False when it is not here (any more)."""
        here = any(each.prompt.id == prompt for each in self._ready)
        if here:
            self._recalls.add(prompt)
        return here

    def take(self, posts: Sequence[Post]) -> None:
        """They are in the journal, and were not before."""
        for post in posts:
            self.received[post.kind.value] += 1
            guest = self._audience.meet(post)
            if guest is not None:
                self._audience.note(guest, post)
            lane = self.lane_of(post)
            if self._disk[lane] or not self._taken(post, lane, guest):
                self._disk[lane] += 1
                self._overflows[lane] += 1

    def lane_of(self, post: Post) -> Lane:
        """As `journal.posts` has it."""
        if post.kind is PostKind.SUPER_CHAT:
            return Lane.SUPER_CHAT
        great = post.kind is PostKind.GIFT and post.price >= self._support_price
        return Lane.SUPPORT if great or post.kind is PostKind.GUARD else Lane.THANKS

    def thank(self, parts: Sequence[Part], lane: Lane) -> Inbound | None:
        """What a window has gathered: its prompt when nothing of it was paid for, else it is stored first."""
        self._leave_out([key for part in parts if self._rules.banned(part.viewer.id) for key in part.keys], "banned")
        parts = [part for part in parts if not self._rules.banned(part.viewer.id)]
        if not parts:
            return None
        keys = tuple(key for part in parts for key in part.keys)
        try:
            prompt = self._prompts.together(parts, lane)
        except Exception as err:  # a fault of ours must not come again with every start
            log.error("no prompt could be made of what was gathered", extra=whereabouts(err))
            self._leave_out(keys, "fault")
            return None
        if not keys:
            return prompt
        self._ready.append(_Ready(prompt, keys, self._audience.get(parts[0].viewer.id)))
        self._more.set()
        return None

    async def run(self) -> None:
        """Stores prompts and fetches what is on disk. Ends only by cancel."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store_all())
            group.create_task(self._fetch_all())

    # -- one post ---------------------------------------------------------------------------------------------

    def _taken(self, post: Post, lane: Lane, guest: Guest | None) -> bool:
        """As `_promote`; a fault of ours in one post must not stop those behind it."""
        try:
            return self._promote(post, lane, guest)
        except Exception as err:
            log.error("no prompt could be made of a paid post", extra=whereabouts(err))
            self._hand.pop(post.key, None)
            self.skip(post.key, "fault")
            return True

    def _promote(self, post: Post, lane: Lane, guest: Guest | None) -> bool:
        """False when there is no room for it."""
        viewer = guest.viewer if guest is not None else None
        if lane not in self._order:
            self.skip(post.key, "lane")
        elif viewer is not None and self._rules.banned(viewer.id):
            self.skip(post.key, "banned")
        elif lane is Lane.THANKS:
            spoken = self._prompts.spoken(viewer)
            if spoken is None or post.kind not in EVENTS:
                self.skip(post.key, "nobody")
                return True
            item = self._prompts.item(post.item)
            if not self._window.add(post, EVENTS[post.kind], spoken, item, self._clock()):
                return False
            self._hand[post.key] = lane
        else:
            if self._room_for(lane) - self._waiting(lane) <= 0:
                return False
            make = self._prompts.super_chat(post, viewer, post.text) if lane is Lane.SUPER_CHAT else None
            prompt = make or self._prompts.support(post, viewer)
            self._hand[post.key] = lane
            self._ready.append(_Ready(prompt, (post.key,), guest))
            self._more.set()
        return True

    def _waiting(self, lane: Lane) -> int:
        return sum(each.prompt.lane is lane for each in self._ready)

    def _leave_out(self, keys: Sequence[str], reason: str) -> None:
        for key in keys:
            self._hand.pop(key, None)
            self.skip(key, reason)

    # -- storing ----------------------------------------------------------------------------------------------

    async def _store_all(self) -> None:
        while True:
            await self._more.wait()
            batch = list(self._ready)[:AT_ONCE]
            try:
                stored = await self._journal.queue({each.prompt.id: (each.prompt, each.keys) for each in batch})
            except JournalError:
                await asyncio.sleep(RETRY_S)  # told by the journal itself
                continue
            for each in batch:
                self._ready.popleft()
                for key in each.keys:
                    self._hand.pop(key, None)
                if each.prompt.id in self._recalls:
                    self._recalls.discard(each.prompt.id)
                    self._recalled(each.prompt)
                elif each.prompt.id in stored:
                    self._offer(each.prompt, each.guest)
                else:  # one of its posts was taken back meanwhile: the others are fetched anew
                    self._disk[each.prompt.lane] += len(each.keys) - 1
            if not self._ready:
                self._more.clear()

    # -- fetching ---------------------------------------------------------------------------------------------

    async def _fetch_all(self) -> None:
        while True:
            for lane in PAID_LANES:
                if self._disk[lane] > 0:
                    with contextlib.suppress(JournalError):  # told by the journal itself
                        await self._fetch(lane, self._space(lane))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._vacant.wait()
                    self._vacant.clear()

    def _space(self, lane: Lane) -> int:
        if lane is Lane.THANKS:
            return AT_ONCE
        return max(0, min(AT_ONCE, self._room_for(lane) - self._waiting(lane)))

    async def _fetch(self, lane: Lane, room: int) -> None:
        """`room` 0: they are only counted. What overflows meanwhile may be counted twice, until the next time."""
        before, held = self._overflows[lane], {key for key, each in self._hand.items() if each is lane}
        posts, count = await self._journal.waiting(lane, room + len(held))
        fresh = [post for post in posts if post.key not in held and post.key not in self._hand]
        new = fresh[:room]
        taken = 0
        while taken < len(new) and self._taken(new[taken], lane, self._audience.meet(new[taken])):
            taken += 1
        known = len(posts) - len(fresh)
        self._disk[lane] = count - known - taken + self._overflows[lane] - before
        if self._disk[lane] and taken == len(new) < room:
            self._vacant.set()  # what came meanwhile need not wait
