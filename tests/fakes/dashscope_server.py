"""DashScope on loopback: a websocket server that speaks the wire formats of `tts_v2` and of Qwen TTS realtime.

Real frames from a real server, misbehaving as told (`fault`), so that the official SDK can be driven against it.
Written from the SDK's source and the public documentation of the events; the service itself was never asked.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.contract.voice_cases.case import Fault, sound
from tests.fakes.dashscope_talk import RATE, Asked, Realtime, Task

TTS_PATH = "/api-ws/v1/inference"
QWEN_PATH = "/api-ws/v1/realtime"

HANDSHAKE = {
    Fault.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, "InvalidApiKey"),
    Fault.TOO_MANY: (HTTPStatus.TOO_MANY_REQUESTS, "Throttling.RateQuota"),
    Fault.SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError"),
}


@dataclass
class DashScopeServer:
    """Set what it does before a request comes. `requests`, `left`, `open`: see `VoiceServer` of the contract."""

    fault: Fault | None = None
    sound: bytes = field(default_factory=lambda: sound(RATE))
    code: str = "InternalError"
    """Of task-failed and of the error event of `Fault.ERROR`."""
    fails_at_start: bool = False
    """tts_v2: `Fault.ERROR` comes in place of task-started."""
    never_starts: bool = False
    """tts_v2: run-task is not answered."""
    drops_at: str = ""
    """Message after which the connection is cut: "run-task" (once it is answered), "session.finish" and so on."""
    pace_s: float = 0.0
    """Pause between two frames of sound: time to be cancelled in."""
    frame_bytes: int = 2400
    idle_limit_s: float | None = None
    """tts_v2: longest time without a text; the real one is 23 s."""
    relative_times: bool = False
    """Words of each sentence are timed from its own beginning."""
    broken_words: bool = False
    """Words without numbers."""
    audio_event: str = "response.audio.delta"
    requests: list[Asked] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    left: int = 0
    open: int = 0
    cancels: int = 0
    billed: int = 0
    """Characters of the sentences whose synthesis has begun; a Chinese one counts twice, as in the price list."""
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: Server | None = None

    async def __aenter__(self) -> DashScopeServer:
        self._server = await serve(
            self._connection,
            "127.0.0.1",
            self.port,
            process_request=self._handshake,
            ssl=self.tls,
            ping_interval=None,
            close_timeout=0.2,
            compression=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def tts_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{TTS_PATH}"

    @property
    def qwen_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{QWEN_PATH}"

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.fault not in HANDSHAKE:
            return None
        status, code = HANDSHAKE[self.fault]
        body = {"code": code, "message": f"refused: {request.headers.get('Authorization')}"}
        return connection.respond(status, json.dumps(body))

    async def _connection(self, ws: ServerConnection) -> None:
        self.open += 1
        request = ws.request
        assert request is not None
        talk = (Realtime if request.path.startswith(QWEN_PATH) else Task)(self, ws, request)
        try:
            await talk.run()
        except ConnectionClosed:
            pass
        finally:
            await talk.stop()
            self.left += talk.asked and not talk.answered
            self.open -= 1
