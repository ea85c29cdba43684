"""A queue in virtual time."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from broadcaster.config import Inbox as Settings
from broadcaster.inbox import Inbox, Offer, Standing
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role, Viewer

SECOND = 1_000_000_000

KINDS = {Lane.SUPER_CHAT: PromptKind.ASK, Lane.QUESTION: PromptKind.ASK, Lane.COMMENT: PromptKind.ASK}


class Room:
    """An inbox with a clock that stands still (`now`, ns) and everything it has told."""

    def __init__(self, settings: Settings | None = None, **more: Any) -> None:
        self.now = 1_000 * SECOND
        self.expired: list[str] = []
        self.dropped: list[tuple[str, str]] = []
        self.chosen: dict[str, dict[str, Any]] = {}
        self.inbox = Inbox(
            settings or Settings(),
            expired=lambda prompt: self.expired.append(prompt.id),
            dropped=lambda prompt, reason: self.dropped.append((prompt.id, reason)),
            chosen=lambda prompt, why: self.chosen.update({prompt.id: why}),
            wall_ns=lambda: self.now,
            **more,
        )
        self.received: dict[str, int] = {}
        self._serial = count()

    def prompt(self, lane: Lane, text: str = "", viewer: str = "", *, paid: int = 0, **more: Any) -> Inbound:
        """Arrives now; every prompt a nanosecond after the one before."""
        self.now += 1
        number = next(self._serial)
        who = Viewer(viewer, viewer) if viewer else None
        kind = KINDS.get(lane, PromptKind.EVENT)
        role = Role.MODERATOR if lane is Lane.MODERATOR else Role.VIEWER
        asked = Inbound(f"p{number}", kind, text or f"text number {number}", Origin("test", role=role), self.now)
        self.received[asked.id] = self.now
        return replace(asked, viewer=who, lane=lane, paid=paid, **more)

    def offer(
        self,
        lane: Lane,
        text: str = "",
        viewer: str = "",
        standing: Standing | None = None,
        *,
        paid: int = 0,
    ) -> tuple[Inbound, Offer]:
        prompt = self.prompt(lane, text, viewer, paid=paid)
        return prompt, self.inbox.offer(prompt, standing or Standing())

    def put(self, text: str = "", **more: Any) -> Inbound:
        """A moderator's."""
        prompt = self.prompt(Lane.MODERATOR, text, **more)
        self.inbox.reserve()
        self.inbox.put(prompt)
        return prompt

    def take(self) -> Inbound | None:
        return self.inbox.take_now()

    def order(self) -> list[str]:
        return [place.prompt.id for place in self.inbox.places()]

    def drain(self) -> list[Inbound]:
        found = []
        while (prompt := self.take()) is not None:
            found.append(prompt)
        return found
