"""A room of Bilibili against a local server that speaks Open-Live: requests, websocket, and everything that fails."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from broadcaster.config.sources import BilibiliSource
from broadcaster.director.feeds import Feed, Feeds
from broadcaster.errors import SourceError
from broadcaster.types import PostKind
from sources import trust
from sources.bilibili import api
from sources.bilibili.api import ANSWER_LIMIT
from sources.bilibili.connection import GARBAGE_LIMIT, Times
from sources.bilibili.source import BilibiliRoom
from tests.fakes import bilibili_server as fake
from tests.fakes.bilibili_server import APP_ID, CERTIFICATE, CODE, KEY_ID, ROOM, SECRET, BilibiliServer
from tests.support.hurried import hurried
from tests.support.intake import Kept

pytestmark = pytest.mark.contract

QUICK = Times(game=0.05, beat=0.05, answer=0.25, settled=0.1, close=0.1, end=0.5)
PATIENT = Times(answer=2.0, close=0.1, end=0.5)


def settings(server: BilibiliServer, **changes: Any) -> BilibiliSource:
    fields = {
        "name": "bili",
        "access_key_id": KEY_ID,
        "access_key_secret": SECRET,
        "app_id": APP_ID,
        "code": CODE,
        "url": server.url,
    }
    return BilibiliSource.model_validate({**fields, **changes})


class Room:
    def __init__(self, server: BilibiliServer, times: Times, changes: dict[str, Any]) -> None:
        self.server = server
        self.intake = Kept()
        self.source = BilibiliRoom(settings(server, **changes), times=times)
        self.task = asyncio.create_task(self.source.run(self.intake))

    def count(self, name: str) -> int:
        return int(self.source.status().get(name, 0))

    async def connected(self) -> None:
        await until(lambda: bool(self.server.sockets) and self.source.status()["connected"])

    async def ended(self) -> SourceError:
        """Why the run ended by itself."""
        with pytest.raises(SourceError) as caught:
            await asyncio.wait_for(self.task, 10)
        assert not self.source.status()["connected"]
        text = str(caught.value) + repr(caught.value.__cause__)
        assert not [secret for secret in (SECRET, CODE, KEY_ID, "观众") if secret in text]
        return caught.value


@asynccontextmanager
async def room(times: Times = PATIENT, server: BilibiliServer | None = None, **changes: Any) -> AsyncIterator[Room]:
    async with server or BilibiliServer() as running:
        made = Room(running, times, changes)
        try:
            yield made
        finally:
            made.task.cancel()
            with suppress(asyncio.CancelledError, SourceError):
                await made.task


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # the state of a server is looked at, not one event
            await asyncio.sleep(0.002)


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


async def test_frames_of_every_kind() -> None:
    posts = [fake.comment(number) for number in range(7)]
    async with room() as here:
        await here.connected()
        await here.server.send(
            posts[0],
            posts[1] + posts[2],
            fake.with_zlib(posts[3], posts[4]),
            fake.with_brotli(posts[5], fake.with_zlib(posts[6])),
        )
        await until(lambda: len(here.intake.posts) == 7)
        assert here.intake.ids() == [f"dm-{number}" for number in range(7)]
        assert here.intake.batches == [1, 2, 2, 2], "what comes in one frame is brought at once"


async def test_what_is_wrong_in_one_frame_costs_nothing_of_the_next() -> None:
    wrong = [
        b"garbage",
        "text",
        fake.packet(b"", version=7),
        fake.packet(b"no zlib", version=2),
        fake.packet(b"no brotli", version=3),
        fake.zlib_bomb(),
        fake.brotli_bomb(),
        fake.packet(b"{"),
        fake.packet(b'{"cmd": 1, "data": {}}'),
        fake.message("SOMETHING_NEW"),
        fake.message("DM_MIRROR", msg="here"),
        b"\xff" * 200,
    ]
    async with room() as here:
        await here.connected()
        for number, frame in enumerate(wrong):
            await here.server.send(frame, fake.gift(number))
        await until(lambda: len(here.intake.posts) == len(wrong))
        assert here.intake.ids() == [f"gift-{number}" for number in range(len(wrong))]
        counted = {"text_frame": 1, "unknown_version": 1, "bad_compression": 2, "bomb": 2, "garbage": 2, "unknown": 1}
        assert {name: here.count(name) for name in counted} == counted
        assert here.count("connections") == 1


async def test_a_connection_that_only_sends_garbage_is_another_protocol() -> None:
    async with room() as here:
        await here.connected()
        await here.server.send(*[b"garbage"] * 120)
        assert "nothing that is understood" in str(await here.ended())


async def test_garbage_that_is_not_in_a_row_ends_nothing() -> None:
    async with room() as here:
        await here.connected()
        for number in (1, 2, 3):
            await here.server.send(*[b"garbage"] * (GARBAGE_LIMIT - 1), fake.comment(number))
        await until(lambda: here.intake.ids() == ["dm-1", "dm-2", "dm-3"])
        assert here.count("connections") == 1


async def test_an_oversized_frame_costs_the_connection() -> None:
    async with room(QUICK) as here:
        await here.connected()
        await until(lambda: here.server.beats > 4)
        await here.server.send(fake.comment(1), b"\0" * (2 << 20))
        await until(lambda: here.count("oversized") == 1 and here.count("connections") == 2)
        await here.connected()
        await here.server.send(fake.comment(2))
        await until(lambda: here.intake.ids() == ["dm-1", "dm-2"])
        assert here.server.called("/v2/app/start") == 1, "the session goes on"


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


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4010, 7007, 8002])
async def test_what_somebody_must_change_is_not_tried_again(code: int) -> None:
    server = BilibiliServer()
    server.refuse["/v2/app/start"] = [code]
    async with room(server=server) as here:
        err = await here.ended()
        assert not err.retryable
        assert f"code {code}" in str(err)
        assert " -> " in str(err)


@pytest.mark.parametrize("code", [4003, 4007, 4009, 5000, 7001, 7002, 9999])
async def test_what_may_pass_is_tried_again(code: int) -> None:
    server = BilibiliServer()
    server.refuse["/v2/app/start"] = [code]
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert not err.at_once


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_key_id": "wrong"}, 4001),
        ({"access_key_secret": "wrong"}, 4002),
        ({"code": "wrong"}, 7007),
        ({"app_id": 1}, 8002),
    ],
)
async def test_a_wrong_key(changes: dict[str, Any], code: int) -> None:
    async with room(**changes) as here:
        assert f"code {code}" in str(await here.ended())


async def test_a_session_that_is_not_let_in() -> None:
    server = BilibiliServer()
    server.let_in = -101
    async with room(server=server) as here:
        err = await here.ended()
        assert "-101" in str(err)
        assert err.retryable
        assert not here.server.running


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"code": "0"}',
        b'{"code": 0}',
        b'{"code": 0, "data": []}',
        b"[" * 9999,
        b"x" * 400_000,
    ],
    ids=["nothing", "a page", "a list", "text for a code", "no data", "a list for data", "depth", "length"],
)
async def test_an_answer_that_is_none(raw: bytes) -> None:
    server = BilibiliServer()
    server.raw = raw
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert ("without an end" in str(err)) == (len(raw) > ANSWER_LIMIT)


@pytest.mark.parametrize(
    "more",
    [
        {"websocket_info": None},
        {"websocket_info": {"auth_body": "{}", "wss_link": []}},
        {"websocket_info": {"auth_body": "{}", "wss_link": ["ws://192.0.2.1/sub", "ftp://x", 7, "wss://[", "wss://h:x/"]}},
        {"websocket_info": {"auth_body": 7, "wss_link": "wss://127.0.0.1/"}},
    ],
)  # fmt: skip
async def test_a_session_without_a_usable_address_is_ended(more: dict[str, Any]) -> None:
    server = BilibiliServer()
    server.more = more
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert "without an address" in str(err), "an address that gives the key away is none"
        assert not here.server.running


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


async def test_a_platform_that_does_not_answer_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CALL_S", 0.1)
    server = BilibiliServer()
    server.hang = True
    async with room(server=server) as here:
        assert "TimeoutError" in str(await here.ended())


async def test_a_frame_of_thousands_is_brought_in_parts() -> None:
    async with room() as here:
        await here.connected()
        await here.server.send(fake.with_zlib(*[fake.comment(number) for number in range(1000)]))
        await until(lambda: len(here.intake.posts) == 1000)
        assert here.intake.ids() == [f"dm-{number}" for number in range(1000)]
        assert here.intake.batches == [250] * 4


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


async def test_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    trust_nobody_else(monkeypatch, CERTIFICATE)
    async with room(server=BilibiliServer(tls=True)) as here:
        await here.connected()
        await here.server.send(fake.gift(1))
        await until(lambda: here.intake.ids() == ["gift-1"])


async def test_a_certificate_that_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trust_nobody_else(monkeypatch, None)
    async with room(server=BilibiliServer(tls=True)) as here:
        assert "certificate" in str(await here.ended())


def trust_nobody_else(monkeypatch: pytest.MonkeyPatch, authority: Path | None) -> None:
    """Authorities are read anew, in this test and after it."""
    if authority is None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    else:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr(trust, "authorities", functools.lru_cache(trust.authorities.__wrapped__))


# -- in virtual time, by the platform's own clock --------------------------------------------------------------------


@asynccontextmanager
async def fed(server: BilibiliServer) -> AsyncIterator[BilibiliRoom]:
    """As the director runs it."""
    source = BilibiliRoom(settings(server))
    feeding = asyncio.create_task(Feeds([Feed("bili", "bilibili", source)]).run(Kept()))
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
