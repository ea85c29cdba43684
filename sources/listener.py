"""A small HTTP and websocket server for the sources that others knock at, in a thread and an event loop of its own.

So it answers in time whatever the director's loop is doing. The application (plain ASGI, Starlette too) runs in that
thread: it may call `Intake.bring`, which is made for it, and nothing else of the director. What it gets is bounded
before it sees it: an HTTP request comes with its whole body in hand, a websocket's message has its largest size.
No browser may use it: a request with an Origin is refused, so that no page that runs on this machine can post here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Generator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from broadcaster.errors import SourceError
from sources.bounds import REASONS, Bounded, Limits

__all__ = ["Limits", "Listener"]

log = logging.getLogger(__name__)

BACKLOG: Final = 128

GRACE_S: Final = 1
"""How long open requests may go on at the end; a source has 3 s for its goodbye, and its platform needs some."""

LEAVING_S: Final = 0.005
"""How often it is looked, for no longer than `GRACE_S`, whether everybody has left."""

START_S: Final = 10.0
"""A thread that does not listen after so long will not: the machine is out of threads or memory."""

DEAD_PEER_MS: Final = 20_000
"""A peer that acknowledges nothing for so long is gone; the kernel then frees what it was sent."""


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
        self._app = Bounded(app, self._limits, self.refused, name)
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
            target=self._run,
            args=(self._server, listening, started, self._ended),
            name=f"source-{self.name}",
            daemon=True,
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

    def _run(self, server: _Server, listening: socket.socket, started: Future[None], ended: Future[None]) -> None:
        """The thread. It may outlive its time here, and must not end the next one's."""
        try:
            asyncio.run(server.serve(sockets=[listening]))
        except BaseException as err:
            if not started.done():
                started.set_exception(SourceError(f"the server of {self.name} did not start: {type(err).__name__}"))
            log.warning("the server of a source ended", extra={"source": self.name, "reason": type(err).__name__})
        finally:
            listening.close()
            ended.set_result(None)


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own looks every tenth of a second whether everybody has left."""
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while state.connections or state.tasks:  # noqa: ASYNC110  # sets of uvicorn, without an event
                    await asyncio.sleep(LEAVING_S)
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the director."""
        yield


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
