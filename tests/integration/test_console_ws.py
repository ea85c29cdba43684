"""The prompt websocket over real TCP and the real control socket: logging in, messages, events, limits, bad input."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broadcaster.config import Console
from broadcaster.console import websocket as console_websocket
from broadcaster.paths import Paths
from broadcaster.types import Manner, Role
from sources.schema import published_schema
from tests.fakes.station import FakeStation
from tests.support.console import (
    MODERATOR,
    OPERATOR,
    TOKENS,
    VIEWER,
    RunningConsole,
    ask,
    receive,
    running_console,
    until,
)

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
    assert not guarded.station.queue


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
    assert len(guarded.station.queue) == len(allowed & {"say", "ask"})


async def answer_to(connection: Any, ref: str) -> dict[str, Any]:
    """The answer that carries `ref`; events in between are passed over."""
    while True:
        message = await receive(connection)
        if message.get("ref") == ref:
            return message


async def test_the_manner_of_a_prompt_reaches_the_channel_and_a_wrong_one_is_answered(
    console: RunningConsole,
) -> None:
    async with console.socket() as connection:
        await receive(connection)
        manner = {"speed": 0.8, "pitch": 1.5, "voice": "longanyang"}
        assert (await ask(connection, {"type": "ask", "text": "谁？", **manner}))["type"] == "accepted"
        wrong = await ask(connection, {"type": "say", "text": "好。", "pitch": 7, "ref": "w"})
        assert (wrong["code"], wrong["ref"]) == ("bad_message", "w")
    [prompt] = console.station.queue
    assert prompt.manner == Manner(0.8, 1.5, "longanyang")


async def test_the_life_of_a_prompt(console: RunningConsole) -> None:
    async with console.socket() as connection, console.unix_socket() as other:
        await receive(connection)
        await receive(other)
        accepted = await ask(connection, {"type": "say", "text": "大家好。", "ref": "mine"})
        assert accepted == {"type": "accepted", "id": "p1", "ref": "mine"}
        await console.station.air()
        await console.station.finish()
        seen = [await receive(connection) for _ in range(4)]
        assert [message["type"] for message in seen] == ["on_air", "status", "done", "status"]
        assert seen[0] == {"type": "on_air", "id": "p1", "sentence": 0, "text": "大家好。", "tick": 1000}
        assert seen[1]["status"]["now"]["text"] == "大家好。"
        assert [(await receive(other))["type"] for _ in range(4)] == [message["type"] for message in seen]


async def test_everything_sent_is_of_the_published_schema(console: RunningConsole) -> None:
    async with console.http() as client:
        schema = (await client.get("/api/schema")).json()
    outbound = jsonschema.Draft202012Validator({"$ref": "#/$defs/outbound", "$defs": schema["$defs"]})
    async with console.socket() as connection:
        seen = [await receive(connection)]
        for message in ({"type": "say", "text": "x"}, {"type": "interrupt"}, {"type": "nope"}):
            seen.append(await ask(connection, message))
        await console.station.air()
        await console.station.interrupt(console.station.calls[0][1])
        seen += [await receive(connection) for _ in range(3)]
        assert {message["type"] for message in seen} == {
            "welcome", "accepted", "ok", "error", "on_air", "status", "cut",
        }  # fmt: skip
        for message in seen:
            outbound.validate(message)


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


async def test_the_rate_is_limited_and_the_brakes_are_not(paths: Paths) -> None:
    async with running_console(paths, Console(port=0, messages_per_minute=3)) as console:
        async with console.socket() as connection:
            await receive(connection)
            answers = [await ask(connection, {"type": "say", "text": "x"}) for _ in range(5)]
            assert [answer["type"] for answer in answers] == ["accepted"] * 3 + ["error"] * 2
            assert answers[-1]["code"] == "rate_limited"
            assert [(await ask(connection, {"type": "interrupt"}))["type"] for _ in range(10)] == ["ok"] * 10
            assert (await ask(connection, "nonsense"))["code"] == "rate_limited", "faults count too"


async def test_size_limits_an_error_first_then_the_door(paths: Paths) -> None:
    async with running_console(paths, Console(port=0, max_message_bytes=256)) as console:
        async with console.socket() as connection:
            await receive(connection)
            for size in (257, 1000):
                assert (await ask(connection, "x" * size))["code"] == "too_large"
            long = {"type": "say", "text": "字" * 80}
            assert (await ask(connection, json.dumps(long, ensure_ascii=False)))["code"] == "too_large"
            assert (await ask(connection, {"type": "say", "text": "x"}))["type"] == "accepted"
            await connection.send("x" * 2000)
            with pytest.raises(ConnectionClosed):
                await receive(connection)
            assert connection.close_code == 1009
        async with console.socket() as again:
            assert (await receive(again))["type"] == "welcome"


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


async def test_a_subscriber_that_does_not_read_is_dropped_alone(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_websocket, "SEND_TIMEOUT_S", 0.3)
    async with console.socket() as healthy:
        await receive(healthy)
        with socket.create_connection(("127.0.0.1", console.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(
                f"GET /ws HTTP/1.1\r\nHost: {console.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            await until(lambda: console.station.subscribers == 2)
            heard = 0
            while console.station.subscribers == 2:
                await console.station.emit({"type": "status", "status": {"padding": "x" * 50_000}})
                await receive(healthy)
                heard += 1
                assert heard < 3000
        assert console.station.subscribers == 1
        await console.station.emit({"type": "done", "id": "p9"})
        assert (await receive(healthy))["id"] == "p9"
    async with console.http() as client:
        assert 'broadcaster_console_slow_clients_total{socket="prompts"} 1.0' in (await client.get("/metrics")).text


async def test_a_stop_of_the_daemon_closes_with_going_away(paths: Paths) -> None:
    async with running_console(paths) as console:
        connection = await console.socket().__aenter__()
        await receive(connection)
        console.stop.set()
        with pytest.raises(ConnectionClosed):
            await receive(connection)
        assert connection.close_code == 1012
        await connection.close()


MESSAGES = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ).map(json.dumps),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["say", "ask", "interrupt", "resume", "auth", "status", "x", None, 3])},
        optional={
            "text": st.text(max_size=2100) | st.integers(),
            "ref": st.text(max_size=70) | st.none(),
            "id": st.text(),
        },
    ).map(json.dumps),
)


async def test_no_message_breaks_the_connection_or_loses_another(paths: Paths) -> None:
    """Raw bytes and messages near the schema: one answer each, and every accepted prompt is in the queue."""
    station = FakeStation(capacity=100_000)
    inbound = jsonschema.Draft202012Validator({"$ref": "#/$defs/inbound", "$defs": published_schema()["$defs"]})
    async with running_console(paths, Console(port=0, messages_per_minute=60_000), station) as console:
        async with console.socket() as connection:
            await receive(connection)
            loop = asyncio.get_running_loop()
            accepted: list[str] = []

            async def exchange(raw: str | bytes) -> dict[str, Any]:
                await connection.send(raw)
                while (answer := await receive(connection))["type"] in ("status", "cut"):
                    pass
                return answer

            def run() -> None:
                @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
                @given(raw=MESSAGES)
                def each(raw: str | bytes) -> None:
                    if isinstance(raw, str):
                        raw = raw.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
                    answer = asyncio.run_coroutine_threadsafe(exchange(raw), loop).result(10)
                    assert answer["type"] in ("accepted", "ok", "error")
                    if answer["type"] == "error":
                        assert answer["message"]
                    else:
                        inbound.validate(json.loads(raw))
                    if answer["type"] == "accepted":
                        accepted.append(answer["id"])

                each()

            await asyncio.to_thread(run)
            assert [prompt.id for prompt in station.queue] == accepted
            assert (await ask(connection, {"type": "say", "text": "还在"}))["type"] == "accepted"


async def test_broken_frames_end_only_their_own_connection(console: RunningConsole) -> None:
    async with console.socket() as healthy:
        await receive(healthy)
        for junk in (
            b"\x81\x85abcd\xff\xfe\xfd\xfc\xfb",
            b"\xff" * 64,
            b"\x09\xff",
            b"\x83\x80abcd",
            b"\x81\xfe\xff",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
            writer.write(
                f"GET /ws HTTP/1.1\r\nHost: {console.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            writer.write(junk)
            writer.write_eof()
            async with asyncio.timeout(5):
                await reader.read()
            writer.close()
        for junk in (
            b"\x00" * 100 + b"\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
            writer.write(junk)
            async with asyncio.timeout(5):
                assert b" 4" in (await reader.readline())
            writer.close()
        assert (await ask(healthy, {"type": "say", "text": "x"}))["type"] == "accepted"
