"""The door for any other platform, over real HTTP and real websockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from broadcaster.config import IngestSource
from broadcaster.errors import SourceError
from broadcaster.types import PostKind
from sources import ingest
from sources.ingest import MAX_LINES, UNANSWERED, Ingest
from tests.fakes.intake import KeepingIntake
from tests.support.waiting import until

pytestmark = pytest.mark.contract

TOKEN = "a-token-that-is-long"
SECRET = "私密的话"


def comment(number: int, text: str = "你好") -> dict[str, Any]:
    return {"kind": "comment", "id": f"c{number}", "viewer": {"id": "u1", "name": "小满"}, "text": text}


def gift(number: int) -> dict[str, Any]:
    return {"kind": "gift", "id": f"g{number}", "viewer": {"id": "u1"}, "item": "小花", "price": 500}


def lines(*posts: dict[str, Any] | str) -> bytes:
    return "".join((post if isinstance(post, str) else json.dumps(post)) + "\n" for post in posts).encode()


class Door:
    """A running ingest and a client of it."""

    def __init__(self, source: Ingest, intake: KeepingIntake, http: httpx.AsyncClient) -> None:
        self.source = source
        self.intake = intake
        self.http = http

    async def post(self, body: bytes, **headers: str | bytes) -> httpx.Response:
        shown = {"Authorization": f"Bearer {TOKEN}"} | headers
        return await self.http.post(f"http://127.0.0.1:{self.source.port}/ingest", content=body, headers=shown)

    @asynccontextmanager
    async def socket(self, **more: Any) -> AsyncIterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        address = f"ws://127.0.0.1:{self.source.port}/ingest"
        async with connect(address, additional_headers=headers, compression=None, **more) as socket:
            yield socket


@asynccontextmanager
async def open_door(token: str | None = TOKEN, **settings: Any) -> AsyncIterator[Door]:
    intake = KeepingIntake()
    source = Ingest(IngestSource(port=0, token=SecretStr(token) if token else None, **settings))
    task = asyncio.ensure_future(source.run(intake))
    await until(lambda: bool(source.status()["connected"]) or task.done())
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            yield Door(source, intake, http)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not source.status()["connected"]


async def test_lines_are_taken_in_a_thread_of_their_own_and_bad_ones_are_told() -> None:
    async with open_door(name="catcher") as door:
        answer = await door.post(lines(comment(1), "", f'{{"kind": "{SECRET}"}}', gift(2), "{"))
        assert answer.status_code == 200
        told = answer.json()
        assert told["accepted"] == 2
        assert [bad["line"] for bad in told["refused"]] == [3, 5]
        assert SECRET not in answer.text
        assert [(post.kind, post.source, post.price) for post in door.intake.posts] == [
            (PostKind.COMMENT, "catcher", 0),
            (PostKind.GIFT, "catcher", 500),
        ]
        assert door.intake.threads == {"source-catcher"}
        status = door.source.status()
        assert (status["requests"], status["lines_refused"]) == (1, 2)
        assert f":{door.source.port}/ingest" in status["note"]


async def test_a_body_without_one_good_line_is_a_bad_request_and_an_empty_one_is_not() -> None:
    async with open_door() as door:
        answer = await door.post(lines(*["{"] * 80))
        assert answer.status_code == 400
        assert (len(answer.json()["refused"]), answer.json()["refused_more"]) == (50, 30)
        assert (await door.post(b"\n\n")).json() == {"accepted": 0, "refused": []}


async def test_who_shows_no_token_and_any_browser_is_refused() -> None:
    async with open_door() as door:
        for header in (
            "",
            "Bearer",
            f"Bearer {TOKEN}x",
            f"bearer {TOKEN}",
            TOKEN,
            "Bearer ключ".encode(),
        ):
            answer = await door.post(lines(comment(1)), Authorization=header)
            assert answer.status_code == 401, header
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.text
        twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
        address = f"http://127.0.0.1:{door.source.port}/ingest"
        assert (await door.http.post(address, content=lines(comment(1)), headers=twice)).status_code == 401
        assert (await door.post(lines(comment(1)), Origin="https://example.org")).status_code == 403
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with connect(f"ws://127.0.0.1:{door.source.port}/ingest"):
                pass
        assert caught.value.response.status_code == 401
        assert door.intake.posts == []
        assert door.source.status()["denied"] == 8
        assert door.source.status()["http_origin"] == 1


async def test_without_a_token_this_machine_may_send() -> None:
    async with open_door(token=None) as door:
        assert (await door.post(lines(comment(1)), Authorization="")).json()["accepted"] == 1


async def test_other_addresses_and_methods() -> None:
    async with open_door() as door:
        base = f"http://127.0.0.1:{door.source.port}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert (await door.http.post(f"{base}/other", headers=headers)).status_code == 404
        assert (await door.http.get(f"{base}/ingest", headers=headers)).status_code == 405


async def test_what_is_too_long_is_refused() -> None:
    async with open_door(max_line_bytes=300, max_body_mb=1) as door:
        answer = await door.post(lines(comment(1), comment(2, "长" * 200), comment(3)))
        assert answer.json() == {"accepted": 2, "refused": [{"line": 2, "error": "longer than 300 bytes"}]}
        assert (await door.post(b" " * 1_100_000)).status_code == 413
        answer = await door.post(lines(*["{}"] * (MAX_LINES + 1)))
        assert (answer.status_code, answer.json()["error"]) == (413, "too_many_lines")
        assert len(door.intake.posts) == 2
        many = [{"kind": "live_start"}] * MAX_LINES
        assert (await door.post(lines(*many))).json()["accepted"] == MAX_LINES
        assert max(door.intake.batches) <= 250


async def test_what_was_paid_for_is_answered_when_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_door() as door:
        door.intake.refuses = True
        answer = await door.post(lines(gift(1), comment(1)))
        assert (answer.status_code, answer.json()["error"]) == (503, "not_stored")
        assert int(answer.headers["retry-after"]) > 0
        assert (await door.post(lines(comment(2)))).status_code == 200
        door.intake.refuses, door.intake.hangs = False, True
        waiting = asyncio.ensure_future(door.post(lines(gift(3))))
        await until(lambda: "g3" in door.intake.ids())
        assert (await door.post(lines(comment(3)))).status_code == 200
        assert not waiting.done()
        door.intake.release()
        assert (await waiting).json()["accepted"] == 1
        door.intake.hangs = True
        monkeypatch.setattr(ingest.stored, "__defaults__", (0.05,))
        assert (await door.post(lines(gift(4)))).status_code == 503
        door.intake.release()


async def test_a_websocket_is_answered_message_by_message() -> None:
    async with open_door() as door, door.socket() as socket:
        await socket.send(json.dumps(comment(1)))
        await socket.send(lines(comment(2), gift(3), "{"))
        await socket.send(lines(*["{}"] * (MAX_LINES + 1)))
        answers = [json.loads(await socket.recv()) for _ in range(3)]
        assert [answer["n"] for answer in answers] == [1, 2, 3]
        assert [answer.get("accepted") for answer in answers] == [1, 2, None]
        assert answers[1]["refused"][0]["line"] == 3
        assert answers[2]["error"] == "too_many_lines"
        door.intake.refuses = True
        await socket.send(json.dumps(gift(4)))
        assert json.loads(await socket.recv())["error"] == "not_stored"
        assert door.source.status()["messages"] == 4


async def test_answers_of_a_websocket_keep_their_order_and_wait_for_the_disk() -> None:
    async with open_door() as door, door.socket() as socket:
        door.intake.hangs = True
        await socket.send(json.dumps(gift(1)))
        await socket.send(json.dumps(comment(2)))
        await until(lambda: len(door.intake.posts) == 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
        door.intake.release()
        assert [json.loads(await socket.recv())["n"] for _ in range(2)] == [1, 2]


async def test_a_websocket_whose_gifts_are_not_stored_is_not_read_without_end() -> None:
    async with open_door() as door, door.socket() as socket:
        door.intake.hangs = True
        for number in range(3 * UNANSWERED):
            await socket.send(json.dumps(gift(number)))
        await until(lambda: len(door.intake.posts) > UNANSWERED)
        await asyncio.sleep(0.05)
        assert len(door.intake.posts) <= UNANSWERED + 2
        door.intake.release()
        answers = [json.loads(await socket.recv())["n"] for _ in range(3 * UNANSWERED)]
        assert answers == list(range(1, 3 * UNANSWERED + 1))


async def test_a_client_that_leaves_leaves_nothing_behind() -> None:
    async with open_door() as door:
        door.intake.hangs = True
        async with door.socket() as socket:
            await socket.send(json.dumps(gift(1)))
            await until(lambda: len(door.intake.posts) == 1)
            socket.transport.abort()
        door.intake.release()
        async with door.socket() as socket:
            await socket.send(json.dumps(comment(2)))
            assert json.loads(await socket.recv())["accepted"] == 1
        await until(lambda: "0 connected" in door.source.status()["note"])


async def test_a_port_that_is_taken_is_named() -> None:
    async with open_door() as door:
        other = Ingest(IngestSource(port=door.source.port))
        with pytest.raises(SourceError, match=str(door.source.port)):
            await other.run(KeepingIntake())
        assert not other.status()["connected"]
