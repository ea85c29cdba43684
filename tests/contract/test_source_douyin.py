"""Douyin as a source, against a local Douyin: tasks, tokens, pushes, and what is asked for again."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from broadcaster.config.sources import DouyinSource
from broadcaster.errors import SourceError
from broadcaster.types import PostKind
from sources import trust
from sources.douyin.api import CALLS_PER_S, Api
from sources.douyin.events import KINDS
from sources.douyin.source import DouyinRoom
from sources.douyin.tasks import AFRESH_S, LOST_AFTER, Tasks
from sources.trust import authorities
from tests.fakes.douyin_server import (
    APP_ID,
    APP_SECRET,
    PUSH_SECRET,
    ROOM,
    DouyinServer,
    comment,
    fans,
    gift,
    like,
    signed,
)
from tests.support.answers import until
from tests.support.intake import Kept

pytestmark = pytest.mark.contract

FEW = ("live_comment", "live_gift")
"""So few that no call has to wait for the platform's pace."""

SECRETS = (APP_SECRET, PUSH_SECRET, "c0ffee")


def room_at(server: DouyinServer, **options: Any) -> DouyinRoom:
    given = {
        "app_id": APP_ID,
        "app_secret": APP_SECRET,
        "push_secret": PUSH_SECRET,
        "room_id": ROOM,
        "port": 0,
        "push": FEW,
        "url": server.url,
        "token_url": f"{server.url}/api/apps/v2/token",
    }
    return DouyinRoom(DouyinSource.model_validate({**given, **options}))


@asynccontextmanager
async def on_air(**options: Any) -> AsyncIterator[tuple[DouyinServer, DouyinRoom, Kept]]:
    """A room whose tasks run; it is cancelled in the end, as the daemon does it."""
    async with DouyinServer() as server:
        room, intake = room_at(server, **options), Kept()
        running = asyncio.create_task(room.run(intake))
        try:
            await until(lambda: room.status()["connected"] and ("room_id" in options or server.tasks >= set(FEW)))
            yield server, room, intake
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert not room.status()["connected"]


# -- the room --------------------------------------------------------------------------------------------------------


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
        running = asyncio.create_task(room.run(Kept()))
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
        intake.pending = True
        assert await server.push(room.address, "live_gift", [gift()], limit_s=20) == 503
        assert await server.push(room.address, "live_comment", [comment()]) == 200
        assert room.status()["late"] == 1
        intake.pending = False
        assert len(server.failed["live_gift"]) == 1


async def test_without_a_secret_nobody_is_let_in() -> None:
    async with DouyinServer() as server:
        with pytest.raises(SourceError, match="push_secret is empty") as refused:
            await room_at(server, push_secret=" ").run(Kept())
        assert not refused.value.retryable


async def test_a_taken_port_ends_it_with_its_name() -> None:
    async with on_air() as (server, room, _):
        port = int(room.address.rpartition(":")[2])
        with pytest.raises(SourceError, match=f"port {port}"):
            await room_at(server, port=port).run(Kept())


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
            await room.run(Kept())
        assert refused.value.retryable is retryable
        assert not any(secret in str(refused.value) + repr(refused.value) + repr(room.status()) for secret in SECRETS)
        assert room.address == ""


async def test_a_platform_that_is_away() -> None:
    async with DouyinServer() as server:
        room = room_at(server)
    with pytest.raises(SourceError, match="cannot be asked") as away:
        await room.run(Kept())
    assert away.value.retryable


# -- tokens and pace -------------------------------------------------------------------------------------------------


class Virtual:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def api_of(server: DouyinServer, time: Virtual, **options: Any) -> Api:
    return Api(
        app_id=APP_ID,
        secret=APP_SECRET,
        url=server.url,
        token_url=f"{server.url}/api/apps/v2/token",
        trusted=authorities(),
        clock=time.clock,
        sleep=time.sleep,
        **options,
    )


async def test_a_token_is_renewed_before_it_ends() -> None:
    async with DouyinServer() as server:
        time = Virtual()
        api = api_of(server, time)
        for at_s, tokens in ((0, 1), (6500, 1), (200, 2), (6500, 2), (200, 3)):
            time.now += at_s
            await api.state(ROOM, "live_gift")
            assert len(server.tokens) == tokens
        await api.close()


@pytest.mark.parametrize("life_s", [60, 0, -5, None, "x"])
async def test_a_token_of_a_short_life_is_not_asked_for_all_the_time(life_s: Any) -> None:
    async with DouyinServer() as server:
        server.life_s = life_s
        time = Virtual()
        api = api_of(server, time)
        for _ in range(20):
            await api.state(ROOM, "live_gift")
            time.now += 1
        assert api.tokens == 1
        await api.close()


async def test_a_token_that_is_not_accepted_is_renewed_once() -> None:
    async with DouyinServer() as server:
        api = api_of(server, Virtual())
        await api.start(ROOM, "live_gift")
        server.dead_tokens.add(server.tokens[-1])
        assert await api.state(ROOM, "live_gift") == 3
        assert len(server.tokens) == 2
        await api.close()


async def test_many_callers_ask_for_one_token() -> None:
    async with DouyinServer() as server:
        api = api_of(server, Virtual())
        await asyncio.gather(*(api.state(ROOM, kind) for kind in KINDS))
        assert len(server.tokens) == 1
        await api.close()


async def test_an_answer_that_drips_is_not_waited_for_for_ever() -> None:
    async with DouyinServer() as server:
        api = api_of(server, Virtual(), call_s=0.05)
        server.drips = True
        with pytest.raises(SourceError, match="cannot be asked"):
            async with asyncio.timeout(20):
                await api.state(ROOM, "live_gift")
        await api.close()


async def test_calls_keep_the_pace_of_the_platform() -> None:
    async with DouyinServer() as server:
        time = Virtual()
        api = api_of(server, time)
        at: list[float] = []
        for _ in range(40):
            await api.state(ROOM, "live_gift")
            at.append(time.now)
        await api.close()
        assert all(later - earlier >= 1.0 for earlier, later in zip(at, at[CALLS_PER_S:], strict=False))
        assert at[-1] - at[0] < 8


# -- tasks, round by round -------------------------------------------------------------------------------------------


class Rounds:
    """Each `go` lets the tasks be looked at once more; it returns when that is over."""

    def __init__(self, server: DouyinServer, intake: Kept, kinds: tuple[str, ...] = KINDS) -> None:
        self.time = Virtual()
        self.api = api_of(server, self.time)
        self.tasks = Tasks(
            self.api, intake, source="douyin", room=ROOM, kinds=kinds, sleep=self._sleep, clock=self.time.clock
        )
        self._over = 0
        self._next: asyncio.Queue[None] = asyncio.Queue()
        self._keeping: asyncio.Task[None] | None = None

    async def _sleep(self, seconds: float) -> None:
        self._over += 1
        await self._next.get()
        self.time.now += seconds

    async def go(self) -> None:
        before = self._over
        if self._keeping is None:
            self._keeping = asyncio.create_task(self.tasks.keep())
        else:
            self._next.put_nowait(None)
        keeping = self._keeping
        await until(lambda: self._over > before or keeping.done())
        if keeping.done():
            keeping.result()

    async def __aenter__(self) -> Rounds:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self.api.close()


async def test_a_task_that_ended_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async with DouyinServer() as server, Rounds(server, Kept()) as rounds:
        await rounds.go()
        server.tasks.discard("live_gift")  # ten failures in a row
        await rounds.go()
        assert server.tasks == rounds.tasks.running == set(KINDS)
        assert [fields["msg_type"] for fields in server.asked("task/start")] == [*KINDS, "live_gift"]
    assert not caplog.records


async def test_all_tasks_are_stopped_at_once_and_a_platform_that_is_silent_is_not_waited_for() -> None:
    async with DouyinServer() as server, Rounds(server, Kept()) as rounds:
        await rounds.go()
        before = rounds.time.now
        await rounds.tasks.stop()
        assert (server.tasks, rounds.time.now) == (set(), before)
        rounds.tasks.running.update(KINDS)
        server.silent = True
        rounds.tasks.stop_s = 0.05
        async with asyncio.timeout(20):
            await rounds.tasks.stop()


async def test_a_task_is_stopped_whose_start_was_not_answered() -> None:
    async with DouyinServer() as server:
        server.mute = "task/start"
        running = asyncio.create_task(room_at(server).run(Kept()))
        await until(lambda: bool(server.tasks))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert server.tasks == set()


async def test_what_no_waiting_mends_ends_the_source_at_once() -> None:
    async with DouyinServer() as server, Rounds(server, Kept()) as rounds:
        await rounds.go()
        server.dead_tokens.update(server.tokens)
        server.secret_known = False
        with pytest.raises(SourceError, match="app_secret") as ended:
            await rounds.go()
        assert not ended.value.retryable


async def test_a_room_that_is_not_live_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with DouyinServer() as server, Rounds(server, Kept()) as rounds:
        server.live = False
        for _ in range(3):
            await rounds.go()
        assert rounds.tasks.running == set()
        assert "not live yet" in rounds.tasks.trouble
        server.live = True
        await rounds.go()
        assert (rounds.tasks.running, rounds.tasks.trouble) == (set(KINDS), "")
    edges = [record.getMessage() for record in caplog.records if record.name == "sources.douyin.tasks"]
    assert edges == ["not all push tasks are running", "the push tasks are running"]


async def test_an_api_that_fails_for_a_while_ends_nothing_and_for_long_the_source() -> None:
    async with DouyinServer() as server, Rounds(server, Kept()) as rounds:
        await rounds.go()
        server.status = 502
        for _ in range(LOST_AFTER - 1):
            await rounds.go()
        server.status = 200
        await rounds.go()
        assert rounds.tasks.trouble == ""
        server.status = 502
        for _ in range(LOST_AFTER - 1):
            await rounds.go()
        with pytest.raises(SourceError, match="502"):
            await rounds.go()


async def test_gifts_and_fan_clubs_that_were_not_delivered_come_by_asking() -> None:
    intake = Kept()
    async with DouyinServer() as server, Rounds(server, intake) as rounds:
        an_hour_ago = int(time.time() * 1000) - 3_600_000
        missed, old = gift(value=100, timestamp=an_hour_ago), fans(timestamp=an_hour_ago)
        server.failed["live_gift"].append([missed, {"odd": True}])
        server.failed["live_fansclub"] += [[fans()], [old]]
        await rounds.go()
        assert sorted(post.kind for post in intake.posts) == [PostKind.FAN_CLUB, PostKind.GIFT]
        assert missed["msg_id"] in intake.ids()
        await rounds.go()  # it is still listed: nothing tells the platform that it was read
        assert len(intake.posts) == 2
        server.failed["live_gift"].append([gift()])
        await rounds.go()
        assert len(intake.posts) == 3
        assert (rounds.tasks.counts["again"], rounds.tasks.counts["old"]) == (3, 1)


async def test_what_was_missed_at_the_end_of_a_live_is_asked_for_after_it() -> None:
    intake = Kept()
    async with DouyinServer() as server, Rounds(server, intake) as rounds:
        await rounds.go()
        server.live = False
        server.tasks.clear()
        server.failed["live_gift"].append([gift()])
        await rounds.go()
        assert len(intake.posts) == 1
        server.closed = True  # the platform may say the same of the list
        await rounds.go()
        assert "not live yet" in rounds.tasks.trouble


async def test_a_long_list_is_read_page_by_page_and_no_page_twice() -> None:
    intake = Kept()
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift(), gift()] for _ in range(250)]
        await rounds.go()
        assert (len(intake.posts), len(set(intake.ids()))) == (500, 500)
        await rounds.go()
        assert [fields["page_num"] for fields in server.asked("fail_data/get")] == ["1", "2", "3", "3"]
        server.failed["live_gift"] += [[gift()] for _ in range(60)]
        await rounds.go()
        assert (len(intake.posts), len(set(intake.ids()))) == (560, 560)
        assert all(int(fields["page_size"]) <= 100 for fields in server.asked("fail_data/get"))


async def test_a_list_whose_old_entries_are_gone_is_read_to_its_end_again() -> None:
    intake = Kept()
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift()] for _ in range(250)]
        await rounds.go()
        server.failed["live_gift"] = [[gift()]]  # a day later: what was read is not listed any more
        await rounds.go()
        assert len(intake.posts) == 250
        rounds.time.now += AFRESH_S
        await rounds.go()
        assert len(set(intake.ids())) == 251
        await rounds.go()
        assert len(intake.posts) == 251


async def test_what_cannot_be_stored_is_asked_for_again() -> None:
    intake = Kept()
    intake.refuses = True
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift()] for _ in range(120)]
        await rounds.go()
        assert not intake.posts
        intake.refuses = False
        await rounds.go()
        assert len(intake.posts) == 120


async def test_entries_of_no_sense_are_counted() -> None:
    intake = Kept()
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift()], "no list", 7, None]  # type: ignore[list-item]
        await rounds.go()
        assert (len(intake.posts), rounds.tasks.counts["unreadable"]) == (1, 3)


async def test_a_stormy_evening_loses_no_gift_and_brings_none_twice() -> None:
    """Disks that fill up, tasks that are ended for it, a source that is started anew: by ids, as the desk sees it."""
    rng = random.Random(7)
    async with DouyinServer() as server:
        intake, sent = Kept(), []
        for _ in range(3):
            room = room_at(server)
            running = asyncio.create_task(room.run(intake))
            await until(lambda room=room: room.status()["connected"] and server.tasks == set(FEW))
            for _ in range(60):
                intake.refuses = rng.random() < 0.4
                items = [gift() for _ in range(rng.randint(1, 3))]
                if await server.push(room.address, "live_gift", items):
                    sent += items
            intake.refuses = False
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        async with Rounds(server, intake) as rounds:
            await rounds.go()
        assert set(intake.ids()) == {item["msg_id"] for item in sent}
