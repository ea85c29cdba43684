"""The published JSON of a post: one structure for each kind of line. Pure.

What `ingest` takes and a recording holds. `sources.posts` reads and writes them; `docs/schema/ingest.json` is made
of them (`sources.lines_schema`).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from broadcaster.types import PostKind

NAME_LIMIT: Final = 64
"""Characters of a name, a medal, a gift and a room."""

ID_LIMIT: Final = 128
"""Characters of an id: those of the platforms have up to about 60."""

TEXT_LIMIT: Final = 1000
"""Characters of a comment or a super chat: platforms allow 20 to 200."""

COUNT_LIMIT: Final = 1_000_000
LEVEL_LIMIT: Final = 10_000

PRICE_LIMIT: Final = 1_000_000_000
"""A million yuan: more is a mistake about the unit."""

REVOKES_LIMIT: Final = 100

TIME_LIMIT_MS: Final = 4_102_444_800_000
"""The year 2100: more is a mistake about the unit."""

ID_PATTERN: Final = r"^[^\x00-\x20\x7f]*$(?!\n)"
"""No blanks and no control characters; Python alone lets `$` stand before a last line break."""

PostId = Annotated[
    str,
    Meta(
        max_length=ID_LIMIT,
        pattern=ID_PATTERN,
        description="The platform's own: what comes twice counts once. Needed where something was paid",
    ),
]
ViewerId = Annotated[
    str,
    Meta(
        max_length=ID_LIMIT, pattern=ID_PATTERN, description="Stable at its platform; without one the name is taken"
    ),
]
AtMs = Annotated[int, Meta(ge=0, le=TIME_LIMIT_MS, description="The platform's time, milliseconds since 1970")]
ReceivedMs = Annotated[
    int,
    Meta(ge=0, le=TIME_LIMIT_MS, description="In a recording: when it was received. Means nothing to `ingest`"),
]
Room = Annotated[str, Meta(max_length=NAME_LIMIT, description="The platform's number of the room")]
ViewerName = Annotated[str, Meta(max_length=NAME_LIMIT, description="As the platform shows it")]
Level = Annotated[int, Meta(ge=0, le=LEVEL_LIMIT)]
Medal = Annotated[str, Meta(max_length=NAME_LIMIT, description="Fan medal of this room")]
Guard = Annotated[int, Meta(ge=0, le=3, description="0 none, 1 governor, 2 admiral, 3 captain")]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT)]
TextOrNone = Annotated[str, Meta(max_length=TEXT_LIMIT)]
Item = Annotated[str, Meta(max_length=NAME_LIMIT, description="What it is, as the platform calls it")]
Count = Annotated[int, Meta(ge=1, le=COUNT_LIMIT, description="How many (of a guard: months)")]
Paid = Annotated[int, Meta(ge=1, le=PRICE_LIMIT, description="In thousandths of a yuan")]
Price = Annotated[
    int, Meta(ge=0, le=PRICE_LIMIT, description="Of all together, in thousandths of a yuan; 0: it was free")
]
Combo = Annotated[
    str, Meta(max_length=ID_LIMIT, pattern=ID_PATTERN, description="Gifts of one run share it, one line each")
]
Revokes = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=ID_LIMIT, pattern=ID_PATTERN)]],
    Meta(min_length=1, max_length=REVOKES_LIMIT, description="Ids of the super chats"),
]


class ViewerLine(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody in the room: an id or a name, or both."""

    id: ViewerId = ""
    name: ViewerName = ""
    level: Level = 0
    medal: Medal = ""
    medal_level: Level = 0
    guard: Guard = 0


class Line(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every kind has."""

    id: PostId = ""
    at_ms: AtMs = 0
    received_ms: ReceivedMs = 0
    room: Room = ""


class Comment(Line, tag=PostKind.COMMENT.value, kw_only=True):
    """Somebody wrote something."""

    viewer: ViewerLine
    text: Text


class Gift(Line, tag=PostKind.GIFT.value, kw_only=True):
    """Somebody gave something."""

    viewer: ViewerLine
    item: Item = ""
    count: Count = 1
    price: Price = 0
    combo: Combo = ""


class SuperChat(Line, tag=PostKind.SUPER_CHAT.value, kw_only=True):
    """Somebody paid for being answered."""

    viewer: ViewerLine
    text: TextOrNone = ""
    price: Paid


class GuardBought(Line, tag=PostKind.GUARD.value, kw_only=True):
    """Somebody became a paying member of the room, or stays one; `viewer.guard` says which."""

    viewer: ViewerLine
    item: Item = ""
    count: Count = 1
    price: Price = 0
    combo: Combo = ""


class FanClub(Line, tag=PostKind.FAN_CLUB.value, kw_only=True):
    """Somebody joined the fan club, or rose in it."""

    viewer: ViewerLine
    item: Item = ""
    count: Count = 1
    price: Price = 0
    combo: Combo = ""


class Follow(Line, tag=PostKind.FOLLOW.value, kw_only=True):
    """Somebody follows the room."""

    viewer: ViewerLine


class Like(Line, tag=PostKind.LIKE.value, kw_only=True):
    """Somebody liked the stream."""

    viewer: ViewerLine
    count: Count = 1


class Enter(Line, tag=PostKind.ENTER.value, kw_only=True):
    """Somebody came in."""

    viewer: ViewerLine


class Revoke(Line, tag=PostKind.REVOKE.value, kw_only=True):
    """Super chats were deleted at the platform: they leave the queue, or are cut."""

    revokes: Revokes


class LiveStart(Line, tag=PostKind.LIVE_START.value):
    """The stream began at its platform."""


class LiveEnd(Line, tag=PostKind.LIVE_END.value):
    """The stream ended at its platform."""


AnyLine = Comment | Gift | SuperChat | GuardBought | FanClub | Follow | Like | Enter | Revoke | LiveStart | LiveEnd

KINDS: Final[dict[PostKind, type[AnyLine]]] = {
    PostKind.COMMENT: Comment,
    PostKind.GIFT: Gift,
    PostKind.SUPER_CHAT: SuperChat,
    PostKind.GUARD: GuardBought,
    PostKind.FAN_CLUB: FanClub,
    PostKind.FOLLOW: Follow,
    PostKind.LIKE: Like,
    PostKind.ENTER: Enter,
    PostKind.REVOKE: Revoke,
    PostKind.LIVE_START: LiveStart,
    PostKind.LIVE_END: LiveEnd,
}
