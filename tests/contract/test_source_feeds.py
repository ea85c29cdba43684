"""Sources inside the director process: from the configuration to a prompt, and their goodbye at its end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from broadcaster import registry
from broadcaster.brain.mind import ChainMind
from broadcaster.config import Config
from broadcaster.director.feeds import Feed, Feeds
from broadcaster.director.process import run_director
from broadcaster.errors import ConfigError
from broadcaster.feeding import feeds_of
from broadcaster.paths import Paths
from broadcaster.ports import Intake
from broadcaster.station import Station
from broadcaster.types import Post, PostKind, Viewer
from tests.fakes.gate import PassGate
from tests.fakes.playout_peer import PlayoutPeer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.waiting import until

pytestmark = pytest.mark.contract

DEMO = Path(__file__).parents[2] / "playlists" / "room.jsonl"


class Daemon:
    """`run_director` in this loop, ended as SIGTERM does."""

    def __init__(self, paths: Paths, feeds: Feeds) -> None:
        self.station: Station | None = None
        self.stop = asyncio.Event()
        self._paths = paths
        self._feeds = feeds
        self._playout = PlayoutPeer(paths.playout_socket)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Daemon:
        await self._playout.start()
        self._running = asyncio.create_task(
            run_director(
                Config(channel="test"), self._paths,
                speaker=ScriptedSpeaker(), mind=ChainMind.of([]), gate=PassGate(),
                beat=lambda *beat: None, stop=self.stop, serve=self._serve, feeds=self._feeds,
            )
        )  # fmt: skip
        await until(lambda: self.station is not None)
        return self

    async def _serve(self, station: Station) -> None:
        self.station = station
        await asyncio.Event().wait()

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        assert self._running is not None
        await self._running
        await self._playout.kill()

    def status(self) -> dict[str, Any]:
        assert self.station is not None
        return self.station.status()


class Polite:
    """Brings one gift, and takes a moment to close its session."""

    name = "polite"

    def __init__(self) -> None:
        self.said_goodbye = False

    async def run(self, intake: Intake) -> None:
        gift = Post("polite", PostKind.GIFT, "g", Viewer("u", "小满"), item="小花", price=90_000)
        await asyncio.wrap_future(intake.bring([gift]))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            self.said_goodbye = True

    def status(self) -> dict[str, Any]:
        return {"connected": not self.said_goodbye, "note": ""}


async def test_a_source_feeds_the_queue_and_says_goodbye_at_the_end(paths: Paths) -> None:
    source = Polite()
    async with Daemon(paths, Feeds([Feed("polite", "polite", source)])) as daemon:
        # Nobody can answer here: it is skipped, and told so.
        await until(lambda: daemon.status()["counters"]["skipped"] == 1)
        (status,) = daemon.status()["sources"]
        assert (status["name"], status["state"], status["paid"]) == ("polite", "live", 1)
    assert source.said_goodbye


async def test_a_recording_is_played_and_recorded_again(paths: Paths, tmp_path: Path) -> None:
    room = {"type": "replay", "file": str(DEMO), "speed": 1000, "record": str(tmp_path / "new")}
    feeds = feeds_of(Config.model_validate({"sources": [room]}).sources)
    async with Daemon(paths, feeds) as daemon:
        await until(lambda: daemon.status()["sources"][0]["received"] == 36)
        await until(lambda: daemon.status()["sources"][0]["recording"]["written"] == 36)
        assert daemon.status()["sources"][0]["note"] == "the recording is over"
    (file,) = (tmp_path / "new").iterdir()
    told = [json.loads(line) for line in file.read_bytes().splitlines()]
    meant = [json.loads(line) for line in DEMO.read_bytes().splitlines()]
    assert [line["kind"] for line in told] == [line["kind"] for line in meant]
    assert [line.get("text") for line in told] == [line.get("text") for line in meant]


def test_what_is_switched_off_is_shown_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.SOURCES, "replay", "sources.that_is_not_there:Replay")
    room = {"type": "replay", "file": "x.jsonl", "enabled": False}
    assert [feed["state"] for feed in feeds_of(Config.model_validate({"sources": [room]}).sources).status()] == [
        "off"
    ]
    with pytest.raises(ConfigError, match="that_is_not_there"):
        feeds_of(Config.model_validate({"sources": [room | {"enabled": True}]}).sources)
