"""The moderators' desk: what is held is let through, what waits is dropped, edited and moved, who disturbs is banned.

Every command is in the journal of decisions with who gave it. Director's event loop only.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from broadcaster.config import Config
from broadcaster.director.admission import Admission, need
from broadcaster.director.endings import Endings
from broadcaster.director.floor import Floor
from broadcaster.director.heldback import HeldBack
from broadcaster.director.lineup import Lineup
from broadcaster.director.pace import Pace
from broadcaster.director.recovery import Recovery
from broadcaster.director.room import Room
from broadcaster.director.rules import HouseRules
from broadcaster.director.rundown import Rundown
from broadcaster.errors import JournalError, Refused
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal
from broadcaster.journal.decisions import JournalDecisions
from broadcaster.ports import Gate
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role, VerdictKind

log = logging.getLogger(__name__)

DROPPED: Final = "dropped"
BANNED: Final = "banned"
HELD: Final = "held"
FORGOTTEN: Final = "forgotten"

Ended = Callable[[Inbound, str, str], None]
"""(prompt, "skipped", reason)"""


class Moderators:
    """`ended` is told of every prompt that ends here. `name_of` knows viewers by their id in the channel, `on_disk`
    how many paid posts wait there."""

    def __init__(
        self,
        inbox: Inbox,
        rundown: Rundown,
        floor: Floor,
        rules: HouseRules,
        held: HeldBack,
        lineup: Lineup,
        journal: JournalDecisions,
        gate: Gate,
        admission: Admission,
        *,
        ended: Ended,
        name_of: Callable[[str], str] = lambda viewer: "",
        on_disk: Callable[[], int] = lambda: 0,
        skip_post: Callable[[str, str], None] = lambda key, reason: None,
        recovery: Callable[[], Recovery | None] = lambda: None,
        forget_guest: Callable[[str | None], None] = lambda viewer: None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """Commands that were carried out."""
        self._inbox = inbox
        self._rundown = rundown
        self._floor = floor
        self._rules = rules
        self._held = held
        self._forget_guest = forget_guest
        self._lineup = lineup
        self._journal = journal
        self._gate = gate
        self._admission = admission
        self._ended = ended
        self._name_of = name_of
        self._on_disk = on_disk
        self._skip_post = skip_post
        self._recovery = recovery

    # -- asked ------------------------------------------------------------------------------------------------

    async def queue(self, limit: int = 50) -> dict[str, Any]:
        """See `station.Station.queue`."""
        return await self._lineup.queue(limit, self._on_disk())

    async def place(self, id: str) -> dict[str, Any]:
        """See `station.Station.place`."""
        found = await self._lineup.find(id, self._on_disk())
        if found is None:
            raise _unknown()
        return found

    def bans(self) -> list[dict[str, Any]]:
        """See `station.Station.bans`."""
        now = time.time_ns()
        return [
            {
                "viewer": ban.viewer,
                "name": ban.name,
                "by": ban.by,
                "at_ns": ban.at_ns,
                "left_s": None if ban.until_ns is None else round((ban.until_ns - now) / 1e9, 1),
            }
            for ban in self._rules.bans()
        ]

    def status(self) -> dict[str, Any]:
        """For the status of the channel."""
        return {
            "paused": self._rules.paused,
            "slow_s": self._rules.slow_s,
            "held": len(self._held),
            "bans": len(self._rules.bans()),
            "delay_s": self._lineup.delay_s,
            "commands": dict(self.counters),
        }

    # -- told by others ---------------------------------------------------------------------------------------

    def forget(self, viewer: str | None) -> None:
        """That viewer, or everybody, is not known any more. What waits or is held of them goes, unless it was paid
        for."""
        self._forget_guest(viewer)
        for held in self._held.items():
            prompt = held.prompt
            theirs = prompt.viewer is not None and viewer in (None, prompt.viewer.id)
            if theirs and not prompt.paid and prompt.origin.role is Role.VIEWER:
                self.withdraw(prompt.id, FORGOTTEN)

    def hold(self, prompt: Inbound, reason: str) -> None:
        """Moderation holds it for a person to decide."""
        self._held.hold(prompt, reason)

    def withdraw(self, id: str, reason: str, *, at_once: bool = True) -> bool:
        """Nobody wants it any more, wherever it is; on air it ends behind its sentence, or at once. False when it is
        nowhere."""
        waits = self._inbox.find(id) is not None
        prompt = self._held.take(id) or self._inbox.remove(id)
        if prompt is None:  # or it stood behind another one that asks the same, and counts no more
            return waits or self._rundown.take_off(id, reason, at_once=at_once) or self._left_over(id, reason)
        self._floor.forget(id)
        self._ended(prompt, "skipped", reason)
        return True

    def _left_over(self, id: str, reason: str) -> bool:
        """An earlier director gave it to playout: there it can only be cut at once."""
        recovery = self._recovery()
        return recovery is not None and recovery.drop(id, reason, self._rundown.interrupt)

    # -- commands ---------------------------------------------------------------------------------------------

    async def moderate(self, command: Mapping[str, Any], by: Origin) -> None:
        """See `station.Station.moderate`."""
        what = str(command["type"])
        need(by, Role.MODERATOR, what)
        try:
            prompt, viewer, detail = await self._carry_out(command, by)
        except JournalError as err:
            raise Refused(f"nothing was changed, because it could not be stored: {err}", "journal") from err
        self.counters[what] += 1
        log.info(
            "a moderator's command",
            extra={"command": what, "by": by.source, "role": by.role.value, **({"prompt": prompt} if prompt else {})},
        )
        try:
            await self._journal.decided(what, signature(by), prompt=prompt, viewer=viewer, detail=detail)
        except JournalError as err:
            raise Refused(f"it is done, but that could not be written down: {err}", "journal") from err

    async def _carry_out(self, command: Mapping[str, Any], by: Origin) -> tuple[str, str, str]:
        """What the decision is about: prompt, viewer, detail."""
        match command:
            case {"type": "approve", "id": str(id)}:
                self._approve(id)
                return id, "", ""
            case {"type": "drop", "id": str(id)}:
                at_once = bool(command.get("now"))
                await self._drop(id, at_once)
                return id, "", "at once" if at_once else ""
            case {"type": "edit", "id": str(id), "text": str(text)}:
                return id, "", await self._edit(id, text, by)
            case {"type": "move", "id": str(id), "place": int(place)}:
                self._move(id, place)
                return id, "", str(place)
            case {"type": "ban", "viewer": str(viewer)}:
                seconds = command.get("seconds")
                await self._ban(viewer, seconds, by)
                return "", viewer, "" if seconds is None else f"{seconds:g} s"
            case {"type": "unban", "viewer": str(viewer)}:
                if not await self._rules.unban(viewer):
                    raise Refused("no viewer of this id is banned", "unknown")
                return "", viewer, ""
            case {"type": "slow", "seconds": float(seconds) | int(seconds)}:
                await self._rules.slow(float(seconds))
                return "", "", f"{seconds:g} s"
            case {"type": "pause_auto", "on": bool(on)}:
                await self._rules.pause(on)
                return "", "", "on" if on else "off"
            case _:
                raise Refused("there is no such command")

    def _approve(self, id: str) -> None:
        held = self._held.take(id)
        if held is not None:
            self._back(replace(held, approved=True))
            return
        self._put(replace(self._waiting(id), approved=True))

    async def _drop(self, id: str, at_once: bool) -> None:
        if self.withdraw(id, DROPPED, at_once=at_once):
            return
        found = await self._lineup.find(id, self._on_disk())
        if found is None or found["state"] != "on_disk":
            raise _unknown()
        self._skip_post(id, DROPPED)

    async def _edit(self, id: str, text: str, by: Origin) -> str:
        """What moderation says of the new text."""
        found = self._changeable(id)
        if found.kind is PromptKind.EVENT:
            raise Refused("thanks and welcomes have no text of their own; drop it instead")
        cleaned = self._admission.text(text)
        if found.lane is Lane.MODERATOR:  # judged when it is its turn, like everything moderators send
            self._put(replace(found, text=cleaned))
            return ""
        (verdict,) = await self._gate.hear([cleaned], by)
        if verdict.kind is VerdictKind.DROP:
            raise Refused("moderation drops this text too; nothing was changed")
        found = self._changeable(id)  # it may have gone on air meanwhile
        if verdict.kind is VerdictKind.HOLD:
            self._inbox.remove(id)
            edited = replace(found, text=cleaned, approved=False)
            self._journal.changed(edited)
            self._held.hold(edited, verdict.reason)
        elif self._held.take(id) is not None:
            self._back(replace(found, text=verdict.text, approved=True))
        else:
            self._put(replace(found, text=verdict.text, approved=True))
        return verdict.kind.value

    def _move(self, id: str, place: int) -> None:
        if self._held.get(id) is not None:
            raise Refused("it is held -> approve it first")
        ahead = sum(utterance.on_air is None for utterance in self._rundown.active)
        if not self._inbox.move(id, max(0, place - 1 - ahead)):
            raise self._not_there(id)

    async def _ban(self, viewer: str, seconds: float | None, by: Origin) -> None:
        """What is on air of them ends by itself; what waits, or is about to be heard, does not come."""
        await self._rules.ban(viewer, self._name_of(viewer), seconds, signature(by))
        for prompt in self._inbox.remove_viewer(viewer):
            self._floor.forget(prompt.id)
            self._ended(prompt, "skipped", BANNED)
        held = [item.prompt for item in self._held.items()]
        given = [utterance.prompt for utterance in self._rundown.active if not utterance.sounding]
        for prompt in (*held, *given):
            if prompt.viewer is not None and prompt.viewer.id == viewer:
                self.withdraw(prompt.id, BANNED)

    # -- the prompts ------------------------------------------------------------------------------------------

    def _changeable(self, id: str) -> Inbound:
        held = self._held.get(id)
        return held.prompt if held is not None else self._waiting(id)

    def _waiting(self, id: str) -> Inbound:
        """Raises Refused when it is not in the queue."""
        found = self._inbox.find(id)
        if found is None:
            raise self._not_there(id)
        return found

    def _not_there(self, id: str) -> Refused:
        if any(utterance.id == id for utterance in self._rundown.active):
            return Refused("it is on its way to air already; it can only be dropped")
        return _unknown()

    def _put(self, prompt: Inbound) -> None:
        """It waits on, changed."""
        self._journal.changed(prompt)
        self._inbox.replace(prompt)

    def _back(self, prompt: Inbound) -> None:
        """What was held takes the place it had."""
        self._journal.changed(prompt)
        self._inbox.restore(prompt)


def moderators_of(
    config: Config,
    journal: Journal,
    inbox: Inbox,
    rundown: Rundown,
    floor: Floor,
    rules: HouseRules,
    pace: Pace,
    gate: Gate,
    admission: Admission,
    room: Room,
    endings: Endings,
    recovery: Callable[[], Recovery | None],
) -> Moderators:
    """The desk of one channel."""
    held = HeldBack(config.moderation.hold_s, lambda prompt: endings.let_go(prompt, HELD))
    lineup = Lineup(rundown, inbox, held, rules, journal.posts, pace, config.moderation.delay_s, endings.why)

    return Moderators(
        inbox, rundown, floor, rules, held, lineup, journal.decisions, gate, admission,
        ended=endings.end, name_of=room.name_of, on_disk=room.on_disk, skip_post=room.skip_post,
        recovery=recovery, forget_guest=room.forget,
    )  # fmt: skip


def signature(by: Origin) -> str:
    """Who gave a command, for the journal."""
    return " ".join(part for part in (by.source, by.role.value, by.author) if part)


def _unknown() -> Refused:
    return Refused("no prompt of this id waits, is held or is on air", "unknown")
