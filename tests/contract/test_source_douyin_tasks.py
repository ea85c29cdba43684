"""Douyin's push tasks, round by round, at a local Douyin: kept running, and what was missed is asked for again."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from broadcaster.errors import SourceError
from broadcaster.types import PostKind
from sources.douyin.events import KINDS
from sources.douyin.tasks import AFRESH_S, LOST_AFTER, Tasks
from tests.fakes.douyin_server import ROOM, DouyinServer, fans, gift
from tests.fakes.intake import KeepingIntake
from tests.support.douyin import FEW, Virtual, api_of, room_at
from tests.support.waiting import until

pytestmark = pytest.mark.contract


class Rounds:
    """Each `go` lets the tasks be looked at once more; it returns when that is over."""

    def __init__(self, server: DouyinServer, intake: KeepingIntake, kinds: tuple[str, ...] = KINDS) -> None:
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
    async with DouyinServer() as server, Rounds(server, KeepingIntake()) as rounds:
        await rounds.go()
        server.tasks.discard("live_gift")  # ten failures in a row
        await rounds.go()
        assert server.tasks == rounds.tasks.running == set(KINDS)
        assert [fields["msg_type"] for fields in server.asked("task/start")] == [*KINDS, "live_gift"]
    assert not caplog.records


async def test_all_tasks_are_stopped_at_once_and_a_platform_that_is_silent_is_not_waited_for() -> None:
    async with DouyinServer() as server, Rounds(server, KeepingIntake()) as rounds:
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
        running = asyncio.create_task(room_at(server).run(KeepingIntake()))
        await until(lambda: bool(server.tasks))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert server.tasks == set()


async def test_what_no_waiting_mends_ends_the_source_at_once() -> None:
    async with DouyinServer() as server, Rounds(server, KeepingIntake()) as rounds:
        await rounds.go()
        server.dead_tokens.update(server.tokens)
        server.secret_known = False
        with pytest.raises(SourceError, match="app_secret") as ended:
            await rounds.go()
        assert not ended.value.retryable


async def test_a_room_that_is_not_live_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with DouyinServer() as server, Rounds(server, KeepingIntake()) as rounds:
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
    async with DouyinServer() as server, Rounds(server, KeepingIntake()) as rounds:
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
    intake = KeepingIntake()
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
    intake = KeepingIntake()
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
    intake = KeepingIntake()
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
    intake = KeepingIntake()
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
    intake = KeepingIntake()
    intake.refuses = True
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift()] for _ in range(120)]
        await rounds.go()
        assert not intake.posts
        intake.refuses = False
        await rounds.go()
        assert len(intake.posts) == 120


async def test_entries_of_no_sense_are_counted() -> None:
    intake = KeepingIntake()
    async with DouyinServer() as server, Rounds(server, intake, ("live_gift",)) as rounds:
        server.failed["live_gift"] += [[gift()], "no list", 7, None]  # type: ignore[list-item]
        await rounds.go()
        assert (len(intake.posts), rounds.tasks.counts["unreadable"]) == (1, 3)


async def test_a_stormy_evening_loses_no_gift_and_brings_none_twice() -> None:
    """Disks that fill up, tasks that are ended for it, a source that is started anew: by ids, as the desk sees it."""
    rng = random.Random(7)
    async with DouyinServer() as server:
        intake, sent = KeepingIntake(), []
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
