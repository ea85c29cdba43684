"""An OpenAI-compatible server on loopback that speaks the real wire format and misbehaves as told.

HTTP/1.1 by hand over asyncio, so that it can stall, break off in mid-chunk and see when its client leaves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any


class LlmServer:
    """`script` is the list of pieces of the answer. Behaviour by attribute, set before the request:

    `status` other than 200: an error body with the key in it, as real servers do. `first_delay`: seconds before
    the headers. `stall_after`, `drop_after`, `garbage_after`: after so many pieces it stops for ever, closes the
    connection in mid-chunk, sends a line that is no JSON. `requests` are the bodies, `left` counts clients that
    went away before the end.
    """

    def __init__(self, script: Sequence[str] = ("你好，", "我是模型。")) -> None:
        self.script = list(script)
        self.status = 200
        self.first_delay = 0.0
        self.stall_after: int | None = None
        self.drop_after: int | None = None
        self.garbage_after: int | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.left = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> LlmServer:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, or the test is over
        finally:
            self._clients.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = {
            k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.decode().split("\r\n")[1:])
        }
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert head.startswith(b"POST /v1/chat/completions ")
        self.requests.append(body)
        self.keys.append(headers.get("authorization", ""))
        gone = asyncio.create_task(reader.read(1))
        answer = asyncio.create_task(self._answer(writer, headers.get("authorization", "")))
        await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self.left += 1
            answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer
        gone.cancel()
        return False

    async def _answer(self, writer: asyncio.StreamWriter, key: str) -> None:
        await asyncio.sleep(self.first_delay)
        if self.status != 200:
            error = json.dumps({"error": {"message": f"trouble with {key}", "type": "x", "code": None}}).encode()
            writer.write(f"HTTP/1.1 {self.status} Trouble\r\nContent-Type: application/json\r\n".encode())
            writer.write(f"Content-Length: {len(error)}\r\nConnection: close\r\n\r\n".encode() + error)
            await writer.drain()
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        for number, piece in enumerate([*self.script, None]):
            if number == self.stall_after:
                await writer.drain()
                await asyncio.Event().wait()
            if number == self.drop_after:
                writer.write(b"ff\r\ndata: {")
                await writer.drain()
                return
            if number == self.garbage_after:
                _chunk(writer, b"data: {not json}\n\n")
            _chunk(writer, _event(piece))
            await writer.drain()
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _event(piece: str | None) -> bytes:
    delta = {"role": "assistant", "content": piece} if piece is not None else {}
    chunk = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "test",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None if piece is not None else "stop"}],
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
