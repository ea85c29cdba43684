"""What comes over Bilibili's websocket, from a local server: frames of every kind, and frames that are none."""

from __future__ import annotations

import pytest

from sources.bilibili.connection import GARBAGE_LIMIT
from tests.fakes import bilibili_server as fake
from tests.support.bilibili import QUICK, room
from tests.support.waiting import until

pytestmark = pytest.mark.contract


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


async def test_a_frame_of_thousands_is_brought_in_parts() -> None:
    async with room() as here:
        await here.connected()
        await here.server.send(fake.with_zlib(*[fake.comment(number) for number in range(1000)]))
        await until(lambda: len(here.intake.posts) == 1000)
        assert here.intake.ids() == [f"dm-{number}" for number in range(1000)]
        assert here.intake.batches == [250] * 4
