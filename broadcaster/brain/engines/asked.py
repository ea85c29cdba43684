"""A turn as the engines put it on their wires. Pure."""

from __future__ import annotations

import base64

from broadcaster.types import Image, Message, Turn


def messages_of(turn: Turn) -> tuple[Message, ...]:
    """The conversation; the bare question where nobody worded one."""
    return turn.messages or (Message("user", turn.prompt.text),)


def data_uri(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"
