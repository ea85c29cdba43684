"""A small HTTP and websocket server for the sources that others knock at, in a thread and an event loop of its own.

So it answers in time whatever the director's loop is doing. The application (plain ASGI, Starlette too) runs in that
thread: it may call `Intake.bring`, which is made for it, and nothing else of the director. What it gets is bounded
before it sees it: an HTTP request comes with its whole body in hand, a websocket's message has its largest size.
No browser may use it: a request with an Origin is refused, so that no page that runs on this machine can post here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from broadcaster.errors import SourceError

log = logging.getLogger(__name__)

BACKLOG: Final = 128

GRACE_S: Final = 1
"""How long open requests may go on at the end; a source has 3 s for its goodbye, and its platform needs some."""

START_S: Final = 10.0
"""A thread that does not listen after so long will not: the machine is out of threads or memory."""

DEAD_PEER_MS: Final = 20_000
"""A peer that acknowledges nothing for so long is gone; the kernel then frees what it was sent."""


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


class Listener:
    """`async with Listener(app, name=..., host=..., port=...) as door: await door.ended()`, from the director's loop.

    Entering binds the port (0: any free one) and returns when it listens; leaving gives open requests
    `GRACE_S`. Raises SourceError that names the address when it cannot listen, or when the server ended by itself.
    """

    def __init__(
        self, app: ASGIApp, *, name: str, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None
    ) -> None:
        self.name = name
        self.port = port
        """The real one once it listens."""
        self.refused: dict[str, int] = dict.fromkeys(REASONS, 0)
        """Requests that were ended here, by reason. Written by the thread, read by anybody."""
        self._host = host.strip("[]")
        self._limits = limits or Limits()
        self._app = _Bounded(app, self._limits, self.refused, name)
        self._server: _Server | None = None
        self._ended: Future[None] = Future()

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._server.server_state.connections) if self._server is not None else 0

    async def __aenter__(self) -> Self:
        listening = self._bound()
        self.port = listening.getsockname()[1]
        self._ended = Future()
        started: Future[None] = Future()
        self._server = _Server(_settings(self._app, self._limits, self.refused), started)
        thread = threading.Thread(
            target=self._run, args=(self._server, listening, started), name=f"source-{self.name}", daemon=True
        )
        try:
            thread.start()
            async with asyncio.timeout(START_S):
                await asyncio.wrap_future(started)
        except TimeoutError:
            self._server.finish()
            raise SourceError(f"the server of {self.name} does not start at {self.address}") from None
        except BaseException:
            self._server.finish()
            listening.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.finish()
        await asyncio.wait({asyncio.wrap_future(self._ended)}, timeout=GRACE_S + 0.4)

    async def ended(self) -> None:
        """Never returns: it is cancelled, or raises SourceError when the server ended by itself."""
        await asyncio.shield(asyncio.wrap_future(self._ended))
        raise SourceError(f"the server of {self.name} at {self.address} has ended")

    def _bound(self) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self._host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError as err:
            raise SourceError(
                f"{self._host} is not an address of this machine -> set host to 127.0.0.1", retryable=False
            ) from err
        # asyncio turns Nagle's algorithm off only where the protocol is named: else every answer waits 40 ms.
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError as err:
            listening.close()
            raise SourceError(
                f"cannot listen on {self._host} port {self.port} ({os.strerror(err.errno or 0)}) -> stop the program "
                "that has it, or choose another port"
            ) from err
        return listening

    def _run(self, server: _Server, listening: socket.socket, started: Future[None]) -> None:
        """The thread."""
        try:
            asyncio.run(server.serve(sockets=[listening]))
        except BaseException as err:
            if not started.done():
                started.set_exception(SourceError(f"the server of {self.name} did not start: {type(err).__name__}"))
            log.warning("the server of a source ended", extra={"source": self.name, "reason": type(err).__name__})
        finally:
            listening.close()
            self._ended.set_result(None)


class _Server(uvicorn.Server):
    """uvicorn's server, waked by an event instead of looking ten times a second whether it should end."""

    def __init__(self, config: uvicorn.Config, started: Future[None]) -> None:
        super().__init__(config)
        self._listening = started
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = threading.Event()

    def finish(self) -> None:
        """From any thread."""
        self._over.set()
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._stop.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if not self._listening.cancelled():
            self._listening.set_result(None)

    async def main_loop(self) -> None:
        assert self._stop is not None
        while not (self._stop.is_set() or self._over.is_set()):
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the director."""
        yield


class _Bounded:
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
            self._refused["origin"] += 1
            await _refuse(scope, receive, send, 403, "origin", "browsers may not use this address")
        elif scope["type"] == "websocket":
            await self._guarded(scope, receive, send)
        elif self._requests >= self._limits.requests:
            self._refused["too_many"] += 1
            await _refuse(scope, receive, send, 503, "too_many", "too many requests at once; send it again")
        else:
            self._requests += 1
            try:
                await self._with_body(scope, receive, send)
            finally:
                self._requests -= 1

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._limits
        body = bytearray()
        try:
            async with asyncio.timeout(limits.request_s):
                more = True
                if _declared(scope) > limits.body:
                    await self._too_large(scope, receive, send)
                    return
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    piece: bytes = message.get("body", b"")
                    body += piece
                    self._held += len(piece)
                    more = message.get("more_body", False)
                    if len(body) > limits.body:
                        await self._too_large(scope, receive, send)
                        return
                    if self._held > limits.held:
                        self._refused["too_many"] += 1
                        await _refuse(
                            scope, receive, send, 503, "too_many", "too much is being received; send it again"
                        )
                        return
            await self._guarded(scope, _whole(bytes(body), receive), send)
        except TimeoutError:
            self._refused["too_slow"] += 1
            await _refuse(scope, receive, send, 408, "too_slow", f"a request may take {limits.request_s:g} s")
        finally:
            self._held -= len(body)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._refused["too_large"] += 1
        await _refuse(scope, receive, send, 413, "too_large", f"a body may have {self._limits.body} bytes")

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, whose bugs are answered 500 and logged without what was sent: by the kind of the error."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as err:
            self._refused["failed"] += 1
            if self._refused["failed"] == 1:
                about = {"source": self._name, "reason": type(err).__name__}
                log.error("a source failed on a request by a fault of the program", extra=about)
            if not begun:
                await _refuse(scope, receive, watched, 500, "failed", "this request made the source fail")


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


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, code: str, message: str) -> None:
    """Ends a request, or a websocket's handshake. What is still unread of it ends its connection."""
    kind = "http.response"
    if scope["type"] == "websocket":
        kind = "websocket.http.response"
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
    await send({"type": f"{kind}.body", "body": body})


# A line for each bad request would let anybody fill the disk: they are counted instead.
_SILENT: Final = logging.getLogger(f"{__name__}.http")
_SILENT.setLevel(logging.CRITICAL + 1)


def _settings(app: ASGIApp, limits: Limits, refused: dict[str, int]) -> uvicorn.Config:
    class Http(_Http):
        bounds = limits
        counts = refused

    return uvicorn.Config(
        app,
        http=Http,
        ws=_WebSocket,
        ws_max_size=limits.message,
        ws_per_message_deflate=False,
        ws_ping_interval=10.0,
        ws_ping_timeout=20.0,
        h11_max_incomplete_event_size=limits.head,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Http(H11Protocol):
    """uvicorn's HTTP, which waits for ever for the end of a request's head; this one lets go."""

    bounds: Limits
    counts: dict[str, int]
    _seen: object = None
    _look: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self.counts["too_many"] += 1
            transport.abort()
            return
        self._look = self.loop.call_later(self.bounds.request_s, self._end_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self.counts["malformed"] += 1
        with contextlib.suppress(Exception):  # h11 will not say it where an answer has begun
            super().send_400_response(msg)
        self.transport.close()

    def _end_if_idle(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it is a websocket now
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.cycle is self._seen:
            self.counts["too_slow"] += 1
            self.transport.close()
            return
        self._seen = self.cycle
        self._look = self.loop.call_later(self.bounds.request_s, self._end_if_idle)


class _WebSocket(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT
