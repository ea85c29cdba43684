"""A language model behind HTTP that misbehaves as told: what the fakes of every engine's wire share.

HTTP/1.1 by hand over asyncio, in the loop of the test, so that it can stall, break off in mid-chunk and see when its
client leaves. One connection per request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from tests.fakes.http_wire import Request, read_request

ODD = (1, 2, 3, 5, 7, 11, 1, 1, 64)
"""Sizes of the chunks of an answer that is cut oddly: inside of events, lines and characters."""


class ModelServer:
    """`script` is the list of pieces of the answer. Behaviour by attribute, set before the request:

    `status` other than 200: an error body with key and question in it, as real servers do; `headers` go along, `code`
    is what it calls the error. `first_delay`: seconds before the headers. `stall_after`, `drop_after`,
    `garbage_after`, `error_after`, `ends_after`: after so many pieces it stops for ever, closes the connection in
    mid-chunk, sends an event that is no JSON, tells an error in the wire's own way, ends properly but too early.
    `finish`: the reason told with the end, where the wire has one. `filtered`: the last piece is followed by the word
    that a filter cut the answer off. `chatter`: thoughts, tool calls and signs of life come between the pieces.
    `odd`: cut anywhere. `echo`: the question is the answer. `hangs_up`: it takes the question and closes the
    connection. `silent_end`: it forgets to end the stream.

    `requests` are the bodies, `keys` their keys, `left` counts clients that went away before the end, `open` the
    connections that are open now.
    """

    path = ""

    def __init__(self, script: Sequence[str] = ("你好，", "我是模型。")) -> None:
        self.script = list(script)
        self.well()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.left = 0
        self.open = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def well(self) -> None:
        """It behaves again."""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.code = "x"
        self.first_delay = 0.0
        self.stall_after: int | None = None
        self.drop_after: int | None = None
        self.garbage_after: int | None = None
        self.error_after: int | None = None
        self.ends_after: int | None = None
        self.finish = "stop"
        self.filtered = self.chatter = self.odd = self.echo = self.hangs_up = self.silent_end = False
        self.usage: tuple[int, int] | None = (21, 8)
        """Tokens of question and answer that it tells at the end; None: it tells nothing."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    # -- what a subclass says -------------------------------------------------------------------------------------

    def beside(self, request: Request) -> dict[str, Any] | None:
        """The answer to a request that asks no question (an upload, a stop); None: it is a question."""
        return None

    def refuses(self, request: Request) -> str | None:
        """The message of a 400, for what a real server would not take."""
        return None

    def question(self, request: Request) -> str:
        raise NotImplementedError

    def piece(self, text: str) -> bytes:
        """One event with a piece of the answer."""
        raise NotImplementedError

    def noise(self) -> bytes:
        """Events between the pieces, with the word `NOISE` in what must not be spoken."""
        raise NotImplementedError

    def end(self, filtered: bool) -> bytes:
        """The events behind the last piece, with `usage`."""
        raise NotImplementedError

    def broken(self, words: str) -> bytes:
        """The event that tells an error in the middle of the stream."""
        raise NotImplementedError

    def refusal(self, words: str) -> dict[str, Any]:
        """The body beside a status that is no 200."""
        raise NotImplementedError

    # -- the wire -------------------------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        self.open += 1
        try:
            await self._exchange(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, or the test is over
        finally:
            self._clients.discard(task)
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(await reader.readuntil(b"\r\n\r\n"), reader)
        found = self.beside(request)
        if found is not None:
            await _send(writer, 200, found)
            return
        assert (request.method, request.path) == ("POST", self.path)
        self.requests.append(request.fields)
        self.keys.append(request.headers.get("authorization", ""))
        gone = asyncio.create_task(reader.read(1))
        answer = asyncio.create_task(self._answer(writer, request))
        await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self.left += 1
            answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer
        gone.cancel()

    async def _answer(self, writer: asyncio.StreamWriter, request: Request) -> None:
        if self.first_delay:
            await asyncio.sleep(self.first_delay)
        if self.hangs_up:
            return
        words = f"trouble with {request.headers.get('authorization', '')} over {self.question(request)}"
        if self.status != 200:
            await _send(writer, self.status, self.refusal(words), self.headers)
            return
        if (message := self.refuses(request)) is not None:
            await _send(writer, 400, self.refusal(message))
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        script = [f"{letter}" for letter in self.question(request)] if self.echo else self.script
        for number, piece in enumerate([*script, None]):
            if number == self.stall_after:
                await writer.drain()
                await asyncio.Event().wait()
            if number == self.drop_after:
                writer.write(b"ff\r\ndata: {")
                await writer.drain()
                return
            if number == self.garbage_after:
                await self._chunk(writer, b"data: {not json}\n\n")
            if number == self.error_after:
                await self._chunk(writer, self.broken(words))
                break
            if number == self.ends_after:
                break
            if self.chatter:
                await self._chunk(writer, self.noise())
            await self._chunk(writer, self.end(self.filtered) if piece is None else self.piece(piece))
            await asyncio.sleep(0)
        if self.silent_end:
            await asyncio.Event().wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        at = number = 0
        while at < len(data):
            part = data[at : at + ODD[number % len(ODD)]] if self.odd else data
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
            if self.odd:
                await asyncio.sleep(0)
            at += len(part)
            number += 1


NOISE = "不许说出来"


def event(told: object, head: str = "") -> bytes:
    return f"{head}data: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


async def _send(
    writer: asyncio.StreamWriter, status: int, told: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    body = json.dumps(told, ensure_ascii=False).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{more}".encode())
    writer.write(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
