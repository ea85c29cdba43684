"""What the control API takes and answers, over real TCP: prompts, sinks, the as-run log, health, and bad requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from broadcaster.config import Console
from broadcaster.console import api
from broadcaster.errors import BroadcasterError
from broadcaster.paths import Paths
from broadcaster.types import Happening, Manner, RoomEvent
from tests.fakes.station import sink_status
from tests.support.console import MODERATOR, TOKENS, RunningConsole, check_error, running_console

pytestmark = pytest.mark.integration

WITH_TOKENS = Console(port=0, tokens=TOKENS, messages_per_minute=600)


@pytest_asyncio.fixture
async def open_console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths) as console:
        yield console


@pytest_asyncio.fixture
async def guarded(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, WITH_TOKENS) as console:
        yield console


async def test_a_prompt_is_in_the_queue_when_it_is_accepted(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        response = await client.post(
            "/api/prompts", json={"type": "ask", "text": "海水为什么是蓝色的？", "ref": "r7"}
        )
        assert response.status_code == 202
        assert response.json() == {"type": "accepted", "id": "p1", "ref": "r7"}
    [prompt] = open_console.station.waiting
    assert (prompt.kind, prompt.text, prompt.origin.source) == ("ask", "海水为什么是蓝色的？", "http")


async def test_an_event_of_the_room_is_a_prompt(guarded: RunningConsole) -> None:
    async with guarded.http(MODERATOR) as client:
        gift = {"type": "event", "event": "gift", "viewer": "小明", "item": "辣条", "count": 3}
        assert (await client.post("/api/prompts", json=gift)).status_code == 202
    [prompt] = guarded.station.waiting
    assert (prompt.kind, prompt.happening) == ("event", Happening(RoomEvent.GIFT, "辣条", 3))


async def test_a_prompt_carries_its_manner(guarded: RunningConsole) -> None:
    async with guarded.http(MODERATOR) as client:
        manner = {"speed": 1.25, "pitch": -2, "voice": "zm_yunxia"}
        response = await client.post("/api/prompts", json={"type": "say", "text": "慢慢说。", **manner})
        assert response.status_code == 202
        for wrong in ({"speed": 2.5}, {"pitch": "high"}, {"voice": "a/b"}, {"volume": 11}):
            response = await client.post("/api/prompts", json={"type": "say", "text": "不行。", **wrong})
            check_error(response, 422, "bad_message")
    [prompt] = guarded.station.waiting
    assert prompt.manner == Manner(1.25, -2.0, "zm_yunxia")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 422, "bad_message"),
        (b"{", 422, "bad_message"),
        (b"\xff\xfe", 422, "bad_message"),
        (b"[1,2]", 422, "bad_message"),
        (b"[" * 8000, 422, "bad_message"),
        (b"{}", 422, "bad_message"),
        (b'{"type":"panic"}', 422, "bad_message"),
        (b'{"type":"say"}', 422, "bad_message"),
        (b'{"type":"say","text":5}', 422, "bad_message"),
        (b'{"type":"say","text":"x","extra":1}', 422, "bad_message"),
        (b'{"type":"say","text":" "}', 422, "empty"),
        (json.dumps({"type": "say", "text": "字" * 2001}).encode(), 413, "too_long"),
        (json.dumps({"type": "say", "text": "x" * 20_000}).encode(), 413, "too_large"),
    ],
)
async def test_bad_bodies_get_a_clear_error_and_queue_nothing(
    open_console: RunningConsole, body: bytes, status: int, error: str
) -> None:
    async with open_console.http() as client:
        response = await client.post("/api/prompts", content=body, headers={"Content-Type": "application/json"})
        check_error(response, status, error)
    assert not open_console.station.waiting


async def test_a_body_that_grows_without_a_declared_length_is_stopped(open_console: RunningConsole) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    async with open_console.http() as client:
        response = await client.post("/api/prompts", content=endless(), headers={"Content-Type": "application/json"})
        check_error(response, 413, "too_large")


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    open_console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", open_console.port)
    writer.write(
        f"POST /api/login HTTP/1.1\r\nHost: {open_console.host}\r\nContent-Type: application/json\r\n"
        "Content-Length: 50\r\n\r\n{".encode()
    )
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_refusals_of_the_channel_have_their_own_status(open_console: RunningConsole) -> None:
    open_console.station.capacity = 1
    say = {"type": "say", "text": "你好"}
    async with open_console.http() as client:
        assert (await client.post("/api/prompts", json=say)).status_code == 202
        check_error(await client.post("/api/prompts", json=say), 503, "full")
        assert (await client.post("/api/panic")).json()["command"] == "panic"
        check_error(await client.post("/api/prompts", json=say), 409, "panicked")
        assert len(open_console.station.waiting) == 1, "panic keeps the queue"
        assert (await client.post("/api/resume")).json()["command"] == "resume"


async def test_messages_are_limited_by_peer_and_the_brakes_never(paths: Paths) -> None:
    async with running_console(paths, Console(port=0, messages_per_minute=3)) as console, console.http() as client:
        answers = [await client.post("/api/prompts", json={"type": "say", "text": "x"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert answers[3].headers["retry-after"]
        for path in ("/api/interrupt", "/api/panic"):
            assert [(await client.post(path)).status_code for _ in range(5)] == [200] * 5
        assert len(console.station.waiting) == 3


async def test_sink_commands_reach_playout_and_its_answer_comes_back(open_console: RunningConsole) -> None:
    station = open_console.station
    command = {"action": "change", "name": "main", "settings": {"type": "rtmp", "url": "rtmp://h/app", "key": "s3"}}
    async with open_console.http() as client:
        assert (await client.post("/api/sinks", json=command)).json() == {"ok": True}
        assert station.commands == [command]
        station.refuse_sink = "no sink is named main"
        check_error(await client.post("/api/sinks", json=command), 409, "refused")
        station.refuse_sink = "unavailable"
        check_error(await client.post("/api/sinks", json=command), 503, "unavailable")
        station.sinks = [sink_status("main", "rtmp", "live")]
        assert (await client.get("/api/sinks")).json()["sinks"][0]["name"] == "main"


async def test_no_time_is_too_long_ago_for_the_journal(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        answer = await client.get("/api/latency", params={"since_s": "9" * 18})
        assert answer.status_code == 200
        assert (open_console.station.latency_since_ns or 0) > 0


async def test_the_as_run_log_is_paged(open_console: RunningConsole) -> None:
    station = open_console.station
    async with open_console.http() as client:
        for text in ("一", "二", "三"):
            await client.post("/api/prompts", json={"type": "say", "text": text})
            await station.air()
            await station.finish()
        newest = (await client.get("/api/asrun", params={"limit": 2})).json()["rows"]
        assert [row["text"] for row in newest] == ["三", "二"]
        older = (await client.get("/api/asrun", params={"limit": 2, "before": newest[-1]["row"]})).json()["rows"]
        assert [row["text"] for row in older] == ["一"]
        for bad in ("x", "-1", "1.5", "9" * 30, "٣"):
            check_error(await client.get("/api/asrun", params={"limit": bad}), 422, "bad_query")


async def test_a_log_that_cannot_be_read_is_an_error_of_its_own(open_console: RunningConsole) -> None:
    async def damaged(limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        raise BroadcasterError("the journal is damaged")

    open_console.station.asrun = damaged  # type: ignore[method-assign]  # a fault of the disk
    async with open_console.http() as client:
        check_error(await client.get("/api/asrun"), 503, "journal")


async def test_health_tells_live_from_ready(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        assert (await client.get("/health/ready")).json() == {"ready": True, "reasons": []}
        open_console.station.connected = False
        response = await client.get("/health/ready")
        assert response.status_code == 503
        assert response.json()["reasons"] == ["the director is not connected to playout"]
        assert (await client.get("/health/live")).status_code == 200


async def test_the_schema_includes_logging_in(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        defs = (await client.get("/api/schema")).json()["$defs"]
    assert {"Say", "Ask", "Interrupt", "Panic", "Resume", "Accepted", "OnAir", "Done", "Skipped"} <= set(defs)
    assert {"$ref": "#/$defs/Auth"} in defs["inbound"]["oneOf"]
    assert {"$ref": "#/$defs/Welcome"} in defs["outbound"]["oneOf"]


async def test_unknown_addresses_and_methods_are_json_errors(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        for path in (
            "/nope",
            "/static/nope.js",
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/docs",
            "/openapi.json",
        ):
            check_error(await client.get(path), 404, "not_found")
        check_error(await client.request("DELETE", "/api/status"), 405, "method_not_allowed")


async def test_a_failing_station_is_a_json_error_without_its_insides(
    open_console: RunningConsole, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("CANARY inside")

    open_console.station.status = broken  # type: ignore[method-assign]  # a fault no fake has by itself
    async with open_console.http() as client:
        response = await client.get("/api/status")
        check_error(response, 500, "internal")
        assert "CANARY" not in response.text
    del open_console.station.status
    assert "CANARY inside" in caplog.text, "the log says why"


async def test_many_requests_at_once_are_all_answered(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        answers = await asyncio.gather(*(client.get("/api/status") for _ in range(60)))
    assert [answer.status_code for answer in answers] == [200] * 60
