"""A voice server over HTTP/1.1 that can be as wrong as a real one: the part that all of them share.

HTTP by hand over asyncio, in the loop of the test, so that it can cut a chunk anywhere, break its own protocol, and
see when its client leaves. Connections are kept alive, as uvicorn's are.
"""

from __future__ import annotations

import asyncio
import email.parser
import email.policy
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.contract.voice_cases.case import Fault, sound

ODD = (1, 2, 3, 5, 7, 11, 13, 1, 1, 997)
"""Sizes of the pieces of an answer that is cut oddly."""

CHUNK = 2048

OPEN_SIZE = 0xFFFF_FFFF


def wav(
    pcm: bytes, rate: int, channels: int = 1, *, size: int | None = None, extra: bytes = b"", bits: int = 16
) -> bytes:
    """A WAV file. `size` is what its header says of the data (None: the truth); `extra` are chunks in front of it."""
    told = len(pcm) if size is None else size
    kind = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(kind)) + kind + extra + b"data" + struct.pack("<I", told)
    return b"RIFF" + struct.pack("<I", min(len(body) + told, OPEN_SIZE)) + body + pcm


def stereo(pcm: bytes) -> bytes:
    return np.repeat(np.frombuffer(pcm, "<i2"), 2).tobytes()


@dataclass(frozen=True, slots=True)
class Request:
    """`fields` are those of a JSON body or of a form, `files` the contents of its files by field."""

    method: str
    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: bytes
    content_type: str = "application/json"


class HttpVoice:
    """Base of the fakes; see Protocol `VoiceServer`. Subclasses say what is sent, and how it is refused.

    `framing` "chunked" is a streamed answer, "length" one whose size is known before it is sent.
    """

    framing = "chunked"
    rate = 24_000

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.sound = sound(self.rate)
        self.requests: list[Request] = []
        self.left = 0
        self.open = 0
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> HttpVoice:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    # -- what a subclass says -------------------------------------------------------------------------------------

    def check(self, request: Request) -> Refusal | None:
        """What a real server of this kind would refuse; None: it speaks."""
        raise NotImplementedError

    def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
        """(body, content type) of the answer that says `pcm`."""
        raise NotImplementedError

    def refusal(self, request: Request, status: int) -> Refusal:
        """How it says no; as real ones do, with the key and the text in it."""
        return Refusal(status, json.dumps({"detail": self.echo(request)}).encode())

    def inside(self, request: Request) -> Refusal:
        """How it says that something went wrong inside."""
        return Refusal(500, b"Internal Server Error " + self.echo(request).encode(), "text/plain; charset=utf-8")

    def echo(self, request: Request) -> str:
        key = request.headers.get("authorization", "")
        return f"trouble with {key} {_password(key)} over {json.dumps(request.fields, ensure_ascii=False)}"

    # -- the wire -------------------------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        self.open += 1
        self.connections += 1
        first = b""
        try:
            while first is not None:
                first = await self._exchange(reader, writer, first)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._clients.discard(task)
            self.open -= 1
            writer.transport.abort()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes
    ) -> bytes | None:
        """One request and its answer; the first byte of the next one, or None at the end of the connection."""
        head = first + await reader.readuntil(b"\r\n\r\n")
        request = await read_request(head, reader)
        self.requests.append(request)
        gone = asyncio.create_task(reader.read(1))
        answer = asyncio.create_task(self._answer(request, writer))
        try:
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() or isinstance(answer.exception(), ConnectionError):
                self.left += 1
                return None
            if not answer.result():
                return None
            return await gone or None
        finally:
            gone.cancel()
            answer.cancel()
            await asyncio.gather(gone, answer, return_exceptions=True)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        refusal = self.check(request)
        statuses = {Fault.UNAUTHORIZED: 401, Fault.TOO_MANY: 429, Fault.SERVER_ERROR: 500}
        match self.fault:
            case Fault.SLOW_START:
                await asyncio.Event().wait()
            case Fault.DROPPED:
                return False
            case Fault.JSON:
                refusal = Refusal(200, json.dumps({"error": self.echo(request)}).encode())
            case Fault.ERROR:
                refusal = self.inside(request)
            case Fault.UNAUTHORIZED | Fault.TOO_MANY | Fault.SERVER_ERROR:
                refusal = self.refusal(request, statuses[self.fault])
        if refusal is not None:
            await self._send(writer, refusal.status, refusal.content_type, refusal.body, "length")
            return True
        pcm, channels = self.sound, 1
        rate = 16_000 if self.fault is Fault.OTHER_RATE else self.rate
        if self.fault is Fault.STEREO:
            pcm, channels = stereo(pcm), 2
        if self.fault is Fault.EMPTY:
            pcm = b""
        body, content_type = self.payload(request, pcm, rate, channels)
        half = len(body) // 2 & ~1
        match self.fault:
            case Fault.SHORT:
                body = body[:half]
            case Fault.HALF_SAMPLE:
                body = body[: half + 1]
            case Fault.TRUNCATED | Fault.RESET | Fault.STALL:
                return await self._cut(writer, content_type, body, half)
        await self._send(writer, 200, content_type, body, self.framing)
        return True

    async def _cut(self, writer: asyncio.StreamWriter, content_type: str, body: bytes, half: int) -> bool:
        _head(writer, 200, content_type, len(body) if self.framing == "length" else None)
        await self._body(writer, body[:half], self.framing)
        if self.fault is Fault.STALL:
            await asyncio.Event().wait()
        if self.fault is Fault.RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.close()
            await writer.wait_closed()
        return False

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, content_type: str, body: bytes, framing: str
    ) -> None:
        _head(writer, status, content_type, len(body) if framing == "length" else None)
        await self._body(writer, body, framing)
        if framing == "chunked":
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _body(self, writer: asyncio.StreamWriter, body: bytes, framing: str) -> None:
        at = number = 0
        while at < len(body):
            size = ODD[number % len(ODD)] if self.fault is Fault.ODD_CHUNKS else CHUNK
            piece = body[at : at + size]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if framing == "chunked" else piece)
            await writer.drain()
            await asyncio.sleep(0)
            at += size
            number += 1


def _head(writer: asyncio.StreamWriter, status: int, content_type: str, length: int | None) -> None:
    how = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    kind = f"content-type: {content_type}\r\n" if content_type else ""
    writer.write(f"HTTP/1.1 {status} Whatever\r\n{kind}{how}\r\n\r\n".encode())


async def read_request(head: bytes, reader: asyncio.StreamReader) -> Request:
    first, _, rest = head.decode("latin-1").partition("\r\n")
    method, path, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest.split("\r\n")) if k}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    kind = headers.get("content-type", "")
    if kind.startswith("application/json"):
        return Request(method, path, headers, json.loads(body) if body else {})
    if kind.startswith("multipart/form-data"):
        fields, files = _form(kind, body)
        return Request(method, path, headers, fields, files)
    if kind.startswith("application/x-www-form-urlencoded"):
        from urllib.parse import parse_qsl

        return Request(method, path, headers, dict(parse_qsl(body.decode())))
    return Request(method, path, headers, {})


def _form(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    whole = f"content-type: {kind}\r\n\r\n".encode() + body
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole)
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename() is None:
            fields[name] = content.decode()
        else:
            files[name] = content
    return fields, files


def _password(authorization: str) -> str:
    import base64

    if not authorization.startswith("Basic "):
        return ""
    return base64.b64decode(authorization.removeprefix("Basic ")).decode()
