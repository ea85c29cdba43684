"""From one item of a push to a `Post`. Pure.

Fields by Douyin's documents on data push, as several public programs quote them. `gift_value` is the value of all
gifts of the item in fen (a hundredth of a yuan): a gift of 1 coin, a tenth of a yuan, comes as 10. Likes and equal
gifts of 2 s come as one item. Nothing that an item holds makes this fail: what cannot be read is counted as odd, and
the items beside it are taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broadcaster.types import Post, PostKind, Viewer
from sources.douyin.gifts import NAMES

COMMENT: Final = "live_comment"
GIFT: Final = "live_gift"
LIKE: Final = "live_like"
FANS: Final = "live_fansclub"
KINDS: Final = (COMMENT, GIFT, LIKE, FANS)

FAILED_KINDS: Final = (GIFT, FANS)
"""What can be asked for again when it could not be delivered."""

THOUSANDTHS_PER_FEN: Final = 10

JOINED: Final = 2
"""`fansclub_reason_type` of one who joins; 1 is a higher level, 16 one who left: nothing to thank for."""

ID_LIMIT: Final = 128
NAME_LIMIT: Final = 64
TEXT_LIMIT: Final = 2000
COUNT_LIMIT: Final = 1_000_000
VALUE_LIMIT: Final = 10**9
"""Fen: ten million yuan in one gift is a mistake."""

MS_LIMIT: Final = 10**13
"""Milliseconds up to the year 2286; what is later is no time."""

COUNTERS: Final = ("odd", "test", "quiet", "nameless")
"""Items that could not be read, gifts of a test, changes of a fan club that are no joining, gifts without a name."""


class Events:
    """Makes posts of one source, in one thread. `counts` may be read from any other."""

    def __init__(self, source: str) -> None:
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._source = source

    def posts(self, kind: str, items: list[Any], room: str, now_ns: int) -> Iterator[Post]:
        """What `items` of a push of `kind` are. `now_ns` is wall clock."""
        for item in items:
            try:
                post = self._post(kind, item, room, now_ns)
            except (ValueError, TypeError, RecursionError):
                self.counts["odd"] += 1
                continue
            if post is not None:
                yield post

    def _post(self, kind: str, item: Any, room: str, now_ns: int) -> Post | None:
        """None for what nobody is told of. Raises ValueError or TypeError for what cannot be read."""
        if not isinstance(item, dict):
            raise TypeError
        made, text, gift, count, price = PostKind.COMMENT, "", "", 1, 0
        match kind:
            case "live_comment":
                text = _text(item.get("content"), TEXT_LIMIT).strip()
                if not text:
                    raise ValueError
            case "live_gift":
                made, count = PostKind.GIFT, _number(item.get("gift_num", 1), 1, COUNT_LIMIT)
                price = _number(item.get("gift_value"), 0, VALUE_LIMIT) * THOUSANDTHS_PER_FEN
                gift = self._gift(item)
                if item.get("test") is True:
                    # Sent by the platform's test tool: thanked for, but nobody has paid for it.
                    price = 0
                    self.counts["test"] += 1
            case "live_like":
                made, count = PostKind.LIKE, _number(item.get("like_num", 1), 1, COUNT_LIMIT)
            case "live_fansclub":
                made = PostKind.FAN_CLUB
                if _number(item.get("fansclub_reason_type"), 0, 10_000) != JOINED:
                    self.counts["quiet"] += 1
                    return None
            case _:
                raise ValueError
        return Post(
            source=self._source,
            kind=made,
            id=_id(item),
            viewer=_viewer(item),
            text=text,
            item=gift,
            count=count,
            price=price,
            at_ns=_at_ns(item.get("timestamp")),
            received_ns=now_ns,
            room=room,
        )

    def _gift(self, item: dict[str, Any]) -> str:
        name = NAMES.get(_text(item.get("sec_gift_id", ""), ID_LIMIT), "")
        if not name and isinstance(item.get("gift_name"), str):
            name = _text(item["gift_name"], NAME_LIMIT).strip()
        if not name:
            self.counts["nameless"] += 1
        return name


def items_of(body: bytes | str) -> list[Any] | None:
    """The list in a body, or one item in a list of its own; None for what is neither."""
    try:
        read = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(read, dict):
        return [read]
    return read if isinstance(read, list) else None


def _id(item: dict[str, Any]) -> str:
    """The platform's number of the message; where it is missing, one that the same item gets again."""
    given = item.get("msg_id")
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if isinstance(given, str) and 0 < len(given) <= ID_LIMIT:
        return given
    return "made-" + hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:32]


def _viewer(item: dict[str, Any]) -> Viewer | None:
    """One identity across all events: `sec_openid`, which stays the same for one mini game."""
    open_id = item.get("sec_openid") or item.get("sec_open_id")
    if not isinstance(open_id, str) or not 0 < len(open_id) <= ID_LIMIT:
        return None
    name = item.get("nickname")
    level = item.get("fansclub_level")
    return Viewer(
        id=open_id,
        name=_text(name, NAME_LIMIT) if isinstance(name, str) else "",
        medal_level=level if type(level) is int and 0 <= level <= 1000 else 0,
    )


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:limit]


def _number(value: Any, least: int, most: int) -> int:
    """A whole number, also one in quotes, as some of the platform's languages send it."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise ValueError
    return value


def _at_ns(value: Any) -> int:
    try:
        return _number(value, 0, MS_LIMIT) * 1_000_000
    except ValueError:
        return 0
