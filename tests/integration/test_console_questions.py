"""Recorded questions over HTTP: what may be handed in, and by whom."""

from __future__ import annotations

import pytest

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.station import MAX_RECORDING_BYTES
from tests.fakes.station import FakeStation
from tests.support.console import MODERATOR, TOKENS, check_error, running_console

pytestmark = pytest.mark.integration

SOUND = {"Content-Type": "audio/wav"}
SMALL = Console(port=0, tokens=TOKENS, max_message_bytes=256)


async def test_a_recording_may_be_far_larger_than_a_message(paths: Paths) -> None:
    data = b"x" * 100_000
    async with running_console(paths, SMALL) as console, console.http(MODERATOR) as client:
        taken = await client.post("/api/questions", content=data, headers=SOUND)
        assert taken.status_code == 201
        name = taken.json()["recording"]
        assert console.station.recordings[name] == data
        asked = {"type": "ask", "text": "天气", "recording": name}
        assert (await client.post("/api/prompts", json=asked)).status_code == 202
        check_error(await client.post("/api/prompts", content=data), 413, "too_large")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_only_sound_is_taken(paths: Paths, kind: str) -> None:
    async with running_console(paths, SMALL) as console, console.http(MODERATOR) as client:
        answer = await client.post("/api/questions", content=b"{}", headers={"Content-Type": kind} if kind else {})
        check_error(answer, 415, "not_sound")


async def test_one_byte_too_many_is_refused(paths: Paths) -> None:
    async with running_console(paths, SMALL) as console, console.http(MODERATOR) as client:
        data = b"x" * (MAX_RECORDING_BYTES + 1)
        check_error(await client.post("/api/questions", content=data, headers=SOUND), 413, "too_large")
        assert console.station.recordings == {}


async def test_a_channel_that_cannot_listen_says_so(paths: Paths) -> None:
    station = FakeStation()
    station.listens = False
    async with running_console(paths, SMALL, station=station) as console, console.http(MODERATOR) as client:
        check_error(await client.post("/api/questions", content=b"RIFF", headers=SOUND), 409, "refused")
