"""Access to the prompt websocket over real TCP and the control socket: logging in, roles, the handshake, places."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broadcaster.config import Console
from broadcaster.console import websocket as console_websocket
from broadcaster.paths import Paths
from broadcaster.types import Role
from tests.support.console import (
    MODERATOR,
    OPERATOR,
    TOKENS,
    VIEWER,
    RunningConsole,
    ask,
    receive,
    running_console,
)
from tests.support.waiting import until

pytestmark = pytest.mark.integration

WITH_TOKENS = Console(port=0, tokens=TOKENS)


@pytest_asyncio.fixture
async def console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, Console(port=0, messages_per_minute=60_000)) as running:
        yield running


@pytest_asyncio.fixture
async def guarded(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, WITH_TOKENS) as running:
        yield running


async def refused(attempt: Any) -> dict[str, Any]:
    """The JSON body of a refused handshake, with its status."""
    with pytest.raises(InvalidStatus) as err:
        async with attempt:
            pass
    response = err.value.response
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = json.loads(response.body)
    return {"status": response.status_code, **body}


def coded(token: str) -> str:
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize(("token", "role"), [(VIEWER, "viewer"), (MODERATOR, "moderator"), (OPERATOR, "operator")])
async def test_four_ways_to_present_a_token(guarded: RunningConsole, token: str, role: str) -> None:
    welcome = {"type": "welcome", "role": role}
    async with guarded.socket(token) as by_header:
        assert await receive(by_header) == welcome
    async with guarded.socket(subprotocols=["broadcaster.v1", coded(token)]) as by_protocol:
        assert await receive(by_protocol) == welcome
        assert by_protocol.subprotocol == "broadcaster.v1", "the token's protocol is never echoed"
    async with guarded.socket() as by_message:
        assert await ask(by_message, {"type": "auth", "token": token}) == welcome
    async with guarded.http() as client:
        await client.post("/api/login", json={"token": token})
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    async with guarded.socket(headers={"Cookie": cookie}) as by_cookie:
        assert await receive(by_cookie) == welcome


async def test_a_peer_of_the_control_socket_is_the_local_operator(guarded: RunningConsole) -> None:
    async with guarded.unix_socket() as connection:
        assert await receive(connection) == {"type": "welcome", "role": "operator"}
        assert (await ask(connection, {"type": "interrupt"}))["type"] == "ok"
    assert guarded.station.calls[0][1].role is Role.OPERATOR


@pytest.mark.parametrize(
    "first",
    ['{"type":"say","text":"x"}', '{"type":"auth"}', '{"type":"auth","token":5}', "nonsense", "[]", "null",
     "[" * 9000, b"\xff\x00", '{"type":"auth","token":"wrong"}'],
)  # fmt: skip
async def test_a_stranger_is_told_why_and_let_go(guarded: RunningConsole, first: str | bytes) -> None:
    async with guarded.socket() as connection:
        answer = await ask(connection, first)
        assert answer["type"] == "error"
        assert answer["code"] in ("unauthorised", "wrong_token")
        with pytest.raises(ConnectionClosed):
            await receive(connection)
        assert connection.close_code == 4401
    assert not guarded.station.waiting


async def test_a_stranger_who_says_nothing_is_let_go(
    guarded: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_websocket, "AUTH_TIMEOUT_S", 0.05)
    async with guarded.socket() as connection:
        assert (await receive(connection))["code"] == "unauthorised"
        with pytest.raises(ConnectionClosed):
            await receive(connection)
        assert connection.close_code == 4401


async def test_wrong_credentials_are_refused_in_the_handshake(guarded: RunningConsole) -> None:
    assert (await refused(guarded.socket("wrong")))["status"] == 401
    assert (await refused(guarded.socket(subprotocols=["broadcaster.v1", coded("wrong")])))["error"] == "wrong_token"
    answer = await refused(guarded.socket(path=f"/ws?token={OPERATOR}"))
    assert (answer["status"], answer["error"]) == (400, "token_in_query")


@pytest.mark.parametrize("path", ["/ws", "/ws/preview/preview"])
async def test_host_and_origin_are_checked_in_the_handshake(paths: Paths, path: str) -> None:
    async with running_console(paths) as console:
        for headers, error in (
            ({"Origin": "http://evil.example"}, "origin_not_allowed"),
            ({"Origin": "null"}, "origin_not_allowed"),
            ({"Origin": f"http://localhost:{console.port}"}, "origin_not_allowed"),
        ):
            answer = await refused(console.socket(path=path, headers=headers))
            assert (answer["status"], answer["error"]) == (403, error)
        rebound = connect(f"ws://evil.example:{console.port}{path}", host="127.0.0.1", port=console.port, proxy=None)
        answer = await refused(rebound)
        assert (answer["status"], answer["error"]) == (403, "host_not_allowed")
        assert console.station.subscribers == 0


async def test_an_unknown_websocket_is_refused(console: RunningConsole) -> None:
    with pytest.raises(InvalidStatus):
        async with console.socket(path="/ws/nothing"):
            pass


@pytest.mark.parametrize(
    ("token", "allowed"),
    [(VIEWER, set()), (MODERATOR, {"say", "ask", "interrupt", "panic"}),
     (OPERATOR, {"say", "ask", "interrupt", "panic", "resume"})],
)  # fmt: skip
async def test_what_each_role_may_say(guarded: RunningConsole, token: str, allowed: set[str]) -> None:
    async with guarded.socket(token) as connection:
        await receive(connection)
        for kind in ("say", "ask", "interrupt", "resume", "panic"):
            text = {"text": "你好"} if kind in ("say", "ask") else {}
            await connection.send(json.dumps({"type": kind, "ref": kind, **text}))
            answer = await answer_to(connection, kind)
            if kind in allowed:
                assert answer["type"] in ("accepted", "ok")
            else:
                assert (answer["type"], answer["code"]) == ("error", "forbidden")
    assert len(guarded.station.waiting) == len(allowed & {"say", "ask"})


async def answer_to(connection: Any, ref: str) -> dict[str, Any]:
    """The answer that carries `ref`; events in between are passed over."""
    while True:
        message = await receive(connection)
        if message.get("ref") == ref:
            return message


async def test_panic_over_the_websocket_and_who_may_resume(guarded: RunningConsole) -> None:
    async with guarded.socket(MODERATOR) as moderator, guarded.socket(OPERATOR) as operator:
        await receive(moderator)
        await receive(operator)
        await moderator.send(json.dumps({"type": "panic", "ref": "p"}))
        assert (await answer_to(moderator, "p"))["command"] == "panic"
        await moderator.send(json.dumps({"type": "say", "text": "x", "ref": "s"}))
        assert (await answer_to(moderator, "s"))["code"] == "panicked"
        await moderator.send(json.dumps({"type": "resume", "ref": "r"}))
        assert (await answer_to(moderator, "r"))["code"] == "forbidden"
        await operator.send(json.dumps({"type": "resume", "ref": "r"}))
        assert (await answer_to(operator, "r"))["type"] == "ok"
        await moderator.send(json.dumps({"type": "say", "text": "x", "ref": "t"}))
        assert (await answer_to(moderator, "t"))["type"] == "accepted"


async def test_the_number_of_clients_is_bounded_and_the_control_socket_is_not(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_websocket, "MAX_CLIENTS", 2)
    async with console.socket() as first, console.socket() as second:
        await receive(first)
        await receive(second)
        answer = await refused(console.socket())
        assert (answer["status"], answer["error"]) == (503, "too_many_clients")
        async with console.unix_socket() as local:
            assert (await receive(local))["type"] == "welcome"
    await until(lambda: console.station.subscribers == 0)
    async with console.socket() as third:
        assert (await receive(third))["type"] == "welcome"


async def test_strangers_do_not_take_the_places_of_others(
    guarded: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_websocket, "MAX_STRANGERS", 1)
    monkeypatch.setattr(console_websocket, "MAX_CLIENTS", 1)
    async with guarded.socket() as stranger:
        assert (await refused(guarded.socket()))["error"] == "too_many_clients"
        async with guarded.socket(VIEWER) as known:
            assert (await receive(known))["type"] == "welcome"
            answer = await ask(stranger, {"type": "auth", "token": OPERATOR})
            assert (answer["type"], answer["code"]) == ("error", "too_many_clients")
            with pytest.raises(ConnectionClosed):
                await receive(stranger)
            assert stranger.close_code == 1013
    async with guarded.socket() as stranger:
        assert (await ask(stranger, {"type": "auth", "token": OPERATOR}))["type"] == "welcome"
