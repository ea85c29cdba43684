"""The audience: who is there, what happens, and the classes of what it sends. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody in the room. `id` is stable at its platform; `name` is what it shows. Data, never logged.

    `guard`: 0 none, 1 governor, 2 admiral, 3 captain (Bilibili's numbers). `medal` is a fan medal of this room.
    """

    id: str
    name: str
    level: int = 0
    medal: str = ""
    medal_level: int = 0
    guard: int = 0


class RoomEvent(StrEnum):
    """What can happen in a room besides talk."""

    GIFT = "gift"
    SUPER_CHAT = "super_chat"
    GUARD = "guard"
    FAN_CLUB = "fan_club"
    FOLLOW = "follow"
    LIKE = "like"
    ENTER = "enter"


class PostKind(StrEnum):
    """What a source can bring."""

    COMMENT = "comment"
    GIFT = "gift"
    SUPER_CHAT = "super_chat"
    GUARD = "guard"
    FAN_CLUB = "fan_club"
    FOLLOW = "follow"
    LIKE = "like"
    ENTER = "enter"
    REVOKE = "revoke"  # super chats were deleted: `revokes`
    LIVE_START = "live_start"
    LIVE_END = "live_end"


@dataclass(frozen=True, slots=True)
class Post:
    """One thing that a source has received, in every platform's words the same.

    `id` is the platform's own ("" where it gives none): what comes twice counts once. `price` is the whole of it in
    thousandths of a yuan, 0 for what was free; it is *paid* when that is positive. `text`: of a comment or a super
    chat; `item` and `count`: what was given. `at_ns`: the platform's time, `received_ns`: ours (both wall clock).
    `room` is the platform's number of the room. `combo`: gifts of one run, one post each, share it.
    """

    source: str
    kind: PostKind
    id: str = ""
    viewer: Viewer | None = None
    text: str = ""
    item: str = ""
    count: int = 1
    price: int = 0
    at_ns: int = 0
    received_ns: int = 0
    room: str = ""
    combo: str = ""
    revokes: tuple[str, ...] = ()

    @property
    def paid(self) -> bool:
        return self.price > 0

    @property
    def key(self) -> str:
        """Unique in the channel, "" for one without an id."""
        return f"{self.source}:{self.id}" if self.id else ""


class Lane(StrEnum):
    """Priority classes of the queue; `inbox.order` says which comes first."""

    MODERATOR = "moderator"  # said or asked by whoever runs the room
    SUPER_CHAT = "super_chat"
    SUPPORT = "support"  # guards, and gifts above `inbox.support_price`: each thanked on its own
    QUESTION = "question"
    THANKS = "thanks"  # smaller gifts, follows, likes: several in one sentence
    COMMENT = "comment"
    WELCOME = "welcome"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the room. `item` is what was given ("" where nothing is), `count` how many."""

    event: RoomEvent
    item: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """One viewer's part of what several are thanked (or welcomed) for in one sentence."""

    viewer: Viewer
    happening: Happening
