"""A moderation service on loopback that speaks the documented JSON and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any

from tests.fakes.http_wire import Request, read_request


class ModerationServer:
    """Says `words[part]` (a verdict) of a text that has the part, else pass. `fault` replaces the answer.

    `fault`: None, "slow" (never answers), "dropped", "500", "401", "html", "few" (a verdict too little), "huge",
    "no text" (bytes that are not UTF-8).
    """

    def __init__(self, words: dict[str, dict[str, Any]] | None = None) -> None:
        self.words = words or {}
        self.fault: str | None = None
        self.requests: list[Request] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/judge"

    async def __aenter__(self) -> ModerationServer:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await read_request(await reader.readuntil(b"\r\n\r\n"), reader)
                self.requests.append(request)
                if self.fault == "slow":
                    await reader.read()
                if self.fault in ("slow", "dropped"):
                    return
                status, body = self._answer(request)
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, request: Request) -> tuple[int, bytes]:
        texts = request.fields["texts"]
        if self.fault in ("500", "401"):
            key = request.headers.get("authorization", "")
            return int(self.fault), f"trouble with {key} over {texts}".encode()
        if self.fault == "html":
            return 200, b"<html>"
        if self.fault == "no text":
            return 200, b'{"verdicts": [{"action": "\xff"}]}'
        if self.fault == "huge":
            return 200, b" " * 2_000_000
        verdicts = [self._verdict(text) for text in texts]
        return 200, json.dumps({"verdicts": verdicts[1:] if self.fault == "few" else verdicts}).encode()

    def _verdict(self, text: str) -> dict[str, Any]:
        return next((verdict for part, verdict in self.words.items() if part in text), {"action": "pass"})
