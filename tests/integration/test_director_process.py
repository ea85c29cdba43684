"""The director process around the director: beats, reloads, what it serves, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broadcaster.brain.mind import ChainMind
from broadcaster.config import Config
from broadcaster.director.process import run_director
from broadcaster.errors import ConfigError
from broadcaster.paths import Paths
from broadcaster.station import Station
from broadcaster.types import Origin, PromptKind, Role
from broadcaster.wire import Notice, SinkCommand
from tests.fakes.gate import PassGate
from tests.fakes.playout_peer import PlayoutPeer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.waiting import until

pytestmark = pytest.mark.integration

BY = Origin("test", role=Role.OPERATOR)


class Process:
    """`run_director` in this loop."""

    def __init__(self, paths: Paths, serve: Callable[[Station], Awaitable[None]] | None = None) -> None:
        self.beats: list[tuple[int, bool, str]] = []
        self.stop = asyncio.Event()
        self.notices: asyncio.Queue[Notice] = asyncio.Queue()
        self.station: Station | None = None
        self.playout = PlayoutPeer(paths.playout_socket)
        self.running: asyncio.Task[None] | None = None
        self._serve = serve
        self._paths = paths

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends it as SIGTERM does."""
        self.stop.set()
        if self.running is not None:
            await asyncio.gather(self.running, return_exceptions=True)
        await self.playout.kill()

    async def _console(self, station: Station) -> None:
        self.station = station
        if self._serve is not None:
            await self._serve(station)
        await asyncio.Event().wait()

    def start(self) -> asyncio.Task[None]:
        def read_sinks(text: str) -> list[dict[str, object]]:
            if text == "bad":
                raise ConfigError("sinks: bad")
            return [{"type": "null", "name": text}]

        self.running = asyncio.create_task(
            run_director(
                Config(channel="test"),
                self._paths,
                speaker=ScriptedSpeaker(),
                mind=ChainMind.of([]),
                gate=PassGate(),
                beat=lambda *beat: self.beats.append(beat),
                stop=self.stop,
                notices=self.notices,
                read_sinks=read_sinks,
                serve=self._console,
            )
        )
        return self.running


async def test_it_beats_from_the_first_and_says_when_playout_is_there(paths: Paths) -> None:
    async with Process(paths) as process:
        running = process.start()
        await until(lambda: process.beats)
        assert process.beats[0] == (1, False, "waiting for playout")
        await process.playout.start()
        await until(lambda: process.beats[-1][1])
        assert process.beats[-1][2] == ""
        assert [beat[0] for beat in process.beats] == list(range(1, len(process.beats) + 1))
        process.stop.set()
        await running


async def test_a_reload_hands_playout_the_new_sinks_and_a_bad_one_changes_nothing(paths: Paths) -> None:
    async with Process(paths) as process:
        await process.playout.start()
        running = process.start()
        await until(lambda: process.playout.connections)
        for text in ("bad", "fresh"):
            process.notices.put_nowait(Notice("reload", "director", text))
        process.notices.put_nowait(Notice("exited", "voice", "killed by SIGKILL"))
        await until(lambda: process.playout.messages(SinkCommand))
        (command,) = process.playout.messages(SinkCommand)
        assert isinstance(command, SinkCommand)
        assert (command.action, command.all_settings) == ("reload", [{"type": "null", "name": "fresh"}])
        assert not running.done()
        process.stop.set()
        await running


async def test_what_it_serves_gets_the_station_and_ends_after_the_last_sentence(paths: Paths) -> None:
    heard: list[str] = []

    async def serve(station: Station) -> None:
        events = station.subscribe()
        await station.accept(PromptKind.SAY, "说一句话。", BY)
        async for event in events:
            if event["type"] != "status":
                heard.append(event["type"])

    async with Process(paths, serve) as process:
        await process.playout.start()
        running = process.start()
        await until(lambda: "on_air" in heard)
        process.stop.set()
        await running
        assert process.playout.heard() == ["说一句话。"]
        assert heard == ["on_air", "done"]


async def test_a_console_that_fails_ends_the_director_with_its_error(paths: Paths) -> None:
    async def serve(station: Station) -> None:
        raise ConfigError("console.port: taken")

    async with Process(paths, serve) as process:
        with pytest.raises(ConfigError, match="taken"):
            await process.start()
