"""A running console on loopback: real uvicorn on TCP and on the control socket, in the test's event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect, unix_connect

from broadcaster.config import Console, Tokens
from broadcaster.console.server import create_app, serve
from broadcaster.paths import Paths
from broadcaster.telemetry.metrics import Metrics
from broadcaster.types import Origin
from sources.schema import published_schema
from sources.websocket import PromptSession
from tests.fakes.station import FakeStation

VIEWER = "viewer-token-0123456789"
MODERATOR = "moderator-token-0123456789"
OPERATOR = "operator-token-0123456789"
TOKENS = Tokens(viewer=SecretStr(VIEWER), moderator=SecretStr(MODERATOR), operator=SecretStr(OPERATOR))


def application(station: FakeStation, config: Console, paths: Paths, metrics: Metrics | None = None) -> FastAPI:
    """The console over a fake station, with the real prompt session."""

    def session(origin: Origin) -> PromptSession:
        return PromptSession(
            station, origin, max_bytes=config.max_message_bytes, per_minute=config.messages_per_minute
        )

    return create_app(
        station,
        config,
        paths,
        session=session,
        schema=published_schema(),
        max_text=station.max_text,
        metrics=metrics,
    )


@dataclass
class RunningConsole:
    station: FakeStation
    paths: Paths
    address: str
    """http://127.0.0.1:<port>/"""
    stop: asyncio.Event
    metrics: Metrics

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://").rstrip("/")

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    def http(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """A client by TCP."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(base_url=self.address, headers=fields, trust_env=False)

    def unix(self) -> httpx.AsyncClient:
        """A client by the control socket."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.paths.control_socket))
        return httpx.AsyncClient(base_url="http://broadcaster/", transport=transport, trust_env=False)

    def socket(self, token: str = "", path: str = "/ws", **options: Any) -> connect:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        return connect(f"ws://{self.host}{path}", additional_headers=headers, proxy=None, **options)

    def unix_socket(self, path: str = "/ws") -> connect:
        return unix_connect(str(self.paths.control_socket), uri=f"ws://broadcaster{path}")


@asynccontextmanager
async def running_console(
    paths: Paths, config: Console | None = None, station: FakeStation | None = None
) -> AsyncIterator[RunningConsole]:
    """Serves until the block ends; the stop is the daemon's own way of stopping."""
    config = config or Console(port=0)
    station = station or FakeStation()
    metrics = Metrics(processes=lambda: [("director", 50_000_000)])
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = application(station, config, paths, metrics)
    server: asyncio.Future[None] = asyncio.ensure_future(serve(app, config, paths, stop, started=address.set_result))
    waiting: list[asyncio.Future[Any]] = [server, address]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        await server
    try:
        yield RunningConsole(station, paths, address.result(), stop, metrics)
    finally:
        stop.set()
        await station.stop()
        await server


def check_error(response: httpx.Response, status: int, error: str) -> None:
    """A refusal of the API is JSON with a name for programs and a message for people."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert body["error"] == error
    assert body["message"]


async def receive(socket: ClientConnection) -> dict[str, Any]:
    """The next message as JSON; a silent server fails the test after 5 s."""
    async with asyncio.timeout(5):
        message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def ask(socket: ClientConnection, message: object) -> dict[str, Any]:
    """Sends a message (a mapping, text or bytes) and returns the next answer."""
    await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return await receive(socket)
