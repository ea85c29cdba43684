"""A realtime model on loopback: the websocket wire of OpenAI's Realtime API and of Qwen-Omni, and its misbehaviour.

Written from the SDKs' sources and the public documentation of the events; no real service was ever asked.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

RATE = 24_000
LINES = ("大家好，", "欢迎来到直播间。", "今天我们聊聊天气。")


class Fault(Enum):
    SLOW = auto()
    STALL = auto()
    DROPPED = auto()
    ERROR = auto()
    FAILED = auto()
    UNAUTHORIZED = auto()
    TOO_MANY = auto()
    SERVER_ERROR = auto()
    GARBAGE = auto()
    LIST = auto()
    SILENT = auto()


HANDSHAKE = {
    Fault.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Fault.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Fault.SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def sound(seconds: float = 1.0) -> bytes:
    at = np.arange(int(seconds * RATE))
    return (6000 * np.sin(at * 0.06)).astype("<i2").tobytes()


@dataclass
class Asked:
    """One question: what the session was set to, the messages, the bytes of sound."""

    path: str
    key: str
    session: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    audio: bytes = b""
    committed: bool = False


@dataclass
class RealtimeServer:
    """Set what it does before a question comes. `old`: the names of events before the API left its beta."""

    fault: Fault | None = None
    old: bool = False
    lines: tuple[str, ...] = LINES
    sound: bytes = field(default_factory=sound)
    code: str = "server_error"
    text_items: bool = True
    """False: a model that takes sound alone."""
    requests: list[Asked] = field(default_factory=list)
    cancels: int = 0
    open: int = 0
    port: int = 0
    _server: Server | None = None

    async def __aenter__(self) -> RealtimeServer:
        self._server = await serve(
            self._connection, "127.0.0.1", 0, process_request=self._handshake, ping_interval=None, close_timeout=0.2,
            compression=None, max_size=8 * 1024 * 1024,
        )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api-ws/v1/realtime"

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.fault not in HANDSHAKE:
            return None
        response = connection.respond(HANDSHAKE[self.fault], f"refused: {request.headers.get('Authorization')}")
        response.headers["Retry-After"] = "7"
        return response

    async def _connection(self, ws: ServerConnection) -> None:
        self.open += 1
        assert ws.request is not None
        asked = Asked(ws.request.path, ws.request.headers.get("Authorization", ""))
        answering: asyncio.Task[None] | None = None
        try:
            await _say(ws, {"type": "session.created", "session": {"id": "sess_1"}})
            async for raw in ws:
                message = json.loads(raw)
                match message["type"]:
                    case "session.update":
                        asked.session = message["session"]
                        await _say(ws, {"type": "session.updated", "session": {"id": "sess_1"}})
                    case "conversation.item.create" if self.text_items:
                        asked.items.append(message["item"])
                    case "conversation.item.create":
                        error = {"code": "unknown_event", "message": f"no text here: {message}"}
                        await _say(ws, {"type": "error", "error": error})
                    case "input_audio_buffer.append":
                        asked.audio += base64.b64decode(message["audio"])
                    case "input_audio_buffer.commit":
                        asked.committed = True
                    case "response.cancel":
                        self.cancels += 1
                    case "response.create":
                        self.requests.append(asked)
                        answering = asyncio.create_task(self._answer(ws, asked))
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            if answering is not None:
                answering.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await answering

    async def _answer(self, ws: ServerConnection, asked: Asked) -> None:
        match self.fault:
            case Fault.SLOW:
                await asyncio.Event().wait()
            case Fault.ERROR:
                error = {"type": "server_error", "code": self.code, "message": f"{asked.key} {asked.items}"}
                await _say(ws, {"type": "error", "error": error})
                return
            case Fault.GARBAGE:
                await ws.send("this is no JSON {")
                return
            case Fault.LIST:
                await ws.send("[1, 2]")
                return
        await _say(ws, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
        async for event in self._events():
            await _say(ws, event)
        match self.fault:
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.DROPPED:
                ws.transport.abort()
                return
        response: dict[str, Any] = {"id": "resp_1", "status": "completed"}
        if self.fault is Fault.FAILED:
            response |= {"status": "failed", "status_details": {"error": {"code": self.code, "message": asked.key}}}
        response["usage"] = {"input_tokens": 30, "output_tokens": 70, "input_token_details": {"cached_tokens": 10}}
        await _say(ws, {"type": "response.done", "response": response})

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        """Transcript and sound in turns; half of them where it breaks off."""
        audio, words = ("response.audio", "response.audio_transcript")
        if not self.old:
            audio, words = ("response.output_audio", "response.output_audio_transcript")
        count = len(self.lines)
        size = -(-len(self.sound) // count) + 1  # odd: a delta may end inside a sample
        half = self.fault in (Fault.STALL, Fault.DROPPED)
        yield {"type": "response.function_call_arguments.delta", "delta": '{"tool": 1}'}
        for number, line in enumerate(self.lines[: 1 if half else count]):
            yield {"type": f"{words}.delta", "delta": line}
            data = self.sound[number * size : (number + 1) * size]
            if self.fault is not Fault.SILENT and data:
                yield {"type": f"{audio}.delta", "delta": base64.b64encode(data).decode()}
        yield {"type": f"{words}.done", "transcript": "".join(self.lines)}


async def _say(ws: ServerConnection, message: dict[str, Any]) -> None:
    await ws.send(json.dumps(message, ensure_ascii=False))
