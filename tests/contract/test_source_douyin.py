"""Douyin as a source, against a local Douyin: its room, its pushes, and what it is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest

from broadcaster.errors import SourceError
from broadcaster.types import PostKind
from sources import trust
from sources.douyin.events import KINDS
from sources.trust import authorities
from tests.fakes.douyin_server import APP_SECRET, PUSH_SECRET, ROOM, DouyinServer, comment, fans, gift, like, signed
from tests.fakes.intake import KeepingIntake
from tests.support.douyin import on_air, room_at
from tests.support.waiting import until

pytestmark = pytest.mark.contract


SECRETS = (APP_SECRET, PUSH_SECRET, "c0ffee")


async def test_every_kind_of_push_becomes_a_post_and_the_tasks_end_with_the_source() -> None:
    async with on_air(push=KINDS) as (server, room, intake):
        await until(lambda: server.tasks == set(KINDS))
        for kind, item in zip(KINDS, (comment("你好"), gift(value=5200), like(4), fans()), strict=True):
            assert await server.push(room.address, kind, [item]) == 200
        kinds = [PostKind.COMMENT, PostKind.GIFT, PostKind.LIKE, PostKind.FAN_CLUB]
        assert [(post.kind, post.source, post.room) for post in intake.posts] == [(k, "douyin", ROOM) for k in kinds]
        status = room.status()
        assert status["note"] == f"receives at {room.address}; 4 push tasks are running"
        assert (status["pushes"], status["posts"], status["started"]) == (4, 4, 4)
    assert server.tasks == set()
    assert len(server.asked("task/stop")) == 4
    assert (room.status()["pushes"], room.status()["note"]) == (4, "")


async def test_authorities_are_read_beside_the_directors_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[threading.Thread] = []
    monkeypatch.setattr(trust, "authorities", lambda: readers.append(threading.current_thread()) or authorities())
    async with on_air():
        assert len(readers) == 1
        assert threading.current_thread() not in readers


async def test_a_task_that_runs_already_is_not_started_again() -> None:
    async with DouyinServer() as server:
        server.tasks.update(KINDS)
        room = room_at(server)
        running = asyncio.create_task(room.run(KeepingIntake()))
        await until(lambda: len(server.asked("fail_data/get")) == 1)
        assert not server.asked("task/start")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_without_a_room_nothing_is_asked_of_the_platform() -> None:
    async with on_air(room_id=None) as (server, room, intake):
        assert "started elsewhere" in room.status()["note"]
        server.tasks.update(KINDS)
        assert await server.push(room.address, "live_comment", [comment()]) == 200
        assert len(intake.posts) == 1
    assert not server.at


async def test_a_push_is_answered_while_the_directors_loop_stands_still() -> None:
    async with on_air() as (_, room, intake):
        body = json.dumps([gift()]).encode()
        answers: list[int] = []

        def push() -> None:
            answers.append(httpx.post(room.address, content=body, headers=signed("live_gift", body)).status_code)

        pushing = threading.Thread(target=push)
        pushing.start()
        pushing.join(20)  # this loop is the director's
        assert answers == [200]
        assert len(intake.posts) == 1


async def test_a_gift_that_is_not_on_disk_in_time_is_refused_and_listed_as_failed() -> None:
    async with on_air() as (server, room, intake):
        intake.hangs = True
        assert await server.push(room.address, "live_gift", [gift()], limit_s=20) == 503
        assert await server.push(room.address, "live_comment", [comment()]) == 200
        assert room.status()["late"] == 1
        intake.hangs = False
        assert len(server.failed["live_gift"]) == 1


async def test_without_a_secret_nobody_is_let_in() -> None:
    async with DouyinServer() as server:
        with pytest.raises(SourceError, match="push_secret is empty") as refused:
            await room_at(server, push_secret=" ").run(KeepingIntake())
        assert not refused.value.retryable


async def test_a_taken_port_ends_it_with_its_name() -> None:
    async with on_air() as (server, room, _):
        port = int(room.address.rpartition(":")[2])
        with pytest.raises(SourceError, match=f"port {port}"):
            await room_at(server, port=port).run(KeepingIntake())


@pytest.mark.parametrize(
    ("behaviour", "retryable", "words"),
    [
        ({"status": 500}, True, "status 500"),
        ({"status": 403}, False, "status 403"),
        ({"garbage": True}, True, "does not answer as Douyin does"),
        ({"endless": True}, True, "more than it was asked for"),
        ({"secret_known": False}, False, "check app_secret"),
        ({"code": 40023}, False, "check room_id"),
        ({"code": 99999}, True, "99999"),
        ({"code": 40022}, True, "another program"),
    ],
)
async def test_what_the_api_says_no_with(behaviour: dict[str, Any], retryable: bool, words: str) -> None:
    async with DouyinServer() as server:
        for name, value in behaviour.items():
            setattr(server, name, value)
        room = room_at(server)
        with pytest.raises(SourceError, match=words) as refused:
            await room.run(KeepingIntake())
        assert refused.value.retryable is retryable
        assert not any(secret in str(refused.value) + repr(refused.value) + repr(room.status()) for secret in SECRETS)
        assert room.address == ""


async def test_a_platform_that_is_away() -> None:
    async with DouyinServer() as server:
        room = room_at(server)
    with pytest.raises(SourceError, match="cannot be asked") as away:
        await room.run(KeepingIntake())
    assert away.value.retryable
