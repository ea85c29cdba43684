"""What the engines share: a turn as they put it on their wires, and how long they listen. Director's event loop."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Final, TypeVar

from broadcaster.types import Image, Message, Turn

TAIL_S: Final = 1.0
"""The tokens come after the last word; a server that forgets to tell them, or to end, is not waited for longer."""

_Chunk = TypeVar("_Chunk")


def messages_of(turn: Turn) -> tuple[Message, ...]:
    """The conversation; the bare question where nobody worded one."""
    return turn.messages or (Message("user", turn.prompt.text),)


def data_uri(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"


async def following(chunks: AsyncIterator[_Chunk], complete: bool) -> _Chunk | None:
    """The next chunk of an answer, None at its end. `complete`: all of its text has come."""
    if not complete:
        return await anext(chunks, None)
    try:
        async with asyncio.timeout(TAIL_S):
            return await anext(chunks, None)
    except TimeoutError:
        return None
