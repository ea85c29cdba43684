"""A line of published JSON to a post, and back. Pure; the structures of the lines are in `sources.lines`.

Errors name the field and what it may hold, never what it held: that is somebody's text.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from broadcaster.types import Post, PostKind, Viewer
from sources.lines import (
    COUNT_LIMIT,
    ID_LIMIT,
    KINDS,
    LEVEL_LIMIT,
    NAME_LIMIT,
    PRICE_LIMIT,
    REVOKES_LIMIT,
    TEXT_LIMIT,
    TIME_LIMIT_MS,
    AnyLine,
    Comment,
    ViewerLine,
)

_MS: Final = 1_000_000
_DECODER: Final[msgspec.json.Decoder[AnyLine]] = msgspec.json.Decoder(AnyLine)
_ENCODER: Final = msgspec.json.Encoder()
_UNWRITABLE: Final = dict.fromkeys((*range(32), 127, 8232, 8233), " ")
"""Control characters and line separators: nobody means them, and not every database stores them."""

_NOT_IN_IDS: Final = re.compile(r"[\x00-\x20\x7f]")
_PATH: Final = re.compile(r" - at `\$\.([a-z_.]{1,40})(?:\[(?:\d+|\.\.\.)\])?`$")
_FIELD: Final = re.compile(r"unknown field `([A-Za-z][A-Za-z0-9_]{0,31})`")
_BYTE: Final = re.compile(r"\(byte \d+\)")


class BadLine(ValueError):
    """A line that is no post; the text says which field is wrong and how, and quotes nothing."""


def read_post(line: bytes | str, source: str, received_ns: int) -> Post:
    """The post of one line, brought by `source`. Raises BadLine.

    `received_ns` is wall-clock time, now.
    """
    decoded = _decode(line)
    price: int = getattr(decoded, "price", 0)
    if price and not decoded.id:
        raise BadLine("id: what was paid for needs one, so that it counts once when it is sent twice")
    return _post(decoded, source, received_ns)


def read_recorded(line: bytes | str, source: str, received_ns: int) -> tuple[Post, int]:
    """The same of a recording, and when that line happened then (milliseconds, 0: it does not say).

    What was paid for may lack its id here: some platforms give none, and nobody sends a recording twice.
    """
    decoded = _decode(line)
    return _post(decoded, source, received_ns), decoded.received_ms or decoded.at_ms


def write_post(post: Post) -> bytes:
    """The line of a post, without its line break: always one that `read_recorded` takes.

    What is longer than a line may hold is shortened, what a kind has no field for is left out.
    """
    kind = KINDS[post.kind]
    paid_at_least = 1 if post.kind is PostKind.SUPER_CHAT else 0
    fields: dict[str, Any] = {
        "id": _id(post.id),
        "at_ms": _ms(post.at_ns),
        "received_ms": _ms(post.received_ns),
        "room": _plain(post.room[:NAME_LIMIT]),
        "viewer": _viewer_line(post.viewer),
        "text": _plain(post.text[:TEXT_LIMIT]) or (" " if kind is Comment else ""),
        "item": _plain(post.item[:NAME_LIMIT]),
        "count": min(max(post.count, 1), COUNT_LIMIT),
        "price": min(max(post.price, paid_at_least), PRICE_LIMIT),
        "combo": _id(post.combo),
        "revokes": [_id(each) or "-" for each in post.revokes[:REVOKES_LIMIT]] or ["-"],
    }
    return _ENCODER.encode(kind(**{name: fields[name] for name in kind.__struct_fields__}))


def _decode(line: bytes | str) -> AnyLine:
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError as err:
        raise BadLine(_explained(str(err))) from None
    except msgspec.DecodeError as err:
        place = _BYTE.search(str(err))
        raise BadLine(
            f"not JSON {place[0]}" if place else "not JSON: it ends too early, or has a broken escape"
        ) from None
    except UnicodeError:
        raise BadLine("not UTF-8") from None
    except RecursionError:
        raise BadLine("nested too deeply") from None


def _post(line: AnyLine, source: str, received_ns: int) -> Post:
    viewer = getattr(line, "viewer", None)
    return Post(
        source,
        PostKind(str(line.__struct_config__.tag)),
        line.id,
        None if viewer is None else _viewer(viewer),
        _plain(getattr(line, "text", "")),
        _plain(getattr(line, "item", "")),
        getattr(line, "count", 1),
        getattr(line, "price", 0),
        line.at_ms * _MS,
        received_ns,
        _plain(line.room),
        getattr(line, "combo", ""),
        tuple(getattr(line, "revokes", ())),
    )


def _viewer(line: ViewerLine) -> Viewer:
    """One whose platform gives no id is known by its name."""
    name = _plain(line.name)
    if not line.id and not name:
        raise BadLine("viewer: an id or a name is needed")
    return Viewer(line.id or f"name:{name}", name, line.level, _plain(line.medal), line.medal_level, line.guard)


def _viewer_line(viewer: Viewer | None) -> ViewerLine:
    if viewer is None:
        return ViewerLine(name="?")
    name = _plain(viewer.name[:NAME_LIMIT])
    known = "" if viewer.id.startswith("name:") else _id(viewer.id)
    return ViewerLine(
        known,
        name if known else name or "?",
        _level(viewer.level),
        _plain(viewer.medal[:NAME_LIMIT]),
        _level(viewer.medal_level),
        min(max(viewer.guard, 0), 3),
    )


def _plain(text: str) -> str:
    """Without what nobody can read, store or send on: control characters and half characters."""
    if text.isprintable():
        return text
    return text.translate(_UNWRITABLE).encode("utf-8", "replace").decode()


def _id(text: str) -> str:
    return _NOT_IN_IDS.sub("", _plain(text))[:ID_LIMIT]


def _ms(ns: int) -> int:
    return min(max(ns // _MS, 0), TIME_LIMIT_MS)


def _level(level: int) -> int:
    return min(max(level, 0), LEVEL_LIMIT)


def _explained(message: str) -> str:
    """msgspec's words, which are safe where they tell types and limits and are not where they quote a value."""
    place = _PATH.search(message)
    where = place[1] if place else ""
    if message.startswith("Invalid value") or (where == "kind" and message.startswith("Expected")):
        return f"kind: none that is known -> one of {', '.join(kind.value for kind in KINDS)}"
    if message.startswith("Object contains unknown field"):
        named = _FIELD.search(message)
        what = f"there is no field {named[1]}" if named else "a field that is not known"
        return f"{where}: {what}" if where else what
    if message.startswith("Object missing required field"):
        return _with_place(message.removesuffix(place[0]) if place else message, where)
    if message.startswith("Expected `str` matching regex"):
        return _with_place("blanks and control characters may not be in it", where)
    if message.startswith(("Expected", "Number out of range")):
        return _with_place(message.removesuffix(place[0]) if place else message, where)
    return _with_place("not a value that this field may have", where)


def _with_place(what: str, where: str) -> str:
    return f"{where}: {what}" if where else what
