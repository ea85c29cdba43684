"""DashScope on loopback: a websocket server that speaks the wire formats of `tts_v2` and of Qwen TTS realtime.

Real frames from a real server, misbehaving as told (`fault`), so that the official SDK can be driven against it.
Written from the SDK's source and the public documentation of the events; the service itself was never asked.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.contract.voice_cases.case import OTHER_RATE, Fault, sound

TTS_PATH = "/api-ws/v1/inference"
QWEN_PATH = "/api-ws/v1/realtime"
RATE = 24_000
ENDS = "。！？.!?"

HANDSHAKE = {
    Fault.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, "InvalidApiKey"),
    Fault.TOO_MANY: (HTTPStatus.TOO_MANY_REQUESTS, "Throttling.RateQuota"),
    Fault.SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError"),
}
HALF = (Fault.STALL, Fault.TRUNCATED, Fault.SHORT, Fault.HALF_SAMPLE, Fault.RESET)


@dataclass
class Asked:
    """One request: what it wants spoken and with which parameters (those of run-task or session.update)."""

    path: str
    key: str
    text: str
    parameters: dict[str, Any]
    texts: int = 1
    """Messages its text came in."""


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
        talk = (_Realtime if request.path.startswith(QWEN_PATH) else _Task)(self, ws, request)
        try:
            await talk.run()
        except ConnectionClosed:
            pass
        finally:
            await talk.stop()
            self.left += talk.asked and not talk.answered
            self.open -= 1


class _Talk:
    """One connection."""

    def __init__(self, server: DashScopeServer, ws: ServerConnection, request: Request) -> None:
        self.server = server
        self.ws = ws
        self.path = request.path
        self.key = request.headers.get("Authorization", "")
        self.asked = False
        self.answered = False
        self.text = ""
        self.texts = 0
        self.parameters: dict[str, Any] = {}
        self._speaker: asyncio.Task[None] | None = None

    async def run(self) -> None:
        raise NotImplementedError

    async def answer(self) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        self.asked = True
        self.server.requests.append(Asked(self.path, self.key, self.text, self.parameters, self.texts))
        self._speaker = asyncio.create_task(self._guarded())

    async def _guarded(self) -> None:
        with suppress(ConnectionClosed):
            await self.answer()

    async def stop(self) -> None:
        if self._speaker is not None:
            self._speaker.cancel()
            with suppress(asyncio.CancelledError):
                await self._speaker

    async def say(self, message: Any) -> None:
        await self.ws.send(json.dumps(message, ensure_ascii=False))

    def cut(self, *, reset: bool = False) -> None:
        """Ends the connection against the rules: without a close frame, or at once."""
        self.answered = True
        raw = self.ws.transport.get_extra_info("socket")
        if reset:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.ws.transport.abort()
        else:
            self.ws.transport.close()

    def frames(self, data: bytes) -> Sequence[bytes]:
        sizes: Iterator[int] = itertools.repeat(self.server.frame_bytes)
        if self.server.fault is Fault.ODD_CHUNKS:
            sizes = itertools.cycle((1, 2, 3, 5, 7, 11, 13, 1001))
        found, at = [], 0
        while at < len(data):
            size = next(sizes)
            found.append(data[at : at + size])
            at += size
        return found

    def portion(self) -> bytes:
        """Of the sound, what goes out before the fault."""
        data = self.server.sound
        if self.server.fault is Fault.EMPTY:
            return b""
        if self.server.fault not in HALF:
            return data
        half = len(data) // 4 * 2
        return data[: half + (self.server.fault is Fault.HALF_SAMPLE)]

    async def fell_silent(self) -> bool:
        """Whether the answer ends here, against the rules."""
        match self.server.fault:
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.TRUNCATED:
                self.cut()
                return True
            case Fault.RESET:
                self.cut(reset=True)
                return True
        return False

    def bill(self, text: str) -> None:
        self.server.billed += sum(2 if "一" <= c <= "鿿" else 1 for c in text)


class _Task(_Talk):
    """`tts_v2`: run-task, continue-task, finish-task."""

    task_id = ""

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(None if self.asked else self.server.idle_limit_s):
                    message = json.loads(await self.ws.recv())
            except TimeoutError:
                self.answered = True
                await self.event("task-failed", error_code="RequestTimeOut", error_message="no text for too long")
                return
            action = message["header"]["action"]
            self.server.actions.append(action)
            assert message["header"]["streaming"] == "duplex"
            assert self.task_id in ("", message["header"]["task_id"])
            self.task_id = message["header"]["task_id"]
            await self.take(action, message["payload"])
            if action == self.server.drops_at:
                self.cut()
                return

    async def take(self, action: str, payload: dict[str, Any]) -> None:
        if action == "run-task":
            assert (payload["task"], payload["function"]) == ("tts", "SpeechSynthesizer")
            self.parameters = {"model": payload["model"], **payload["parameters"]}
            if self.server.fault is Fault.ERROR and self.server.fails_at_start:
                await self.fail()
            elif not self.server.never_starts:
                await self.event("task-started")
        elif action == "continue-task":
            self.text += payload["input"]["text"]
            self.texts += 1
            assert self.texts == 1 or not self.parameters.get("enable_ssml"), "SSML comes in one message"
        elif payload["input"].get("directive") == "cancel":
            self.server.cancels += 1
            await self.stop()
            await self.event("task-finished")
        elif action == self.server.drops_at:
            self.asked = True
        else:
            self.begin()

    async def event(self, event: str, payload: dict[str, Any] | None = None, **header: str) -> None:
        head = {"task_id": self.task_id, "event": event, "attributes": {}, **header}
        await self.say({"header": head, "payload": payload or {}})

    async def fail(self) -> None:
        await self.event("task-failed", error_code=self.server.code, error_message=f"{self.key} {self.text}")
        self.answered = True

    async def answer(self) -> None:
        match self.server.fault:
            case Fault.SLOW_START:
                await asyncio.Event().wait()
            case Fault.DROPPED:
                return self.cut()
            case Fault.ERROR:
                return await self.fail()
            case Fault.JSON:
                self.answered = True
                return await self.say({"message": f"not what you think: {self.text}"})
        done, data = 0, self.portion()
        sentences = _sentences(self.text)
        for index, sentence in enumerate(sentences):
            last = index == len(sentences) - 1
            self.bill(sentence)
            share = data[done:] if last else data[done : done + _share(data, sentence, self.text)]
            head = {"index": index, "words": []}
            await self.result({"type": "sentence-begin", "sentence": head, "original_text": sentence})
            for frame in self.frames(share):
                await self.result({"type": "sentence-synthesis", "sentence": head})
                await self.ws.send(frame)
                await asyncio.sleep(self.server.pace_s)
            if last and await self.fell_silent():
                return
            timed = {"index": index, "words": self.words(sentence, done, len(share))}
            await self.result({"type": "sentence-end", "sentence": timed, "original_text": sentence})
            done += len(share)
        await self.event("task-finished", {"output": {}, "usage": {"characters": self.server.billed}})
        self.answered = True

    async def result(self, output: dict[str, Any]) -> None:
        await self.event("result-generated", {"output": output})

    def words(self, sentence: str, done: int, length: int) -> list[dict[str, Any]]:
        if not self.parameters.get("word_timestamp_enabled"):
            return []
        if self.server.broken_words:
            return [{"text": sentence, "begin_time": None}, {"begin_time": 3}]
        spoken = [c for c in sentence if c.isalnum()]
        step = length / 2 / RATE * 1000 / max(1, len(spoken))
        start = 0.0 if self.server.relative_times else done / 2 / RATE * 1000
        return [
            {
                "text": c,
                "begin_index": at,
                "end_index": at + 1,
                "begin_time": round(start + at * step),
                "end_time": round(start + (at + 1) * step),
            }
            for at, c in enumerate(spoken)
        ]


class _Realtime(_Talk):
    """Qwen TTS realtime: session.update, input_text_buffer.append and .commit, session.finish."""

    finishing = False

    async def run(self) -> None:
        await self.say({"type": "session.created", "session": self.session("server_commit")})
        async for raw in self.ws:
            message = json.loads(raw)
            assert message["event_id"].startswith("event_")
            self.server.actions.append(message["type"])
            if message["type"] == self.server.drops_at:
                return self.cut()
            await self.take(message)

    def session(self, mode: str) -> dict[str, Any]:
        rate = OTHER_RATE if self.server.fault is Fault.OTHER_RATE else RATE
        return {"id": "sess_1", "object": "realtime.session", "mode": mode, "sample_rate": rate}

    async def take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "session.update":
                self.parameters = {"model": self.path.partition("model=")[2], **message["session"]}
                await self.say({"type": "session.updated", "session": self.session(self.parameters["mode"])})
            case "input_text_buffer.append":
                self.text += message["text"]
                self.texts += 1
            case "input_text_buffer.commit":
                await self.say({"type": "input_text_buffer.committed", "item_id": ""})
                self.begin()
            case "response.cancel":
                self.server.cancels += 1
                await self.stop()
            case "session.finish":
                self.finishing = True
                if not self.asked:
                    self.begin()
                elif self.answered:
                    await self.finish()

    async def answer(self) -> None:
        match self.server.fault:
            case Fault.SLOW_START:
                await asyncio.Event().wait()
            case Fault.DROPPED:
                return self.cut()
            case Fault.ERROR:
                self.answered = True
                error = {"code": self.server.code, "message": f"{self.key} {self.text}"}
                return await self.say({"type": "error", "error": error})
            case Fault.JSON:
                self.answered = True
                return await self.say({"message": f"not what you think: {self.text}"})
        await self.say({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
        self.bill(self.text)
        for frame in self.frames(self.portion()):
            await self.say({"type": self.server.audio_event, "delta": base64.b64encode(frame).decode()})
            await asyncio.sleep(self.server.pace_s)
        if await self.fell_silent():
            return
        await self.say({"type": "response.audio.done"})
        await self.say({"type": "response.done", "response": {"id": "resp_1", "status": "completed"}})
        self.answered = True
        if self.finishing:
            await self.finish()

    async def finish(self) -> None:
        await self.say({"type": "session.finished"})
        await self.ws.close()


def _sentences(text: str) -> list[str]:
    found = [""]
    for c in text:
        found[-1] += c
        if c in ENDS:
            found.append("")
    return [sentence for sentence in found if sentence]


def _share(data: bytes, sentence: str, text: str) -> int:
    return len(data) * len(sentence) // len(text) // 2 * 2
