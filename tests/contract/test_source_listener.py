"""The listener of sources that others knock at: its bounds, its start and end, and that nobody can hold it up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from broadcaster.errors import SourceError
from sources.listener import Limits, Listener
from tests.support.waiting import until

pytestmark = pytest.mark.contract


class Hall:
    """An application that counts bytes, echoes lines, fails when it is told to, and holds requests until `open`."""

    def __init__(self) -> None:
        self.inside = 0
        self.open = threading.Event()
        self.app = Starlette(
            routes=[
                Route("/count", self._count, methods=["POST"]),
                Route("/hold", self._hold, methods=["POST"]),
                Route("/fail", self._fail, methods=["POST"]),
                WebSocketRoute("/lines", self._lines),
                WebSocketRoute("/deaf", self._deaf),
                WebSocketRoute("/broken", self._broken),
            ]
        )

    async def _count(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def _hold(self, request: Request) -> PlainTextResponse:
        self.inside += 1
        while not self.open.is_set():  # noqa: ASYNC110  # an event of another thread
            await asyncio.sleep(0.002)
        return PlainTextResponse("held")

    async def _fail(self, request: Request) -> PlainTextResponse:
        raise RuntimeError("this text is a viewer's")

    async def _lines(self, door: WebSocket) -> None:
        await door.accept()
        async for line in door.iter_text():
            await door.send_text(line)

    async def _deaf(self, door: WebSocket) -> None:
        """Talks on when its peer has left."""
        await door.accept()
        while True:
            await door.send_text("x")
            await asyncio.sleep(0.002)

    async def _broken(self, door: WebSocket) -> None:
        await door.accept()
        await door.receive_text()
        raise RuntimeError("this text is a viewer's")


@asynccontextmanager
async def listening(**limits: Any) -> AsyncIterator[tuple[Listener, Hall, httpx.AsyncClient]]:
    hall = Hall()
    async with (
        Listener(hall.app, name="hall", limits=Limits(**limits)) as listener,
        httpx.AsyncClient(base_url=listener.address, trust_env=False, timeout=10) as client,
    ):
        yield listener, hall, client
        hall.open.set()


async def raw(listener: Listener, data: bytes, *, then: Callable[[], object] = lambda: None) -> bytes:
    """Everything that comes back for `data` until the listener closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(data)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_requests_and_lines() -> None:
    async with listening() as (listener, _, client):
        assert (await client.post("/count", content=b"x" * 1000)).text == "1000"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"y" * 100

        assert (await client.post("/count", content=pieces())).text == "500"
        async with websockets.connect(f"ws://127.0.0.1:{listener.port}/lines") as line:
            await line.send("一行")
            assert await line.recv() == "一行"
        assert not any(listener.refused.values())


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    async with listening(body=1000) as (listener, _, client):
        assert (await client.post("/count", content=b"x" * 1001)).status_code == 413
        assert (await client.post("/count", content=b"x" * 1000)).status_code == 200
        assert (await client.post("/count", content=b"x" * 20_000_000)).status_code == 413
        boast = b"POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(boast)
        assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        head = b"POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        assert b" 413 " in await raw(listener, head + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
        assert listener.refused["too_large"] == 4


async def test_a_head_that_is_too_large_ends_its_connection() -> None:
    async with listening(head=2000) as (listener, _, client):
        flood = b"POST /count HTTP/1.1\r\nhost: a\r\n" + b"x-more: y\r\n" * 1000
        assert (await raw(listener, flood)).startswith(b"HTTP/1.1 400")
        assert listener.refused["malformed"] == 1
        assert (await client.post("/count")).status_code == 200


async def test_what_is_no_http_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (listener, _, _):
        for noise in (b"\x00\x01\x02\r\n\r\n", b"SSH-2.0-x\r\n\r\n", "你好\r\n\r\n".encode()):
            await raw(listener, noise)
        assert listener.refused["malformed"] == 3
    assert not caplog.records


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /co", b"POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345"],
    ids=["nothing", "head", "body"],
)
async def test_a_peer_that_never_ends_is_let_go(begun: bytes) -> None:
    async with listening(request_s=0.1) as (listener, _, _):
        answer = await raw(listener, begun)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
        assert listener.refused["too_slow"] == 1
        await until(lambda: listener.connections == 0)


async def test_a_peer_that_drips_is_let_go_as_well() -> None:
    async with listening(request_s=0.2) as (listener, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)

        async def drip() -> None:
            for byte in b"POST /count HTTP/1.1\r\nx-long: " + b"z" * 10_000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()
        assert listener.refused["too_slow"] == 1


async def test_requests_at_once_are_bounded() -> None:
    async with listening(requests=2) as (listener, hall, client):
        holding = [asyncio.create_task(client.post("/hold")) for _ in range(2)]
        await until(lambda: hall.inside == 2)
        refused = await client.post("/count")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        hall.open.set()
        assert [(await answer).text for answer in holding] == ["held", "held"]
        assert (await client.post("/count")).status_code == 200
        assert listener.refused["too_many"] == 1


async def test_what_is_held_of_all_bodies_is_bounded() -> None:
    async with listening(held=1500, body=1000) as (_, hall, client):
        holding = asyncio.create_task(client.post("/hold", content=b"x" * 1000))
        await until(lambda: hall.inside == 1)
        assert (await client.post("/count", content=b"x" * 600)).status_code == 503
        hall.open.set()
        await holding
        assert (await client.post("/count", content=b"x" * 600)).status_code == 200


async def test_open_connections_are_bounded() -> None:
    async with listening(connections=3) as (listener, _, _):
        open_ones = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(3)]
        await until(lambda: listener.connections == 3)
        assert await raw(listener, b"") == b""
        for connection in open_ones:
            connection.close()
        await until(lambda: listener.connections == 0)
        assert listener.refused["too_many"] == 1
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"{listener.address}/count")).status_code == 200


async def test_browsers_are_refused() -> None:
    async with listening() as (listener, _, client):
        assert (await client.post("/count", headers={"origin": "http://127.0.0.1"})).status_code == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{listener.port}/lines", origin="null").__aenter__()
        assert refused.value.response.status_code == 403
        assert listener.refused["origin"] == 2


async def test_a_message_that_is_too_large_ends_its_websocket() -> None:
    async with listening(message=1000) as (listener, _, _):
        async with websockets.connect(f"ws://127.0.0.1:{listener.port}/lines") as line:
            await line.send("x" * 1001)
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009


async def test_a_fault_of_the_application_is_told_once_and_without_words(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (listener, _, client):
        assert [(await client.post("/fail")).status_code for _ in range(3)] == [500] * 3
        async with websockets.connect(f"ws://127.0.0.1:{listener.port}/broken") as line:
            await line.send("x")
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
        assert listener.refused["failed"] == 4
    (record,) = caplog.records
    assert "viewer" not in record.getMessage()


async def test_a_peer_that_leaves_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (listener, _, _):
        line = await websockets.connect(f"ws://127.0.0.1:{listener.port}/deaf").__aenter__()
        await line.recv()
        line.transport.abort()
        await until(lambda: listener.connections == 0)
        await asyncio.sleep(0.02)  # the application finds out when it talks on
        assert listener.refused["failed"] == 0
    assert not caplog.records


async def test_it_answers_while_the_directors_loop_stands_still() -> None:
    async with listening() as (listener, _, _):
        answers: list[int] = []

        def knock() -> None:
            for _ in range(3):
                answers.append(httpx.post(f"{listener.address}/count", content=b"x", trust_env=False).status_code)

        thread = threading.Thread(target=knock)
        thread.start()
        thread.join(20)  # the loop of this test is the director's, and stands still here
        assert answers == [200] * 3


async def test_a_port_that_is_taken_is_named() -> None:
    async with listening() as (listener, _, _):
        with pytest.raises(SourceError, match=f"port {listener.port}") as taken:
            await Listener(Hall().app, name="second", port=listener.port).__aenter__()
        assert taken.value.retryable
    with pytest.raises(SourceError, match=r"no\.such\.host\.invalid") as nowhere:
        await Listener(Hall().app, name="third", host="no.such.host.invalid").__aenter__()
    assert not nowhere.value.retryable


async def test_it_ends_with_idle_and_with_busy_peers_and_leaves_no_thread() -> None:
    before = threading.active_count()
    async with listening() as (listener, hall, client):
        await client.post("/count")
        held = asyncio.create_task(client.post("/hold"))
        line = await websockets.connect(f"ws://127.0.0.1:{listener.port}/lines").__aenter__()
        await until(lambda: hall.inside == 1)
        threading.Timer(0.05, hall.open.set).start()
        began = time.monotonic()
        await listener.__aexit__(None, None, None)
        assert time.monotonic() - began < 20
        assert (await held).text == "held"
        with pytest.raises(websockets.ConnectionClosed):
            await line.recv()
        with pytest.raises(httpx.ConnectError):
            await client.post("/count")
        with pytest.raises(SourceError, match="has ended"):
            await listener.ended()
    await until(lambda: threading.active_count() <= before)


async def test_it_can_be_entered_again() -> None:
    listener = Listener(Hall().app, name="again")
    for _ in range(2):
        async with listener, httpx.AsyncClient(base_url=listener.address, trust_env=False) as client:
            assert (await client.post("/count")).status_code == 200


async def test_a_thread_that_outlives_its_time_does_not_end_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.listener.GRACE_S", 0.0)
    inside, leave = threading.Event(), threading.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        inside.set()
        leave.wait(20)

    listener = Listener(stuck, name="stuck")
    async with listener, httpx.AsyncClient(base_url=listener.address, trust_env=False) as client:
        asked = asyncio.create_task(client.post("/"))
        await until(inside.is_set)
        (old,) = [thread for thread in threading.enumerate() if thread.name == "source-stuck"]
    await asyncio.gather(asked, return_exceptions=True)
    listener.port = 0
    async with listener:
        ended = asyncio.create_task(listener.ended())
        leave.set()
        await until(lambda: not old.is_alive())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not ended.done()
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
