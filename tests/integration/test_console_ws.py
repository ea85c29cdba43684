"""The prompt websocket over real TCP: messages, events, limits, slow readers and bad input."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from broadcaster.config import Console
from broadcaster.console import websocket as console_websocket
from broadcaster.paths import Paths
from broadcaster.types import Manner
from sources.schema import published_schema
from tests.fakes.station import FakeStation
from tests.support.console import (
    RunningConsole,
    ask,
    receive,
    running_console,
)
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, Console(port=0, messages_per_minute=60_000)) as running:
        yield running


async def test_the_manner_of_a_prompt_reaches_the_channel_and_a_wrong_one_is_answered(
    console: RunningConsole,
) -> None:
    async with console.socket() as connection:
        await receive(connection)
        manner = {"speed": 0.8, "pitch": 1.5, "voice": "longanyang"}
        assert (await ask(connection, {"type": "ask", "text": "谁？", **manner}))["type"] == "accepted"
        wrong = await ask(connection, {"type": "say", "text": "好。", "pitch": 7, "ref": "w"})
        assert (wrong["code"], wrong["ref"]) == ("bad_message", "w")
    [prompt] = console.station.waiting
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
            assert [prompt.id for prompt in station.waiting] == accepted
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
