"""The console's two sockets: TCP for people, a UNIX socket for the command line. Director process, event loop.

uvicorn gets sockets that are bound here, installs no signal handler and logs nothing below a warning (its access
lines would print what people asked for).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from broadcaster.config import Console
from broadcaster.console.access import Door, listen_problems
from broadcaster.errors import ConfigError
from broadcaster.paths import Paths

BACKLOG: Final = 128
MAX_CONCURRENCY: Final = 256
"""Connections and requests at once, websockets included; more are answered 503 by uvicorn."""

HARD_LIMIT_FACTOR: Final = 4
"""A message over the limit gets an error and the connection stays; over this multiple it is closed (1009) unread."""

GRACE_S: Final = 2
"""How long open requests may go on when the daemon stops: SIGTERM has 5 s in all."""

DEAD_PEER_MS: Final = 20_000
"""A peer that acknowledges nothing for so long is gone; the kernel then frees what it was sent."""

IDLE_S: Final = 10.0
"""How long a connection may take to say what it wants. Nobody may hold one of the `MAX_CONCURRENCY` in silence."""


async def serve(
    app: FastAPI,
    config: Console,
    paths: Paths,
    stop: asyncio.Event,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serves until `stop` is set or the task is cancelled, then closes both sockets within `GRACE_S`.

    `started` is called with the page's address once both sockets listen. Raises ConfigError when the port is
    taken or the configuration unsafe.
    """
    problems = listen_problems(config)
    if problems:
        raise ConfigError(*problems)
    with _tcp(config) as outside, _unix(paths.control_socket) as inside:
        servers = [
            (_Server(_settings(Door(app, local=False), config), stop), outside),
            (_Server(_settings(Door(app, local=True), config), stop), inside),
        ]
        async with asyncio.TaskGroup() as group:
            for server, listening in servers:
                group.create_task(server.serve(sockets=[listening]))
            watch = group.create_task(_watch(app))
            for server, _ in servers:
                await server.up.wait()
            if started is not None:
                started(page_address(outside))
            await stop.wait()
            watch.cancel()


def page_address(listening: socket.socket) -> str:
    """What to open in a browser for a listening socket; an unspecified address is shown as loopback."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


async def _watch(app: FastAPI) -> None:
    """Looks at the tick counter once a second, so that a rare probe still knows when it last moved."""
    while True:
        app.state.observe()
        await asyncio.sleep(1.0)


class _Server(uvicorn.Server):
    """uvicorn's server, waked by an event instead of looking ten times a second whether it should end."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        # Being cancelled ends this loop and not the server: what follows in uvicorn says goodbye to every peer.
        with contextlib.suppress(asyncio.CancelledError):
            while not self._stop.is_set():
                await self.on_tick(0)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the director."""
        yield


class _Http(H11Protocol):
    """uvicorn's HTTP, which waits for ever for the end of a request's head; this one lets go."""

    _seen: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._look = self.loop.call_later(IDLE_S, self._end_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _end_if_idle(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it is a websocket now
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.cycle is self._seen:
            self.transport.close()
            return
        self._seen = self.cycle
        self._look = self.loop.call_later(IDLE_S, self._end_if_idle)


class _RefusedHandshakes(logging.Filter):
    """uvicorn calls a websocket that was refused with an HTTP answer an error; it is the answer we gave."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


_REFUSED_HANDSHAKES: Final = _RefusedHandshakes()


def _settings(app: ASGIApp, config: Console) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_REFUSED_HANDSHAKES)
    return uvicorn.Config(
        app,
        http=_Http,
        ws="websockets-sansio",
        ws_max_size=HARD_LIMIT_FACTOR * config.max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=10.0,
        ws_ping_timeout=20.0,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        factory=False,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONCURRENCY,
        timeout_graceful_shutdown=GRACE_S,
    )


@contextlib.contextmanager
def _tcp(config: Console) -> Generator[socket.socket]:
    host = config.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as err:
        raise ConfigError(f"console.host: {config.host} is not an address of this machine; use 127.0.0.1") from err
    # asyncio turns Nagle's algorithm off only where the protocol is named: else every answer waits 40 ms.
    listening = socket.socket(family, kind, protocol)
    with contextlib.closing(listening):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        try:
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError as err:
            raise ConfigError(
                f"console.port: cannot listen on {config.host} port {config.port} ({os.strerror(err.errno or 0)}); "
                "stop the program that has it, or choose another port (0: any free one)"
            ) from err
        yield listening


@contextlib.contextmanager
def _unix(path: Path) -> Generator[socket.socket]:
    """A listening socket at `path`, mode 0600 from the first moment on; a stale one is replaced in one step."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(listening):
        listening.bind(str(fresh))
        fresh.chmod(0o600)
        listening.listen(BACKLOG)
        fresh.replace(path)
        ours = path.stat().st_ino
        try:
            yield listening
        finally:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == ours:
                    path.unlink()
