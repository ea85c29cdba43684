"""The audience's side of the channel: what sources bring goes through here into the queue. Director's event loop.

Sources -> `RoomIntake` (any thread) -> `Desk` (free) or `Till` (paid) -> inbox. `Vetting` has what may be chosen next
judged ahead of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from broadcaster.config import Config
from broadcaster.director.admission import Admission
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.desk import Desk
from broadcaster.director.room.intake import RoomIntake
from broadcaster.director.room.prompts import Prompts
from broadcaster.director.room.till import Till
from broadcaster.director.room.vetting import Vetting
from broadcaster.director.rules import HouseRules
from broadcaster.errors import JournalError
from broadcaster.inbox import QUESTION_FROM, Fate, Inbox, Standing
from broadcaster.inbox.questions import likeness
from broadcaster.journal import Journal
from broadcaster.journal.posts import Stored
from broadcaster.ports import Gate
from broadcaster.types import Inbound, Lane, Post, PostKind, Role

log = logging.getLogger(__name__)

WINDOWS_S: Final = 0.25
"""How often it is looked whether a window of thanks closes."""

SAVE_S: Final = 5.0
"""How often viewers are stored; what they paid is stored with the post."""

LATE_S: Final = 1.0
QUIET_NS: Final = 6 * 3600 * 1_000_000_000
"""After so long without anybody a new broadcast begins, where no platform says when it does."""

SESSION: Final = "session"


class Room:
    """`intake` is what sources get. `withdraw` takes a prompt from the queue or off the air: (id, reason); `let_go`
    ends one that has left the queue, `hold` puts one aside for a moderator, both with the reason; `arrived` is told
    of every paid prompt in the queue. `names` are the host's."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        inbox: Inbox,
        gate: Gate,
        admission: Admission,
        rules: HouseRules,
        *,
        let_go: Callable[[Inbound, str], None],
        hold: Callable[[Inbound, str], None],
        withdraw: Callable[[str, str], object],
        arrived: Callable[[Inbound], None],
        names: tuple[str, ...] = (),
    ) -> None:
        clock = asyncio.get_running_loop().time
        self._names = names
        prompts = Prompts(admission, gate, config.moderation.nickname, config.inbox.max_text)
        self.audience = Audience(journal.audience)
        self.desk = Desk(
            config.inbox, self.audience, prompts, gate, rules,
            offer=self._offer, hold=hold, lane_of=self._lane_of, clock=clock,
        )  # fmt: skip
        self.till = Till(
            config.inbox, journal.posts, self.audience, prompts, rules, self.desk.thanks,
            room_for=inbox.room_for, offer=self._offer_paid,
            recalled=lambda prompt: let_go(prompt, "revoked"), clock=clock,
        )  # fmt: skip
        self.intake = RoomIntake(
            journal.posts,
            free=self.desk.take,
            stored=self._stored,
            live=self._live,
            session_ns=lambda: self.audience.session_ns,
        )
        self._journal = journal
        self._inbox = inbox
        self._rules = rules
        self._vetting = Vetting(gate, inbox, drop=let_go, hold=hold)
        self._withdraw = withdraw
        self._let_go = let_go
        self._arrived = arrived
        self._clock = clock
        self._loaded = False

    async def open(self) -> None:
        """Reads what earlier runs know: the beginning of this broadcast, its viewers, the rules of the house, and
        what was paid for. When the journal cannot be read, `run` goes on trying."""
        with contextlib.suppress(JournalError):  # told by the journal itself
            session = await self._journal.decisions.setting(SESSION)
            if session is not None and not self.audience.session_ns:
                self.audience.session_ns = int(session)
            await self._rules.load()
            last_ns = await self.audience.load()
            if not self.audience.session_ns or time.time_ns() - last_ns > QUIET_NS:
                self._begin_session(time.time_ns())
            self.till.awaits()
            self._loaded = True

    async def run(self) -> None:
        """Ends only by cancel."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._open_late())
            group.create_task(self.till.run())
            group.create_task(self.intake.catch_up())
            group.create_task(self._close_windows())
            group.create_task(self._save())
            group.create_task(self._vetting.run())

    def chosen(self, prompt: Inbound) -> None:
        """It is answered next."""
        self.till.freed()
        for identity in {part.viewer.id for part in prompt.given} | ({prompt.viewer.id} if prompt.viewer else set()):
            if (guest := self.audience.get(identity)) is not None:
                guest.answered_ns = time.time_ns()

    def freed(self) -> None:
        """Something has left the queue."""
        self.till.freed()

    def name_of(self, viewer: str) -> str:
        """As the platform shows it; "" for one who is not known here (any more)."""
        guest = self.audience.get(viewer)
        return guest.viewer.name if guest is not None else ""

    def on_disk(self) -> int:
        """Paid posts that wait there for room in the queue."""
        return self.till.on_disk

    def skip_post(self, key: str, reason: str) -> None:
        """A paid post that waits on disk will not be said."""
        self.till.skip(key, reason)

    def save(self) -> None:
        """At the end: what is known of viewers goes to the journal."""
        self.audience.save()

    def forget(self, viewer: str | None) -> None:
        """That viewer, or everybody, is not known any more.

        What they asked for leaves the queue, "forgotten"; what was paid for, or asked by a moderator in their name,
        is still said.
        """
        for each in self.audience.forget(viewer):
            for window in (self.desk.thanks, self.desk.welcomes):
                window.remove(each)
            for prompt in self._inbox.remove_viewer(each):
                if prompt.paid or prompt.origin.role is not Role.VIEWER:
                    self._inbox.restore(prompt)
                else:
                    self._let_go(prompt, "forgotten")

    def status(self) -> dict[str, Any]:
        """For `station.Station.status`: `received` and `paid` by kind, `taken`, `dropped` by reason, `shed` by
        kind, `looking` (not looked at yet), `faults`, `on_disk` by class, `refused`, `lost`, `twice`, `owed`,
        `skipped`, `viewers`."""
        return {
            "received": dict(self.desk.received),
            "paid": dict(self.till.received),
            "taken": self.desk.taken,
            "dropped": dict(self.desk.dropped),
            "shed": dict(self.intake.shed),
            "looking": self.intake.waiting,
            "faults": self.intake.faults,
            "on_disk": self.till.disk_by_lane,
            "refused": self.intake.paid_refused,
            "lost": self.intake.paid_lost,
            "twice": self.intake.paid_twice,
            "owed": self.intake.owed,
            "skipped": dict(self.till.skipped),
            "viewers": len(self.audience),
        }

    # -- into the queue ---------------------------------------------------------------------------------------

    def _lane_of(self, text: str) -> Lane:
        return Lane.QUESTION if likeness(text, self._names) >= QUESTION_FROM else Lane.COMMENT

    def _offer(self, prompt: Inbound, guest: Guest | None) -> None:
        self._inbox.offer(prompt, _standing(guest))

    def _offer_paid(self, prompt: Inbound, guest: Guest | None) -> None:
        """It is promised: the queue takes it, whether or not there is room by now."""
        if self._inbox.offer(prompt, _standing(guest)).fate is Fate.REFUSED:
            self._inbox.restore(prompt)
        self._arrived(prompt)

    def _stored(self, stored: Stored) -> None:
        self.till.take(stored.new)
        for _, prompt in stored.revoked:
            log.info("a super chat was taken back", extra={"prompt": prompt or "none yet"})
            if prompt is not None and not self.till.recall(prompt):
                self._withdraw(prompt, "revoked")

    # -- the broadcast ----------------------------------------------------------------------------------------

    def _live(self, post: Post) -> None:
        began = post.kind is PostKind.LIVE_START
        log.info("the room is live" if began else "the room has ended", extra={"source": post.source})
        if began:
            self._begin_session(post.received_ns or time.time_ns())

    def _begin_session(self, session_ns: int) -> None:
        self.audience.begin_session(session_ns)
        self._journal.decisions.note(SESSION, str(session_ns))

    async def _open_late(self) -> None:
        while not self._loaded:
            await asyncio.sleep(LATE_S)
            await self.open()

    async def _close_windows(self) -> None:
        while True:
            await asyncio.sleep(WINDOWS_S)
            now = self._clock()
            for window, lane in ((self.desk.thanks, Lane.THANKS), (self.desk.welcomes, Lane.WELCOME)):
                parts = window.close(now, room=self._inbox.room_for(lane) > 0)
                if parts and (prompt := self.till.thank(parts, lane)) is not None:
                    self._offer(prompt, self.audience.get(parts[0].viewer.id))

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S)
            self.audience.save()


def _standing(guest: Guest | None) -> Standing:
    if guest is None:
        return Standing()
    viewer = guest.viewer
    return Standing(viewer.guard, viewer.medal_level, guest.paid, guest.answered_ns)
