"""Douyin's API, at a local Douyin: tokens and the pace of calls, on a clock of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broadcaster.errors import SourceError
from sources.douyin.api import CALLS_PER_S
from sources.douyin.events import KINDS
from tests.fakes.douyin_server import ROOM, DouyinServer
from tests.support.douyin import Virtual, api_of

pytestmark = pytest.mark.contract


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
