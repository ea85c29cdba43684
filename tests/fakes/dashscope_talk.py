"""What DashScope's two websocket protocols say, message by message: `Task` (tts_v2) and `Realtime` (Qwen TTS).

One object per connection of `DashScopeServer`, whose attributes tell how it misbehaves.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from tests.contract.voice_cases.case import OTHER_RATE, Fault

if TYPE_CHECKING:
    from tests.fakes.dashscope_server import DashScopeServer

RATE = 24_000
ENDS = "。！？.!?"
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


class Talk:
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


class Task(Talk):
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


class Realtime(Talk):
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
