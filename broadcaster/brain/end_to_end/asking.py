"""A turn in the words of a realtime protocol: instructions, messages, the recording. Pure but for `recording_of`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any, Final

from broadcaster.errors import AssetError, BrainError
from broadcaster.soundfile import decoded
from broadcaster.types import Message, Turn

LONGEST_S: Final = 60.0
"""Of a recorded question; what is longer was refused when it was sent."""


def question_of(turn: Turn) -> str:
    """The last message, which is the question worded for a model."""
    return turn.messages[-1].text if turn.messages else turn.prompt.text


def history_of(turn: Turn) -> tuple[Message, ...]:
    return turn.messages[:-1]


def told(turn: Turn) -> str:
    """The system prompt with the conversation so far in it, for a protocol that takes no messages."""
    lines = [f"{'你' if message.role == 'assistant' else '观众'}：{message.text}" for message in history_of(turn)]
    return "\n\n".join(part for part in (turn.system, "\n".join(lines)) if part)


async def recording_of(turn: Turn, rate: int) -> bytes | None:
    """The recorded question as mono s16le at `rate`, None where there is none. Raises BrainError."""
    path = turn.prompt.recording
    if path is None:
        return None
    try:
        return await asyncio.to_thread(decoded, path, rate, LONGEST_S)
    except AssetError as err:
        raise BrainError(f"the recorded question: {err}", retryable=False) from err


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def number(value: Any) -> int:
    """A count of tokens as servers send it; 0 for anything else."""
    return value if isinstance(value, int) and value >= 0 else 0
