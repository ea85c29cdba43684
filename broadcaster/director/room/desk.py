"""The desk of the free: what comes in is counted, most of it put aside, the rest offered to the queue. In the loop.

Cheap checks first: a comment that is put aside costs a few microseconds. Nothing here waits for anybody. Every post
ends in `taken` or, with its reason, in `dropped`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from broadcaster.config.room import Inbox as InboxConfig
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.dedupe import Recent
from broadcaster.director.room.limits import Bucket
from broadcaster.director.room.prompts import EVENTS, Prompts
from broadcaster.director.room.thanks import Window
from broadcaster.errors import Refused
from broadcaster.ports import Gate
from broadcaster.types import Inbound, Lane, Post, PostKind, Verdict, VerdictKind

BURST_S: Final = 1.0
"""What may be considered at once, in seconds of the rate: comments come in batches."""


class Rules(Protocol):
    """What moderators have laid down."""

    @property
    def slow_s(self) -> float: ...

    def banned(self, viewer: str) -> bool: ...


class Desk:
    """`offer` takes a prompt with what is known of its viewer; what the queue makes of it, the queue counts.
    `hold` takes what a moderator must look at, with the reason."""

    def __init__(
        self,
        settings: InboxConfig,
        audience: Audience,
        prompts: Prompts,
        gate: Gate,
        rules: Rules,
        *,
        offer: Callable[[Inbound, Guest | None], object],
        hold: Callable[[Inbound, str], None],
        lane_of: Callable[[str], Lane],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.received: Counter[str] = Counter()
        """By kind."""
        self.taken = 0
        """Offered to the queue, or in a window of thanks or welcomes."""
        self.dropped: Counter[str] = Counter()
        """By reason."""
        self.thanks = Window(settings.thanks_window_s)
        self.welcomes = Window(settings.welcome_window_s)
        self._settings = settings
        self._audience = audience
        self._prompts = prompts
        self._gate = gate
        self._rules = rules
        self._offer = offer
        self._hold = hold
        self._lane_of = lane_of
        self._clock = clock
        self._recent = Recent()
        self._all = Bucket(settings.per_second * BURST_S, settings.per_second, clock())
        self._order = frozenset(Lane(name) for name in settings.order)

    def take(self, post: Post) -> None:
        """One post that nothing was paid for."""
        self.received[post.kind.value] += 1
        reason = self._take(post)
        if reason:
            self.dropped[reason] += 1
        else:
            self.taken += 1

    def _take(self, post: Post) -> str:
        """Why it is put aside, or ""."""
        if self._recent.seen(post.key):
            return "twice"
        guest = self._audience.meet(post)
        if guest is not None and self._rules.banned(guest.viewer.id):
            return "banned"
        if post.kind is PostKind.COMMENT:
            return self._comment(post, guest)
        return self._event(post, guest)

    # -- comments ---------------------------------------------------------------------------------------------

    def _comment(self, post: Post, guest: Guest | None) -> str:
        text = post.text.strip()
        if not text:
            return "empty"
        if len(text) > self._settings.max_text:
            return "too_long"
        reason = self._too_many(guest)
        if reason:
            return reason
        verdict = self._gate.glance(text)
        if verdict.kind is VerdictKind.DROP:
            return "moderation"
        lane = self._lane_of(verdict.text or text)
        if lane not in self._order:
            return "lane"
        return self._ask(post, guest, verdict, lane)

    def _too_many(self, guest: Guest | None) -> str:
        now = self._clock()
        if guest is not None:
            if now < guest.slow_until:
                return "slow"
            if guest.bucket is None:
                most = self._settings.per_viewer_per_minute
                guest.bucket = Bucket(most, most / 60.0, now)
            if not guest.bucket.take(now):
                return "viewer_rate"
        if not self._all.take(now):
            return "rate"
        if guest is not None and self._rules.slow_s > 0:
            guest.slow_until = now + self._rules.slow_s
        return ""

    def _ask(self, post: Post, guest: Guest | None, verdict: Verdict, lane: Lane) -> str:
        viewer = guest.viewer if guest is not None else None
        try:
            prompt = self._prompts.comment(post, viewer, verdict.text, lane)
        except Refused:
            return "empty"
        if guest is not None:
            self._audience.note(guest, post)
        if verdict.kind is VerdictKind.HOLD:
            self._hold(prompt, verdict.reason)
            return ""
        self._offer(prompt, guest)
        return ""

    # -- thanks and welcomes ----------------------------------------------------------------------------------

    def _event(self, post: Post, guest: Guest | None) -> str:
        if guest is None or post.kind not in EVENTS:
            return "nobody"
        enters = post.kind is PostKind.ENTER
        if (Lane.WELCOME if enters else Lane.THANKS) not in self._order:
            return "lane"
        viewer = self._prompts.spoken(guest.viewer)
        window = self.welcomes if enters else self.thanks
        item = self._prompts.item(post.item)
        if viewer is None or not window.add(post, EVENTS[post.kind], viewer, item, self._clock()):
            return "crowded"
        if not enters:
            self._audience.note(guest, post)
        return ""
