"""The moderators' routes of the control API, over real TCP."""

from __future__ import annotations

import pytest

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.types import Inbound, Origin, PromptKind, Role
from tests.support.console import MODERATOR, TOKENS, VIEWER, ask, check_error, receive, running_console

pytestmark = pytest.mark.contract

WITH_TOKENS = Console(port=0, tokens=TOKENS, messages_per_minute=600)
ODD = "ingest:某/平台?id=1"


async def test_the_queue_is_seen_and_worked_over_http(paths: Paths) -> None:
    async with running_console(paths, WITH_TOKENS) as console, console.http(MODERATOR) as client:
        for name in ("p1", ODD):
            console.station.waiting.append(Inbound(name, PromptKind.ASK, "几点？", Origin("bilibili"), 1))
        found = (await client.get("/api/queue")).json()
        assert [item["id"] for item in found["items"]] == ["p1", ODD]
        assert len((await client.get("/api/queue?limit=1")).json()["items"]) == 1
        assert (await client.get("/api/queue/p1")).json() == found["items"][0]
        odd = console.address.rstrip("/") + "/api/queue/ingest:%E6%9F%90%2F%E5%B9%B3%E5%8F%B0%3Fid=1"
        assert (await client.get(odd)).json()["id"] == ODD
        check_error(await client.get("/api/queue/p9"), 404, "unknown")
        check_error(await client.get("/api/queue?limit=many"), 422, "bad_query")
        answer = await client.post("/api/queue", json={"type": "drop", "id": "p1", "by": "alice"})
        assert answer.json() == {"type": "ok", "command": "drop", "ref": None}
        assert console.station.moderated[0][1] == Origin("http", "alice", Role.MODERATOR)
        check_error(await client.post("/api/queue", json={"type": "drop", "id": "p1"}), 404, "unknown")
        check_error(await client.post("/api/queue", json={"type": "say", "text": "x"}), 422, "bad_message")
        check_error(await client.post("/api/queue", json={"type": "slow"}), 422, "bad_message")
        assert (await client.get("/api/bans")).json()["bans"] == []


async def test_who_only_looks_sees_nothing_of_it(paths: Paths) -> None:
    async with running_console(paths, WITH_TOKENS) as console, console.http(VIEWER) as client:
        for route in ("/api/queue", "/api/queue/p1", "/api/bans"):
            check_error(await client.get(route), 403, "forbidden")
        check_error(await client.post("/api/queue", json={"type": "slow", "seconds": 1}), 403, "forbidden")
        assert console.station.moderated == []


async def test_and_over_the_websocket(paths: Paths) -> None:
    async with running_console(paths, WITH_TOKENS) as console, console.socket(MODERATOR) as socket:
        await receive(socket)
        console.station.waiting.append(Inbound("p1", PromptKind.ASK, "几点？", Origin("bilibili"), 1))
        assert [item["id"] for item in (await ask(socket, {"type": "queue"}))["items"]] == ["p1"]
        assert (await ask(socket, {"type": "move", "id": "p1", "place": 1, "ref": "r"}))["ref"] == "r"
        pending = {"type": "pending", "id": "p1", "sentence": 0, "text": "十点。", "airs_in_s": 8.0}
        await console.station.emit(pending)
        assert await receive(socket) == pending
