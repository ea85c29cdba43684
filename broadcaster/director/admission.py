"""From a text that asks for air time to a prompt with an id: what every text must be before it is queued. Pure."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from broadcaster.errors import Refused
from broadcaster.types import (
    PLAIN,
    Happening,
    Inbound,
    Manner,
    Origin,
    PromptKind,
    Role,
    RoomEvent,
    Viewer,
)

NAME_LIMIT: Final = 64
"""Characters of a viewer's name and of a gift's; longer ones are shortened."""

ID_LIMIT: Final = NAME_LIMIT + len("name:")

_HAPPENED: Final = {
    RoomEvent.GIFT: "gift",
    RoomEvent.SUPER_CHAT: "super chat",
    RoomEvent.GUARD: "guard",
    RoomEvent.FAN_CLUB: "fan club",
    RoomEvent.FOLLOW: "follow",
    RoomEvent.LIKE: "like",
    RoomEvent.ENTER: "enter",
}
_JOINER: Final = "\u200d"


class Admission:
    """Ids sort by time of arrival and `received_ns` never repeats or goes back within one run."""

    def __init__(self, max_text: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._max_text = max_text
        self._wall_ns = wall_ns
        self._last_ns = 0

    def inbound(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: Path | None = None,
    ) -> Inbound:
        """The text of an event is made of it. Raises Refused: "empty", "too_long"."""
        viewer = _viewer(viewer) if viewer is not None else None
        if happening is not None:
            happening = replace(happening, item=_name(happening.item))
            text = happening_text(happening, viewer)
        cleaned = self.text(text)
        self._last_ns = max(self._last_ns + 1, self._wall_ns())
        identity = f"{self._last_ns // 1_000_000:011x}{secrets.token_hex(3)}"
        return Inbound(
            identity, kind, cleaned, origin, self._last_ns, manner, viewer, resumable, happening, recording
        )

    def text(self, text: str) -> str:
        """As it may be queued. Raises Refused: "empty", "too_long"."""
        cleaned = _cleaned(text)
        if not cleaned:
            raise Refused("there is nothing to say in this text", "empty")
        if len(cleaned) > self._max_text:
            raise Refused(f"the text has {len(cleaned)} characters; at most {self._max_text} are taken", "too_long")
        return cleaned


def happening_text(happening: Happening, viewer: Viewer | None) -> str:
    """An event in a line, for the queue and the log: who, what, which, how many."""
    count = f"x{happening.count}" if happening.count != 1 else ""
    who = viewer.name if viewer else ""
    return " ".join(part for part in (who, _HAPPENED[happening.event], happening.item, count) if part)


def _viewer(viewer: Viewer) -> Viewer | None:
    """None for one of whom nothing can be seen."""
    name, identity = _name(viewer.name), _name(viewer.id, ID_LIMIT)
    return Viewer(identity, name) if identity.removeprefix("name:") else None


def _name(text: str, limit: int = NAME_LIMIT) -> str:
    """On one line, without what cannot be seen: a name must not turn round the text it stands in."""
    seen = (char for char in text if char == _JOINER or unicodedata.category(char) != "Cf")
    return " ".join(_cleaned("".join(seen)).split())[:limit].strip()


def _cleaned(text: str) -> str:
    """Without control characters and lone surrogates, which neither a database nor a voice can take."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cs") and char != "\n" else char for char in text)
    return "".join(kept).strip()


def need(by: Origin, role: Role, what: str) -> None:
    """Raises Refused, "forbidden", unless `by` may do `what`."""
    if not by.role.covers(role):
        raise Refused(f"{what} needs the role {role.value}", "forbidden")
