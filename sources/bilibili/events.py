"""What the room tells, command by command, as posts. Pure but for one line of log per unknown command.

Everything comes from outside: a field that is missing, of another kind or much too long never raises. Facts: the
platform's document "long connection", fields and meaning. What is paid is `r_price` times `gift_num`: `price` is the
gift's listed value and is not lower for one that was bought cheaper; both are set for gifts that cost nothing, so
neither counts unless `paid` is true. Of a blind box both tell the value of what came out of it, and nothing tells
what the box cost.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.types import Post, PostKind, Viewer

log = logging.getLogger(__name__)

PREFIX: Final = "LIVE_OPEN_PLATFORM_"

TEXT_LIMIT: Final = 1000
NAME_LIMIT: Final = 100
ID_LIMIT: Final = 128
"""Characters; real ones are well below."""

COUNT_LIMIT: Final = 1_000_000
PRICE_LIMIT: Final = 10**12
"""A thousand million yuan; more is taken as so much."""

REVOKES_LIMIT: Final = 100
"""Super chats that one message takes back."""

UNKNOWN_LIMIT: Final = 64
"""Names of unknown commands that are told in the log; after that they are only counted."""

GUARDS: Final = {1: "总督", 2: "提督", 3: "舰长"}

MONTH: Final = "月"
"""The unit of a guard for which `guard_num` counts; any other unit ("*3天") says all by itself."""

SUPER_CHAT_ID: Final = "sc-"
"""Super chats are known by the number under which they are deleted, not by the message's."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Ended:
    """The platform has ended session `game` ("": it does not say which)."""

    game: str


class Events:
    """Reads messages for one source. `wall_ns` is the wall clock; `counts` what was read, by reason."""

    def __init__(self, source: str, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self.counts: Counter[str] = Counter()
        """`unknown`: commands that nobody documents, `mirrored`: comments of another room, `garbage`: no command."""
        self._source = source
        self._wall_ns = wall_ns
        self._told: set[str] = set()
        self._kinds: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
            "DM": _comment,
            "SEND_GIFT": _gift,
            "GUARD": _guard,
            "SUPER_CHAT": _super_chat,
            "SUPER_CHAT_DEL": _revoke,
            "LIKE": _like,
            "LIVE_ROOM_ENTER": lambda data: {"kind": PostKind.ENTER},
            "LIVE_START": lambda data: {"kind": PostKind.LIVE_START, "viewer": None},
            "LIVE_END": lambda data: {"kind": PostKind.LIVE_END, "viewer": None},
        }

    def read(self, body: bytes, room: str = "") -> Post | Ended | None:
        """One message; None for what is nothing to us. `room` is the session's, for messages that name none."""
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        command = told.get("cmd") if isinstance(told, dict) else None
        data = told.get("data") if isinstance(told, dict) else None
        if not isinstance(command, str) or not isinstance(data, dict):
            self.counts["garbage"] += 1
            return None
        name = command.partition(":")[0].removeprefix(PREFIX)
        if name == "INTERACTION_END":
            return Ended(_text(data.get("game_id"), ID_LIMIT))
        if name == "DM_MIRROR":
            # Said in another room to another host, and often without an open_id.
            self.counts["mirrored"] += 1
            return None
        fields = self._kinds.get(name)
        if fields is None or not command.startswith(PREFIX):
            self._unknown(command)
            return None
        return self._post(data, room, fields(data))

    def _post(self, data: dict[str, Any], room: str, fields: dict[str, Any]) -> Post | None:
        if fields["kind"] is PostKind.REVOKE and not fields["revokes"]:
            self.counts["garbage"] += 1
            return None
        now = self._wall_ns()
        return Post(
            source=self._source,
            received_ns=now,
            at_ns=_number(data.get("timestamp"), 0, 1 << 33) * 1_000_000_000 or now,
            room=_text(data.get("room_id") or "", ID_LIMIT) or room,
            **{"id": _text(data.get("msg_id"), ID_LIMIT), "viewer": _viewer(data), **fields},
        )

    def _unknown(self, command: str) -> None:
        self.counts["unknown"] += 1
        name = re.sub(r"[^A-Za-z0-9_]", "?", command[:64])
        if name not in self._told and len(self._told) < UNKNOWN_LIMIT:
            self._told.add(name)
            log.info("a command that is not known is ignored", extra={"source": self._source, "command": name})


def _comment(data: dict[str, Any]) -> dict[str, Any]:
    return {"kind": PostKind.COMMENT, "text": _text(data.get("msg"), TEXT_LIMIT)}


def _gift(data: dict[str, Any]) -> dict[str, Any]:
    count = _number(data.get("gift_num"), 1, COUNT_LIMIT)
    each = _number(data.get("r_price"), 0, PRICE_LIMIT) or _number(data.get("price"), 0, PRICE_LIMIT)
    combo = data.get("combo_info")
    return {
        "kind": PostKind.GIFT,
        "item": _text(data.get("gift_name"), NAME_LIMIT),
        "count": count,
        "price": min(each * count, PRICE_LIMIT) if data.get("paid") == 1 else 0,
        "combo": _text(combo.get("combo_id"), ID_LIMIT) if isinstance(combo, dict) else "",
    }


def _guard(data: dict[str, Any]) -> dict[str, Any]:
    level = _number(data.get("guard_level"), 0, 3)
    name = GUARDS.get(level, "大航海")
    unit = _text(data.get("guard_unit"), 20)
    by_month = unit in ("", MONTH)
    viewer = _viewer({**data, **mapping(data.get("user_info"))})
    return {
        "kind": PostKind.GUARD,
        "viewer": viewer,
        "item": name if by_month else f"{unit.lstrip('*')}{name}",
        "count": _number(data.get("guard_num"), 1, COUNT_LIMIT) if by_month else 1,
        # The document does not say whether this is for one month or for all: nobody is credited with too much.
        "price": _number(data.get("price"), 0, PRICE_LIMIT),
    }


def _super_chat(data: dict[str, Any]) -> dict[str, Any]:
    number = _text(data.get("message_id"), ID_LIMIT)
    return {
        "kind": PostKind.SUPER_CHAT,
        "text": _text(data.get("message"), TEXT_LIMIT),
        "price": min(_yuan(data.get("rmb")), PRICE_LIMIT),
        **({"id": SUPER_CHAT_ID + number} if number else {}),
    }


def _revoke(data: dict[str, Any]) -> dict[str, Any]:
    numbers = data.get("message_ids")
    known = [_text(number, ID_LIMIT) for number in numbers[:REVOKES_LIMIT]] if isinstance(numbers, list) else []
    return {
        "kind": PostKind.REVOKE,
        "viewer": None,
        "revokes": tuple(SUPER_CHAT_ID + number for number in known if number),
    }


def _like(data: dict[str, Any]) -> dict[str, Any]:
    return {"kind": PostKind.LIKE, "count": _number(data.get("like_count"), 1, COUNT_LIMIT)}


def _viewer(data: dict[str, Any]) -> Viewer | None:
    """Somebody without an open_id is known by the old number, or else by the name alone."""
    name = _text(data.get("uname"), NAME_LIMIT)
    number = _text(data.get("uid"), ID_LIMIT)
    known = _text(data.get("open_id"), ID_LIMIT) or (f"uid:{number}" if number not in ("", "0") else "")
    if not known and not name:
        return None
    level = _number(data.get("fans_medal_level"), 0, 1000)
    return Viewer(
        id=known or f"name:{name}",
        name=name,
        level=_number(data.get("glory_level"), 0, 1000),
        medal=_text(data.get("fans_medal_name"), NAME_LIMIT) if level else "",
        medal_level=level,
        guard=_number(data.get("guard_level"), 0, 3),
    )


def _text(value: Any, limit: int) -> str:
    """Text (or a number written out), in one line, without what no text may hold."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 64 else ""
    return _CONTROL.sub(" ", value[: limit * 2]).strip()[:limit]


def _number(value: Any, least: int, most: int) -> int:
    """A whole number within its limits, also from a fraction or from digits; `least` for everything else."""
    if isinstance(value, bool):
        return least
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return min(max(value, least), most) if isinstance(value, int) else least


def _yuan(value: Any) -> int:
    """Thousandths of a yuan from yuan, which may come as a fraction or as digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value):
        value = float(value)
    if isinstance(value, float) and math.isfinite(value) and 0 <= value < PRICE_LIMIT:
        return round(value * 1000)
    return _number(value, 0, PRICE_LIMIT) * 1000


def mapping(value: Any) -> dict[str, Any]:
    """`value`, or nothing where it is something else."""
    return value if isinstance(value, dict) else {}
