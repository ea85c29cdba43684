"""What the console adds to the published message schema: logging in over the websocket. Pure."""

from __future__ import annotations

import copy
from typing import Any, Final

_AUTH: Final = {
    "type": "object",
    "title": "Auth",
    "description": "The first message of a client that sent no header, cookie or subprotocol.",
    "properties": {"type": {"const": "auth"}, "token": {"type": "string"}},
    "required": ["type", "token"],
}
_WELCOME: Final = {
    "type": "object",
    "title": "Welcome",
    "description": "The first message from the daemon: you are in, with this role.",
    "properties": {"type": {"const": "welcome"}, "role": {"enum": ["viewer", "moderator", "operator"]}},
    "required": ["type", "role"],
}


def with_transport(schema: dict[str, Any]) -> dict[str, Any]:
    """The prompt source's schema with `Auth` and `Welcome` among its messages."""
    whole = copy.deepcopy(schema)
    defs = whole.setdefault("$defs", {})
    for name, message, direction in (("Auth", _AUTH, "inbound"), ("Welcome", _WELCOME, "outbound")):
        defs[name] = message
        defs.setdefault(direction, {}).setdefault("oneOf", []).append({"$ref": f"#/$defs/{name}"})
    return whole
