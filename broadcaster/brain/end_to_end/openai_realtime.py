"""A realtime model with OpenAI's API, through the openai SDK: one connection per question. Director's event loop.

The SDK's own extra asks for a websockets older than the one that the console needs; of what it uses nothing has
changed, and the contract suite drives it with the installed one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from broadcaster.brain.end_to_end import asking
from broadcaster.brain.end_to_end.events import RATE, Reader, is_end
from broadcaster.config.brains import OpenAIRealtime
from broadcaster.errors import BrainError
from broadcaster.types import Message, RawSound, Turn, Usage

CONNECT_S: Final = 5.0
CLOSE_S: Final = 0.5
"""How long the server may take to answer our goodbye; then the connection is cut."""

LARGEST_MESSAGE: Final = 4 * 1024 * 1024
"""Sound comes in messages of some 10 kB; a larger one than this is no answer."""

_DENIED: Final = frozenset({401, 402, 403, 404})


class OpenAIRealtimeVoice:
    """Port `EndToEnd`. The SDK is imported when this is made."""

    def __init__(self, link: OpenAIRealtime) -> None:
        import openai
        import openai.resources.realtime.realtime  # the SDK itself would, at the first question
        import websockets.exceptions

        self.name = link.engine
        self._link = link
        self._broken = (openai.OpenAIError, websockets.exceptions.WebSocketException, OSError, EOFError, ValueError)
        self._client = openai.AsyncOpenAI(
            base_url=link.base_url,
            api_key=link.api_key.get_secret_value() if link.api_key else "none",
            max_retries=0,
        )

    async def close(self) -> None:
        await self._client.close()

    async def converse(self, turn: Turn) -> AsyncIterator[RawSound | str | Usage]:
        """24 kHz mono and its transcript. Raises BrainError."""
        recording = await asking.recording_of(turn, RATE)
        connection = await self._connect()
        done = False
        try:
            try:
                await self._ask(connection, turn, recording)
                reader = Reader()
                while not done:
                    # Not through the SDK's types: they cost half a second of CPU at the first event.
                    event = json.loads(await connection.recv_bytes())
                    for item in reader.read(event):
                        yield item
                    done = is_end(event)
                reader.end()
            except self._broken as err:
                raise BrainError(f"the connection was lost ({type(err).__name__})") from err
        finally:
            await self._leave(connection, working=not done)

    async def _connect(self) -> Any:
        from websockets.exceptions import InvalidStatus

        options: Any = {"max_size": LARGEST_MESSAGE, "compression": None, "close_timeout": CLOSE_S}
        manager = self._client.realtime.connect(model=self._link.model, websocket_connection_options=options)
        try:
            async with asyncio.timeout(CONNECT_S):
                return await manager.enter()
        except TimeoutError as err:
            raise BrainError(f"no connection within {CONNECT_S:g} s") from err
        except InvalidStatus as err:
            status = err.response.status_code
            raise BrainError(
                f"the server refused the connection with {status}",
                retryable=status >= 500 or status == 429,
                denied=status in _DENIED,
                retry_after_s=_retry_after(err.response.headers.get("retry-after")),
            ) from err
        except self._broken as err:
            raise BrainError(f"no connection to the server ({type(err).__name__})") from err

    async def _ask(self, connection: Any, turn: Turn, recording: bytes | None) -> None:
        pcm = {"type": "audio/pcm", "rate": RATE}
        await connection.send(
            {
                "type": "session.update",
                "session": {
                    "type": "realtime",
                    "model": self._link.model,
                    "output_modalities": ["audio"],
                    "instructions": turn.system,
                    "audio": {
                        "input": {"format": pcm, "turn_detection": None},
                        "output": {"format": pcm, "voice": turn.prompt.manner.voice or self._link.voice},
                    },
                },
            }
        )
        for message in asking.history_of(turn):
            await connection.send(_item(message.role, [_text(message)]))
        content: list[dict[str, Any]] = [{"type": "input_text", "text": asking.question_of(turn)}]
        if recording is not None:
            content.append({"type": "input_audio", "audio": asking.base64_of(recording)})
        await connection.send(_item("user", content))
        await connection.send({"type": "response.create"})

    async def _leave(self, connection: Any, *, working: bool) -> None:
        """Tells the server to stop, if it is at work, and closes; cut off here, the connection closes by itself."""
        with contextlib.suppress(*self._broken, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                if working:
                    await connection.send({"type": "response.cancel"})
                await connection.close()


def _item(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": content}}


def _text(message: Message) -> dict[str, Any]:
    return {"type": "output_text" if message.role == "assistant" else "input_text", "text": message.text}


def _retry_after(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
