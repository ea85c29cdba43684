"""From what a source received to a prompt: who says it, under what name, in which priority class. Event loop only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from broadcaster.director.admission import Admission, happening_text
from broadcaster.director.room.thanks import Part
from broadcaster.errors import Refused
from broadcaster.ports import Gate
from broadcaster.types import (
    Happening,
    Inbound,
    Lane,
    Origin,
    Post,
    PostKind,
    PromptKind,
    Role,
    RoomEvent,
    Viewer,
)

EVENTS: Final = {
    PostKind.GIFT: RoomEvent.GIFT,
    PostKind.SUPER_CHAT: RoomEvent.SUPER_CHAT,
    PostKind.GUARD: RoomEvent.GUARD,
    PostKind.FAN_CLUB: RoomEvent.FAN_CLUB,
    PostKind.FOLLOW: RoomEvent.FOLLOW,
    PostKind.LIKE: RoomEvent.LIKE,
    PostKind.ENTER: RoomEvent.ENTER,
}

TEXT_IN_LINE: Final = 400
"""Characters of the line that tells, in the queue and the log, what somebody (or several) are thanked for."""

SUPER_CHAT_TEXT: Final = 1000
"""Characters of a super chat that are taken (or `inbox.max_text`, if that is less), far more than any platform
allows: what was paid for is not refused for its length."""

_PICTURE: Final = re.compile(r"\[[^\[\]]{1,12}\]")
"""A picture of a platform, as it comes in a text: [dog]."""


class Prompts:
    """`nickname` stands for a name that may not be said."""

    def __init__(self, admission: Admission, gate: Gate, nickname: str, max_text: int = SUPER_CHAT_TEXT) -> None:
        self._admission = admission
        self._gate = gate
        self._nickname = nickname
        self._longest = min(SUPER_CHAT_TEXT, max_text)
        self._line_limit = min(TEXT_IN_LINE, max_text)

    def comment(self, post: Post, viewer: Viewer | None, text: str, lane: Lane) -> Inbound:
        """Raises Refused: "empty", "too_long"."""
        spoken = self.spoken(viewer)
        made = self._admission.inbound(PromptKind.ASK, text, self._origin(post, spoken))
        return replace(made, lane=lane, viewer=spoken, post=post.key)

    def super_chat(self, post: Post, viewer: Viewer | None, text: str) -> Inbound:
        """A question that was paid for; thanks only, when there is nothing to answer: no text, or only pictures."""
        spoken = self.spoken(viewer)
        text = text if any(map(str.isalnum, _PICTURE.sub("", text))) else ""
        happening = Happening(RoomEvent.SUPER_CHAT)
        origin = self._origin(post, spoken)
        try:
            made = self._admission.inbound(PromptKind.ASK, text[: self._longest], origin)
        except Refused:
            made = self._admission.inbound(PromptKind.EVENT, self._line(happening, spoken), origin)
        return replace(
            made, lane=Lane.SUPER_CHAT, viewer=spoken, happening=happening, paid=post.price, post=post.key
        )  # fmt: skip

    def support(self, post: Post, viewer: Viewer | None) -> Inbound:
        """Thanks for one great gift, or a guard."""
        spoken = self.spoken(viewer)
        happening = Happening(EVENTS[post.kind], self.item(post.item), max(1, post.count))
        made = self._admission.inbound(PromptKind.EVENT, self._line(happening, spoken), self._origin(post, spoken))
        return replace(
            made, lane=Lane.SUPPORT, viewer=spoken, happening=happening, paid=post.price, post=post.key
        )  # fmt: skip

    def together(self, parts: Sequence[Part], lane: Lane) -> Inbound:
        """One sentence for all of it, the first one first."""
        first = parts[0]
        text = ", ".join(happening_text(part.given.happening, part.viewer) for part in parts)[: self._line_limit]
        made = self._admission.inbound(PromptKind.EVENT, text, Origin(first.source, first.viewer.name, Role.VIEWER))
        return replace(
            made,
            lane=lane,
            viewer=first.viewer,
            happening=first.given.happening,
            given=tuple(part.given for part in parts) if len(parts) > 1 else (),
            paid=sum(part.paid for part in parts),
        )

    def spoken(self, viewer: Viewer | None) -> Viewer | None:
        """With a name as it may be said."""
        if viewer is None:
            return None
        return replace(viewer, name=self._gate.nickname(viewer.name) or self._nickname)

    def item(self, name: str) -> str:
        """A gift's name as it may be said; "" when it may not."""
        return self._gate.nickname(name) if name else ""

    def _line(self, happening: Happening, viewer: Viewer | None) -> str:
        return happening_text(happening, viewer)[: self._line_limit]

    @staticmethod
    def _origin(post: Post, viewer: Viewer | None) -> Origin:
        return Origin(post.source, viewer.name if viewer else "", Role.VIEWER)
