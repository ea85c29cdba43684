"""A room of Bilibili against a local server that speaks Open-Live: sessions, their beats, their losses and ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from broadcaster.director.feeds import Feed, Feeds
from broadcaster.types import PostKind
from sources.bilibili.source import BilibiliRoom
from tests.fakes import bilibili_server as fake
from tests.fakes.bilibili_server import ROOM, SECRET, BilibiliServer
from tests.fakes.intake import KeepingIntake
from tests.support.bilibili import QUICK, room, settings
from tests.support.hurried import hurried
from tests.support.waiting import until

pytestmark = pytest.mark.contract


async def test_a_session_from_its_start_to_its_end() -> None:
    async with room() as here:
        await here.connected()
        assert here.source.status()["note"] == f"room {ROOM}"
        assert json.loads(here.server.auths[0]) == {"key": f"{SECRET}-game-1"}
        await here.server.send(fake.comment(1), fake.super_chat(2), fake.guard(3), fake.gift(4, each=500, count=3))
        await until(lambda: len(here.intake.posts) == 4)
        assert [post.kind for post in here.intake.posts] == [
            PostKind.COMMENT, PostKind.SUPER_CHAT, PostKind.GUARD, PostKind.GIFT,
        ]  # fmt: skip
        assert [post.price for post in here.intake.posts] == [0, 30_000, 198_000, 1500]
        assert {post.source for post in here.intake.posts} == {"bili"}
        here.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await here.task
        assert [path for path, _ in here.server.calls] == ["/v2/app/start", "/v2/app/end"]
        assert not here.server.running
        assert here.server.wrong == 0


async def test_beats_of_websocket_and_session() -> None:
    async with room(QUICK) as here:
        await here.connected()
        await until(lambda: here.server.beats >= 3 and here.server.called("/v2/app/heartbeat") >= 3)
        assert ("/v2/app/heartbeat", {"game_id": "game-1"}) in here.server.calls


async def test_beats_that_stay_unanswered_end_the_connection() -> None:
    async with room(QUICK) as here:
        await here.connected()
        here.server.mute = True
        assert "does not answer" in str(await here.ended())
        assert not here.server.running, "the session was ended"


@pytest.mark.parametrize("after", ["at once", "a while"])
async def test_a_lost_websocket(after: str) -> None:
    async with room(QUICK) as here:
        await here.connected()
        if after == "a while":
            await until(lambda: here.server.beats > 4)
            here.server.drop()
            await until(lambda: here.count("connections") == 2)
            await here.connected()
            assert here.server.called("/v2/app/start") == 1, "the next websocket of the same session"
        else:
            here.server.drop()
            assert (await here.ended()).retryable
            assert [path for path, _ in here.server.calls if "heart" not in path] == ["/v2/app/start", "/v2/app/end"]


async def test_the_next_address_is_taken_when_one_does_not_work() -> None:
    server = BilibiliServer()
    async with room(QUICK, server) as here:
        server.links = 2
        server.dead_links = 1
        await here.connected()
        assert here.count("connections") == 2


async def test_a_session_that_expired_is_begun_anew_at_once() -> None:
    async with room(QUICK) as here:
        await here.connected()
        here.server.expire()
        assert (await here.ended()).at_once
        assert here.server.called("/v2/app/end") == 0, "there is nothing to end"


async def test_the_end_of_the_interaction() -> None:
    async with room() as here:
        await here.connected()
        await here.server.send(fake.message("INTERACTION_END", game_id="another"))
        await here.server.send(fake.super_chat(1))
        await until(lambda: len(here.intake.posts) == 1)
        await here.server.end_interaction()
        assert (await here.ended()).at_once


async def test_one_missed_beat_of_the_session_is_no_loss_but_two_are() -> None:
    async with room(QUICK) as here:
        here.server.refuse["/v2/app/heartbeat"] = [5001]
        await until(lambda: here.server.called("/v2/app/heartbeat") >= 3)
        assert here.count("missed_beats") == 1
        here.server.refuse["/v2/app/heartbeat"] = [5001]
        beats = here.server.called("/v2/app/heartbeat")
        await until(lambda: here.server.called("/v2/app/heartbeat") >= beats + 3)
        assert here.count("missed_beats") == 2, "one at a time may be missed as often as it likes"
        here.server.refuse["/v2/app/heartbeat"] = [5001, 5001]
        err = await here.ended()
        assert err.retryable
        assert not err.at_once


@pytest.mark.parametrize("when", ["starting", "connected", "muted", "flooded"])
async def test_cancelled_it_ends_the_session_and_itself_in_time(when: str) -> None:
    server = BilibiliServer()
    async with room(server=server) as here:
        if when == "starting":
            server.hang = True
            await asyncio.sleep(0)
        else:
            await here.connected()
        server.mute = when == "muted"
        if when == "flooded":
            here.server.pour(fake.comment(1))
            await until(lambda: len(here.intake.posts) > 10)
        began = time.monotonic()
        here.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await here.task
        assert time.monotonic() - began < 3
        assert not server.running


async def test_cancelled_while_it_begins_it_ends_what_it_has_begun() -> None:
    server = BilibiliServer()
    server.slow = 0.05
    async with room(server=server) as here:
        await until(lambda: bool(server.running))
        here.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await here.task
        assert not server.running


async def test_a_platform_that_hangs_does_not_keep_it_from_ending() -> None:
    async with room() as here:
        await here.connected()
        here.server.hang = True
        here.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(here.task, 3)
        assert here.count("not_ended") == 1


async def test_one_source_runs_many_times() -> None:
    async with room() as here:
        await here.connected()
        await here.server.end_interaction()
        await here.ended()
        again = asyncio.create_task(here.source.run(here.intake))
        await here.connected()
        assert here.count("sessions") == 2
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again


# -- in virtual time, by the platform's own clock --------------------------------------------------------------------


@asynccontextmanager
async def fed(server: BilibiliServer) -> AsyncIterator[BilibiliRoom]:
    """As the director runs it."""
    source = BilibiliRoom(settings(server))
    feeding = asyncio.create_task(Feeds([Feed("bili", "bilibili", source)]).run(KeepingIntake()))
    try:
        yield source
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def moment(holds: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await until(holds, 600)
    return clock() - began


def test_how_often_it_beats() -> None:
    async def two_minutes() -> tuple[int, int]:
        async with BilibiliServer() as server, fed(server):
            await moment(lambda: bool(server.sockets))
            await asyncio.sleep(125)
            return server.called("/v2/app/heartbeat"), server.beats

    assert hurried(two_minutes()) == (6, 5)


def test_how_soon_it_begins_anew() -> None:
    """At once where the session is over; after a pause, and with the old one ended, where something is wrong."""

    async def evening() -> dict[str, float]:
        took: dict[str, float] = {}
        async with BilibiliServer() as server, fed(server) as source:
            for reason, happens in (("end", server.end_interaction), ("expire", server.expire), ("mute", None)):
                await moment(lambda: bool(server.sockets) and bool(source.status()["connected"]))
                await asyncio.sleep(65)
                sessions = server.started
                if happens is None:
                    server.mute = True
                elif (work := happens()) is not None:
                    await work
                took[reason] = await moment(lambda: server.started > sessions)  # noqa: B023  # awaited here
        return took

    took = hurried(evening())
    assert took["end"] < 0.1
    assert took["expire"] <= 20.1, "the next heartbeat tells"
    assert 15 < took["mute"] < 30 + 15 + 15 + 2, "a beat, its answer, the next websocket's answer, and the pause"
