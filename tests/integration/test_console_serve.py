"""Listening: the sockets, who may connect to them, a clean stop, and what is refused before anything listens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect

from broadcaster.config import Console, Tokens
from broadcaster.console import listen
from broadcaster.console.listen import page_address
from broadcaster.console.server import create_app, serve
from broadcaster.errors import ConfigError
from broadcaster.paths import Paths
from sources.schema import published_schema
from tests.fakes.preview import TestCard
from tests.fakes.station import FakeStation
from tests.support.console import OPERATOR, TOKENS, application, receive, running_console
from tests.support.waiting import until

pytestmark = pytest.mark.integration


async def test_the_control_socket_is_private_and_replaces_a_stale_one(paths: Paths) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(paths.control_socket))
    stale.close()
    async with running_console(paths) as console:
        mode = paths.control_socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        async with console.unix() as client:
            assert (await client.get("/health/live")).status_code == 200
    assert not paths.control_socket.exists()
    assert list(paths.run.iterdir()) == []


async def test_a_successors_socket_is_not_removed(paths: Paths) -> None:
    async with running_console(paths):
        paths.control_socket.unlink()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as successor:
            successor.bind(str(paths.control_socket))
    assert paths.control_socket.exists()


async def test_the_page_answers_on_the_printed_address(paths: Paths) -> None:
    async with running_console(paths) as console, httpx.AsyncClient(trust_env=False) as client:
        page = await client.get(console.address)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")


async def test_ipv6_loopback_is_served(paths: Paths) -> None:
    async with running_console(paths, Console(host="::1", port=0)) as console, console.http() as client:
        assert console.address.startswith("http://[::1]:")
        assert (await client.get("/api/session")).json()["role"] == "operator"


async def test_another_address_is_served_with_tokens_only_and_by_its_own_name(paths: Paths) -> None:
    config = Console(host="0.0.0.0", port=0, tokens=TOKENS)
    async with running_console(paths, config) as console, console.http(OPERATOR) as client:
        assert console.address.startswith("http://127.0.0.1:")
        assert (await client.get("/api/status")).status_code == 200
        assert (await client.get("/api/status", headers={"Host": "127.0.0.2"})).status_code == 200
        assert (await client.get("/api/status", headers={"Host": "studio.example"})).status_code == 403
    async with running_console(paths, config) as console, console.http() as client:
        assert (await client.get("/api/status")).status_code == 401, "loopback is nobody once there are tokens"


@pytest.mark.parametrize(
    "tokens", [Tokens(), Tokens(viewer=SecretStr("v" * 20)), Tokens(operator=SecretStr("short"))]
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "studio.example"])
async def test_unsafe_addresses_are_refused_before_anything_listens(paths: Paths, host: str, tokens: Tokens) -> None:
    unsafe = Console.model_construct(host=host, port=0, tokens=tokens, allowed_hosts=[], allowed_origins=[])
    with pytest.raises(ConfigError, match=r"^console\."):
        create_app(FakeStation(), unsafe, paths, session=lambda _: pytest.fail("unused"), schema=published_schema())
    app = application(FakeStation(), Console(port=0), paths)
    with pytest.raises(ConfigError, match=r"^console\."):
        await serve(app, unsafe, paths, asyncio.Event())
    assert not paths.control_socket.exists()


async def test_a_taken_port_is_a_configuration_error_that_says_what_to_do(paths: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = Console(port=other.getsockname()[1])
        with pytest.raises(
            ConfigError, match=r"console\.port: cannot listen on 127\.0\.0\.1 port \d+ .*choose another"
        ):
            await serve(application(FakeStation(), config, paths), config, paths, asyncio.Event())
    assert not paths.control_socket.exists()


async def test_answers_are_not_delayed_by_nagle(paths: Paths) -> None:
    """asyncio sets TCP_NODELAY on accepted sockets only if the listening one names its protocol."""
    seen: list[int] = []
    config = Console(port=0)
    app = application(FakeStation(), config, paths)
    original: Any = asyncio.get_running_loop().create_server

    async def watched(*args: Any, **kwargs: Any) -> asyncio.Server:
        listening = kwargs["sock"]
        if listening.family == socket.AF_INET:
            seen.append(listening.proto)
        server: asyncio.Server = await original(*args, **kwargs)
        return server

    asyncio.get_running_loop().create_server = watched  # type: ignore[method-assign]
    stop = asyncio.Event()
    await serve(app, config, paths, stop, started=lambda _: stop.set())
    assert seen == [socket.IPPROTO_TCP]


async def test_a_stop_ends_open_websockets_previews_and_requests(paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")):
        async with running_console(paths) as console:
            prompts = await console.socket().__aenter__()
            preview = await console.socket(path="/ws/preview/preview").__aenter__()
            await receive(prompts)
            await preview.recv()
            console.stop.set()
            await asyncio.wait_for(asyncio.gather(prompts.wait_closed(), preview.wait_closed()), 5)
            assert (prompts.close_code, preview.close_code) == (1012, 1012)
    assert console.station.subscribers == 0


async def test_a_cancelled_server_says_goodbye_too(paths: Paths) -> None:
    config = Console(port=0)
    station = FakeStation()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = application(station, config, paths)
    serving = asyncio.ensure_future(serve(app, config, paths, asyncio.Event(), address.set_result))
    async with connect((await address).replace("http", "ws") + "ws", proxy=None) as connection:
        await receive(connection)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await asyncio.wait_for(connection.wait_closed(), 5)
        assert connection.close_code == 1012
    assert not paths.control_socket.exists()
    assert station.subscribers == 0


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET"]
)
async def test_a_connection_that_asks_nothing_is_let_go(
    paths: Paths, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "IDLE_S", 0.05)
    async with running_console(paths) as console, console.socket() as websocket:
        await receive(websocket)
        reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
        writer.write(said)
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200") if said.endswith(b"GET") else answer == b""
        writer.close()
        await console.station.emit({"type": "done", "id": "p1"})
        assert (await receive(websocket))["type"] == "done", "websockets may be silent"


async def test_signals_stay_the_directors(paths: Paths) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with running_console(paths):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_no_descriptor_is_left_behind(paths: Paths) -> None:
    async with running_console(paths):
        pass
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        async with running_console(paths) as console, console.socket() as connection:
            await receive(connection)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


@pytest.mark.parametrize(
    ("bound", "shown"), [(("127.0.0.1", 8090), "http://127.0.0.1:8090/"), (("0.0.0.0", 80), "http://127.0.0.1:80/")]
)
def test_the_shown_address(bound: tuple[str, int], shown: str) -> None:
    class Bound:
        def getsockname(self) -> tuple[str, int]:
            return bound

    assert page_address(Bound()) == shown  # type: ignore[arg-type]  # only its name is asked
