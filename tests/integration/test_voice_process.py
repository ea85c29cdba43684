"""The voice process and its client over a real socket: order, cancellation, hangs, and a process that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from broadcaster import wire
from broadcaster.config import VoiceConfig
from broadcaster.errors import AssetError, VoiceError
from broadcaster.paths import Paths
from broadcaster.speech.client import ASK_LIMIT, VoiceClient
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.process import MAX_PENDING, run_voice
from broadcaster.types import PLAIN, Manner, Piece, Speech
from tests.fakes.voice import ScriptedSynthesiser, sound_of

pytestmark = pytest.mark.integration

SERVER = """
import sys, threading
from pathlib import Path
from broadcaster.config import VoiceConfig
from broadcaster.paths import Paths
from broadcaster.speech.process import run_voice
from tests.fakes.voice import ScriptedSynthesiser

class Deadly(ScriptedSynthesiser):
    def synthesise(self, text, *rest):
        if "毒" in text:
            import os
            os._exit(9)
        return super().synthesise(text, *rest)

paths = Paths(*map(Path, sys.argv[1:]))
run_voice(VoiceConfig(engine="tone"), paths, lambda *beat: None, threading.Event(), Deadly())
"""


class Beats:
    def __init__(self) -> None:
        self.seen: list[tuple[int, bool, str]] = []
        self.changed = threading.Condition()

    def __call__(self, progress: int, ready: bool, note: str) -> None:
        with self.changed:
            self.seen.append((progress, ready, note))
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, timeout=10)


@contextmanager
def served(paths: Paths, config: VoiceConfig, engine: ScriptedSynthesiser) -> Iterator[Beats]:
    """`run_voice` in a thread of this process."""
    stop, beats = threading.Event(), Beats()
    thread = threading.Thread(target=run_voice, args=(config, paths, beats, stop, engine))
    thread.start()
    try:
        yield beats
    finally:
        engine.release.set()
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert not paths.voice_socket.exists()


def start(paths: Paths) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SERVER, *map(str, (paths.state, paths.run, paths.cache))])


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@asynccontextmanager
async def client(
    paths: Paths, config: VoiceConfig, away_s: float = 10.0
) -> AsyncIterator[tuple[VoiceClient, list[str]]]:
    hung: list[str] = []
    voice = VoiceClient(config, paths, hung.append, away_s=away_s)
    try:
        yield voice, hung
    finally:
        await voice.close()


async def say(voice: VoiceClient, text: str, generation: int = 1, language: str = "zh") -> Speech:
    chunks = [chunk async for chunk in voice.speak(Piece(text, language, 0), generation)]
    assert len(chunks) == 1
    return chunks[0]


CONFIG = VoiceConfig(engine="tone", zh="anna", en="bob", request_timeout_s=5)


async def test_pieces_are_spoken_in_order_with_the_voice_of_their_language(paths: Paths) -> None:
    engine = ScriptedSynthesiser()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (voice, hung):
            made = await asyncio.gather(say(voice, "一"), say(voice, "two", language="en"), say(voice, "三三"))
            assert voice.name == "scripted"
    assert engine.asked == [("一", "zh", "anna"), ("two", "en", "bob"), ("三三", "zh", "anna")]
    assert [(len(m.pcm), m.phones) for m in made] == [
        (len(sound_of(t).pcm), sound_of(t).phones) for t in ("一", "two", "三三")
    ]
    assert hung == []


class Streaming(ScriptedSynthesiser):
    """A chunk for each character; each but the first waits for `release`. "坏" breaks off there."""

    voices = ("anna", "bob", "carl")

    def __init__(self) -> None:
        super().__init__()
        self.manners: list[tuple[str, float, float]] = []

    def stream(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Iterator[Speech]:
        self.manners.append((voice, speed, pitch))
        for number, character in enumerate(text):
            if number > 0:
                self.working.set()
                while not self.release.wait(0.005):
                    if cancelled():
                        self.cancelled.append(text)
                        raise VoiceError("cancelled", retryable=False)
            if character == "坏":
                raise VoiceError("cannot say that", retryable=False)
            yield sound_of(character)


async def test_chunks_come_as_they_are_made(paths: Paths) -> None:
    engine = Streaming()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (voice, hung):
            stream = voice.speak(Piece("一二三", "zh", 0), 1)
            assert len((await anext(stream)).pcm) == len(sound_of("一").pcm)
            assert not engine.release.is_set(), "the rest is not made yet"
            engine.release.set()
            rest = [chunk async for chunk in stream]
            assert [(len(c.pcm), c.phones) for c in rest] == [(len(sound_of("二").pcm), sound_of("二").phones)] * 2
            with pytest.raises(VoiceError, match="cannot say that"):
                _ = [chunk async for chunk in voice.speak(Piece("一坏", "zh", 0), 1)]
    assert hung == []


async def test_closing_after_a_chunk_cancels_the_rest(paths: Paths) -> None:
    engine = Streaming()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (voice, _):
            stream = voice.speak(Piece("一二三", "zh", 0), 3)
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
            assert len((await say(voice, "好", 4)).pcm) > 0
    assert engine.cancelled == ["一二三"]


async def test_a_hang_between_chunks_is_seen(paths: Paths) -> None:
    config = CONFIG.model_copy(update={"request_timeout_s": 0.3})
    engine = Streaming()
    with served(paths, config, engine):
        async with client(paths, config) as (voice, hung):
            with pytest.raises(VoiceError, match=r"no answer for 0.3 s"):
                _ = [chunk async for chunk in voice.speak(Piece("一二三", "zh", 0), 1)]
    assert len(hung) == 1


async def test_a_message_may_ask_for_speed_pitch_and_a_voice_that_there_is(paths: Paths) -> None:
    config = CONFIG.model_copy(update={"speed": 1.5, "pitch": 1.0})
    engine = Streaming()
    with served(paths, config, engine):
        async with client(paths, config) as (voice, _):
            for manner in (PLAIN, Manner(1.2, -2.0, "carl"), Manner(2.0, 6.0, "nobody"), Manner(0.5, -6.0)):
                _ = [chunk async for chunk in voice.speak(Piece("一", "zh", 0, manner), 1)]
    expected = [("anna", 1.5, 1.0), ("carl", 1.8, -1.0), ("anna", 2.0, 6.0), ("anna", 0.75, -5.0)]
    assert [(name, pytest.approx(speed), pitch) for name, speed, pitch in expected] == engine.manners


async def test_errors_come_back_as_they_are_and_the_engine_goes_on(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    with served(paths, CONFIG, ScriptedSynthesiser()):
        async with client(paths, CONFIG) as (voice, _):
            for text, complaint in (("坏", "cannot say that"), ("崩", "RuntimeError: engine bug")):
                with pytest.raises(VoiceError, match=complaint) as caught:
                    await say(voice, text)
                assert not caught.value.retryable
            assert len((await say(voice, "好")).pcm) > 0
    assert "崩" not in caplog.text


async def test_cancel_works_in_the_middle_of_a_run(paths: Paths) -> None:
    engine = ScriptedSynthesiser()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (voice, _):
            stuck = asyncio.create_task(say(voice, "卡住", 7))
            waiting = asyncio.create_task(say(voice, "排队", 7))
            await asyncio.to_thread(engine.working.wait, 5)
            stuck.cancel()
            assert len((await say(voice, "下一句", 8)).pcm) > 0
            with pytest.raises(VoiceError, match="cancelled"):
                await waiting
    assert engine.cancelled == ["卡住"]
    assert [text for text, _, _ in engine.asked] == ["卡住", "下一句"]


async def test_a_director_that_goes_away_takes_its_requests_along(paths: Paths) -> None:
    engine = ScriptedSynthesiser()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (first, _):
            task = asyncio.create_task(say(first, "卡住"))
            await asyncio.to_thread(engine.working.wait, 5)
            task.cancel()
        async with client(paths, CONFIG) as (second, _):
            assert len((await say(second, "好")).pcm) > 0
    assert engine.cancelled == ["卡住"]


async def test_a_hang_is_told_once_and_may_be_retried(paths: Paths) -> None:
    config = CONFIG.model_copy(update={"request_timeout_s": 0.3})
    engine = ScriptedSynthesiser()
    with served(paths, config, engine) as beats:
        async with client(paths, config) as (voice, hung):
            with pytest.raises(VoiceError, match=r"no answer for 0.3 s") as caught:
                await say(voice, "卡住")
            assert caught.value.retryable
            assert hung == ["the voice gave no answer for 0.3 s"]
            assert len((await say(voice, "好")).pcm) > 0, "the closed connection freed the engine"
        count = len(beats.seen)
        beats.wait_for(count + 1)
        assert beats.seen[-1][1], "ready"


async def test_progress_stands_still_while_the_engine_hangs(paths: Paths) -> None:
    config = CONFIG.model_copy(update={"request_timeout_s": 0.2})
    engine = ScriptedSynthesiser()
    with served(paths, config, engine) as beats:
        sock = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            try:
                sock.connect(str(paths.voice_socket))
                break
            except OSError:
                await asyncio.sleep(0.05)
        connection = wire.Connection(sock)
        assert isinstance(await asyncio.to_thread(connection.receive), wire.Hello)
        connection.send(wire.Synthesise(1, 1, "卡住", "zh", "anna", 1.0))
        await asyncio.to_thread(engine.working.wait, 5)
        count = len(beats.seen)
        await asyncio.to_thread(beats.wait_for, count + 3)
        assert beats.seen[count + 1][0] == beats.seen[count + 2][0]
        engine.release.set()
        assert isinstance(await asyncio.to_thread(connection.receive), wire.Synthesised)
        connection.close()


async def test_too_many_requests_are_refused(paths: Paths) -> None:
    engine = ScriptedSynthesiser()
    with served(paths, CONFIG, engine):
        async with client(paths, CONFIG) as (voice, _):
            stuck = asyncio.create_task(say(voice, "卡住"))
            await asyncio.to_thread(engine.working.wait, 5)
            more = [asyncio.create_task(say(voice, "好")) for _ in range(MAX_PENDING + 3)]
            async with asyncio.timeout(5):
                while sum(task.done() for task in more) < 3:
                    await asyncio.wait([t for t in more if not t.done()], return_when=asyncio.FIRST_COMPLETED)
            engine.release.set()
            results = await asyncio.gather(stuck, *more, return_exceptions=True)
    refused = [r for r in results if isinstance(r, VoiceError)]
    assert len(refused) == 3
    assert all(r.retryable for r in refused)


async def test_a_message_that_is_not_the_directors_closes_the_connection(paths: Paths) -> None:
    with served(paths, CONFIG, ScriptedSynthesiser()):
        async with client(paths, CONFIG) as (voice, _):
            await voice.warm()
            reader, writer = await asyncio.open_unix_connection(str(paths.voice_socket))
            assert isinstance(await wire.read_message(reader), wire.Hello)
            writer.write(wire.encode(wire.Beat("x", 1)))
            assert await wire.read_message(reader) is None
            writer.close()
            assert len((await say(voice, "好")).pcm) > 0, "others do not notice"


async def test_a_killed_voice_costs_no_words(paths: Paths) -> None:
    process = start(paths)
    try:
        async with client(paths, CONFIG) as (voice, hung):
            speaker = PacedSpeaker(voice)

            async def text() -> AsyncIterator[str]:
                yield "大家好。"
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                yield "卡不住的。再见。"

            async def again() -> subprocess.Popen[bytes]:
                await asyncio.to_thread(process.wait)
                return start(paths)

            restarted = asyncio.create_task(again())
            await voice.warm()
            packages = [p.opens or "" async for p in speaker.speak(text(), 1)]
            end(await restarted)
            assert "".join(packages) == "大家好。卡不住的。再见。"
            assert hung == []
    finally:
        end(process)


async def test_a_piece_that_kills_the_voice_is_given_up(paths: Paths) -> None:
    started = [start(paths)]

    async def keep() -> None:
        while len(started) < ASK_LIMIT + 1:
            await asyncio.to_thread(started[-1].wait)
            started.append(start(paths))

    keeper = asyncio.create_task(keep())
    try:
        async with client(paths, CONFIG) as (voice, _):
            with pytest.raises(VoiceError, match=f"ended {ASK_LIMIT} times over one piece") as caught:
                await say(voice, "毒")
            assert not caught.value.retryable
            assert len((await say(voice, "好")).pcm) > 0
    finally:
        keeper.cancel()
        for process in started:
            end(process)


async def test_a_voice_that_is_not_there_is_waited_for_but_not_for_ever(paths: Paths) -> None:
    async with client(paths, CONFIG, away_s=0.3) as (voice, hung):
        with pytest.raises(VoiceError, match=r"not there for 0.3 s") as caught:
            await say(voice, "好")
        assert caught.value.retryable
        assert hung == []


def test_a_stale_socket_is_replaced(paths: Paths) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(paths.voice_socket))
    stale.close()
    with served(paths, CONFIG, ScriptedSynthesiser()) as beats:
        beats.wait_for(2)


def test_an_engine_that_cannot_load_ends_the_process(paths: Paths) -> None:
    class Broken(ScriptedSynthesiser):
        def load(self) -> None:
            raise AssetError("the model is damaged")

    with pytest.raises(AssetError, match="damaged"):
        run_voice(CONFIG, paths, Beats(), threading.Event(), Broken())


class Warming(ScriptedSynthesiser):
    """Loads for as long as nobody closes it, as a long warm-up does."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()
        self.ended = False

    def load(self) -> None:
        assert self.closed.wait(10)
        self.ended = True
        raise VoiceError("cancelled", retryable=False)

    def close(self) -> None:
        self.closed.set()


def test_stopping_ends_a_warm_up_first(paths: Paths) -> None:
    engine, stop, beats = Warming(), threading.Event(), Beats()
    stop.set()
    run_voice(VoiceConfig(engine="tone"), paths, beats, stop, engine)
    assert engine.ended
