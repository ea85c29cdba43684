"""What is kept of requests before an application sees them: no browsers, whole bodies, bounded size, time and number.

ASGI, in the thread of a `Listener`. What is ended here is counted by reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LINGER_S: Final = 2.0
"""How long what is sent after a refusal is read; its sender has heard by then."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one listener, all of them kept before the application sees anything."""

    body: int = 1_048_576
    """Most bytes of an HTTP body (413)."""
    held: int = 8 * 1_048_576
    """Most bytes of all bodies that are being read or worked on at once (503)."""
    head: int = 16_384
    """Most bytes of a request's head (400)."""
    message: int = 1_048_576
    """Most bytes of a websocket's message (it is closed with 1009)."""
    connections: int = 128
    """Open connections at once; more are closed as they come."""
    requests: int = 64
    """HTTP requests that are worked on at once (503)."""
    request_s: float = 10.0
    """Seconds that a peer has to say its whole request (408), and that a connection may stay silent."""


REASONS: Final = ("origin", "too_large", "too_slow", "too_many", "malformed", "failed")
"""Why requests end here: a browser's; over a limit of size, time or number; no HTTP; a bug of the application."""


GONE: Final = "gone"

_ANSWERS: Final = {
    "origin": (403, "browsers may not use this address"),
    "too_large": (413, "the body is larger than it may be"),
    "too_slow": (408, "the request took longer than it may"),
    "too_many": (503, "too much comes at once; send it again"),
}
_FAILED: Final = (500, "failed", "this request made the source fail")


class Bounded:
    """ASGI middleware: no browsers, whole bodies of a bounded size in a bounded time, a bounded number at once."""

    def __init__(self, app: ASGIApp, limits: Limits, refused: dict[str, int], name: str) -> None:
        self._app = app
        self._limits = limits
        self._refused = refused
        self._name = name
        self._requests = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(key == b"origin" for key, _ in scope["headers"]):
            await self._refuse(scope, receive, send, "origin")
        elif scope["type"] == "websocket":
            await self._guarded(scope, receive, send)
        elif self._requests >= self._limits.requests:
            await self._refuse(scope, receive, send, "too_many")
        else:
            self._requests += 1
            try:
                await self._with_body(scope, receive, send)
            finally:
                self._requests -= 1

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.request_s):
                    refusal = await self._read(scope, receive, body)
            except TimeoutError:
                refusal = "too_slow", False
            if refusal is None:
                await self._guarded(scope, _whole(bytes(body), receive), send)
            elif refusal[0] != GONE:
                await self._refuse(scope, receive, send, *refusal)
        finally:
            self._held -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> tuple[str, bool] | None:
        """Reads the whole body. None: it is good; else why it is refused (`GONE`: nobody waits for the answer), and
        whether there is more of it.
        """
        if _declared(scope) > self._limits.body:
            return "too_large", True
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return GONE, False
            piece: bytes = message.get("body", b"")
            body += piece
            self._held += len(piece)
            more = message.get("more_body", False)
            if len(body) > self._limits.body:
                return "too_large", more
            if self._held > self._limits.held:
                return "too_many", more
        return None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, reason: str, more: bool = True) -> None:
        self._refused[reason] += 1
        status, message = _ANSWERS[reason]
        await _refuse(scope, receive, send, status, reason, message, linger=more)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, whose bugs are answered 500 (1011 on a websocket) and logged without what was sent."""
        begun = left = False

        async def watched(message: Message) -> None:
            nonlocal begun, left
            begun = True
            try:
                await send(message)
            except OSError:
                left = True
                raise

        try:
            await self._app(scope, receive, watched)
        except Exception as err:
            if left:
                return  # its peer is gone, which is no fault
            self._refused["failed"] += 1
            if self._refused["failed"] == 1:
                about = {"source": self._name, "reason": type(err).__name__}
                log.error("a source failed on a request by a fault of the program", extra=about)
            if not begun:
                await _refuse(scope, receive, watched, *_FAILED)
            elif scope["type"] == "websocket":
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.close", "code": 1011})


def _declared(scope: Scope) -> int:
    """The length that a request says its body has; 0 where it says none. h11 has seen to it that it is a number."""
    return next((int(value) for key, value in scope["headers"] if key == b"content-length"), 0)


def _whole(body: bytes, receive: Receive) -> Receive:
    """`receive` that has the body, and then waits for the peer to leave."""
    given = False

    async def receive_whole() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_whole


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, code: str, message: str, *, linger: bool = False
) -> None:
    """Ends a request, or a websocket's handshake, and its connection.

    `linger`: what is still sent of the body is read for a while and thrown away. A connection that is closed with
    unread bytes is reset, and many clients then never see the answer.
    """
    kind = "http.response"
    if scope["type"] == "websocket":
        kind, linger = "websocket.http.response", False
        await receive()
    body = json.dumps({"error": code, "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": linger})
    if linger:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": f"{kind}.body", "body": b"", "more_body": False})
