"""CosyVoice and Qwen through the official SDK: each of its traps, and how one lets go of it. On loopback.

What is asked for on the wire, and the words' times, are in `test_voice_cloud_wire.py`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager

import dashscope
import pytest
import websocket
from dashscope.audio.tts_v2 import AudioFormat, ResultCallback, SpeechSynthesizer
from pydantic import SecretStr

from broadcaster.config.voices import LinkBase
from broadcaster.errors import VoiceError
from broadcaster.speech.finished import FinishedVoice
from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, Piece, TimedWord, Viseme
from tests.contract.voice_cases.case import Fault, sound
from tests.fakes.dashscope_server import DashScopeServer
from tests.fakes.dashscope_talk import RATE
from tests.support.cloud_voice import KEY, MAKERS, NEVER_S, ONE, THREE, Engine, cosyvoice, data_of, hear, qwen
from tests.support.waiting import until

pytestmark = pytest.mark.integration

Make = Callable[..., Engine]
both = pytest.mark.parametrize("make", MAKERS)


@pytest.fixture
async def server() -> AsyncIterator[DashScopeServer]:
    async with DashScopeServer() as server:
        yield server
        await until(lambda: server.open == 0)


@pytest.fixture(autouse=True)
async def no_thread_is_left() -> AsyncIterator[None]:
    """Whatever a test has done to its connection."""
    before = threads()
    yield
    await until(lambda: threads() <= before)


def threads() -> set[threading.Thread]:
    """Without the loop's own workers, which stay for the next call of `to_thread`."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


async def fails(engine: Engine) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await hear(engine)
    assert KEY not in str(caught.value)
    assert ONE not in str(caught.value)
    return caught.value


# -- trap 1: the socket dies after "finish" --------------------------------------------------------------------------


class Told(ResultCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.of: list[str] = []

    def on_error(self, message: str) -> None:
        self.of.append("error")

    def on_close(self) -> None:
        self.of.append("close")


async def test_the_sdk_alone_would_wait_for_a_socket_that_is_dead(
    server: DashScopeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why neither its way to connect nor its "complete" is used: nobody is told, and it waits as long as it may."""
    server.drops_at = "finish-task"
    monkeypatch.setattr(dashscope, "api_key", KEY)
    told = Told()
    sdk = SpeechSynthesizer("m", "v", AudioFormat.PCM_24000HZ_MONO_16BIT, callback=told, url=server.tts_url)

    def alone() -> None:
        sdk.streaming_call(ONE)
        with pytest.raises(TimeoutError):
            sdk.streaming_complete(300)

    await asyncio.to_thread(alone)
    assert told.of == []


@pytest.mark.parametrize(("make", "last"), [(cosyvoice, "finish-task"), (qwen, "session.finish")])
async def test_a_socket_that_dies_after_finish_is_an_error_at_once(
    server: DashScopeServer, make: Make, last: str
) -> None:
    server.drops_at = last
    server.pace_s = 0.1
    error = await fails(make(server))
    assert error.retryable
    assert "lost before the sound was complete" in str(error)
    assert server.actions[-1] == last


@both
async def test_a_peer_that_is_silent_after_finish_costs_neither_thread_nor_socket(
    server: DashScopeServer, make: Make
) -> None:
    """Half dead: no packet says so. Whoever listens gives up, and everything is free when the stream is closed."""
    server.fault = Fault.SLOW_START
    before = threads()
    stream = make(server).stream(Piece(ONE, "zh", 0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert threads() == before
    await until(lambda: server.left == 1)


class Shut:
    """A mouth that stays shut."""

    def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
        return (Phone("", Viseme.SIL, 0, len(pcm)),)


@both
@pytest.mark.parametrize(
    ("fault", "says"), [(Fault.SLOW_START, "no sound within 0.2 s"), (Fault.STALL, "no more sound for 0.2 s")]
)
async def test_the_time_outs_of_whoever_listens_are_enough(
    server: DashScopeServer, make: Make, fault: Fault, says: str
) -> None:
    """The voice as the chain has it; the piece behind the one that was given up is spoken whole."""
    server.sound = sound(RATE, 2.0)
    server.fault = fault
    link = LinkBase(name="cloud", first_sound_timeout_s=0.2, gap_timeout_s=0.2)
    voice = FinishedVoice(make(server), link, loudness_lufs=-16.0, mouth=lambda _reading, _language: Shut())
    before = threads()
    with pytest.raises(VoiceError, match=f"cloud: {says}") as caught:
        await spoken(voice)
    assert caught.value.retryable
    assert threads() == before
    await until(lambda: server.left == 1)
    server.fault = None
    assert await spoken(voice) > 1.5


async def spoken(voice: FinishedVoice) -> float:
    """Seconds that came of `ONE`."""
    async with asyncio.timeout(NEVER_S):
        return sum([len(speech.pcm) async for speech in voice.speak(Piece(ONE, "zh", 0), 1)]) / SAMPLE_RATE


# -- trap 2: the socket dies before ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "action"),
    [
        (cosyvoice, "run-task"),
        (cosyvoice, "continue-task"),
        (qwen, "session.update"),
        (qwen, "input_text_buffer.append"),
        (qwen, "input_text_buffer.commit"),
    ],
)
async def test_a_socket_that_dies_before_finish_is_an_error_too(
    server: DashScopeServer, make: Make, action: str
) -> None:
    server.drops_at = action
    assert (await fails(make(server))).retryable


# -- trap 3: connecting blocks, and callbacks come on another thread -------------------------------------------------


@contextmanager
def ticking() -> Iterator[list[int]]:
    """Counts how often the event loop comes round."""
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(tick())
    try:
        yield ticks
    finally:
        task.cancel()


@both
async def test_a_server_that_never_answers_the_handshake(make: Make) -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        address = SecretStr(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x")
        before = threads()
        with ticking() as ticks:
            error = await fails(make(DashScopeServer(), url=address, connect_timeout_s=0.3))
        assert str(error) == "no connection within 0.3 s"
        assert error.retryable
        assert len(ticks) > 3, "the loop went on meanwhile"
        assert threads() == before
        await asyncio.wait_for(ended.wait(), NEVER_S)


async def test_a_task_that_never_starts_is_left_without_sending_the_text(server: DashScopeServer) -> None:
    """The SDK's thread waits for task-started: let go, it must not go on as if that had come."""
    server.never_starts = True
    before = threads()
    stream = cosyvoice(server).stream(Piece(ONE, "zh", 0))
    with ticking() as ticks, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(stream)
    assert len(ticks) > 3
    await stream.aclose()  # type: ignore[attr-defined]
    assert threads() == before
    await until(lambda: server.open == 0)
    assert server.actions == ["run-task"]


async def test_the_sdk_does_not_close_the_socket_under_the_thread_that_reads_it(
    server: DashScopeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would, on the thread that asked, when the task is refused; the descriptor may be another's by then."""
    closed: list[str] = []
    monkeypatch.setattr(websocket.WebSocketApp, "close", lambda *_: closed.append(threading.current_thread().name))
    server.fault, server.fails_at_start = Fault.ERROR, True
    for _ in range(3):
        await fails(cosyvoice(server))
    assert closed == []


@both
async def test_sound_that_comes_faster_than_it_is_taken_waits_for_the_listener(
    server: DashScopeServer, make: Make
) -> None:
    server.frame_bytes = 100
    server.sound = sound(RATE, 1.0)
    async with aclosing(make(server).stream(Piece(ONE, "zh", 0))) as stream:  # type: ignore[type-var]
        chunks = [await anext(stream)]
        await asyncio.sleep(0.1)
        chunks += [chunk async for chunk in stream]
    assert len(chunks) == 480
    assert data_of(chunks) == server.sound


# -- trap 4: one global key, and an environment read at import -------------------------------------------------------


@both
async def test_links_of_different_keys_do_not_mix(
    server: DashScopeServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashscope, "api_key", "sk-of-the-environment")
    monkeypatch.setattr(dashscope, "base_websocket_api_url", "ws://127.0.0.1:1/of-the-environment")
    server.pace_s = 0.005
    engines = {f"第{n}个人在说话。": make(server, key=f"sk-number-{n}") for n in range(4)}
    await asyncio.gather(*(hear(engine, text) for text, engine in engines.items() for _ in range(2)))
    used = {(request.text, request.key) for request in server.requests}
    assert used == {(text, f"Bearer sk-number-{n}") for n, text in enumerate(engines)}
    assert len(server.requests) == 8
    assert dashscope.api_key == "sk-of-the-environment"


@both
async def test_without_any_key_in_the_environment(
    server: DashScopeServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashscope, "api_key", None)
    assert data_of(await hear(make(server))) == server.sound
    assert dashscope.api_key is None


# -- trap 5: no more than 23 s between texts -------------------------------------------------------------------------


async def test_a_long_answer_cannot_run_into_the_limit_between_texts(server: DashScopeServer) -> None:
    server.idle_limit_s = 0.15
    server.pace_s = 0.1
    chunks = await hear(cosyvoice(server))
    assert data_of(chunks) == server.sound
    assert len(chunks) * server.pace_s > 2 * server.idle_limit_s
    assert server.actions == ["run-task", "continue-task", "finish-task"]


async def test_the_limit_itself_is_an_error_that_may_pass(server: DashScopeServer) -> None:
    """And the server of these tests does have one."""
    server.idle_limit_s = 0.0
    error = await fails(cosyvoice(server))
    assert error.retryable
    assert "RequestTimeOut" in str(error)


# -- cancelling ------------------------------------------------------------------------------------------------------


@both
async def test_closing_the_stream_stops_the_server(server: DashScopeServer, make: Make) -> None:
    server.pace_s = 0.1
    server.sound = sound(RATE, 3.0)
    async with aclosing(make(server).stream(Piece(THREE, "zh", 0))) as stream:  # type: ignore[type-var]
        assert (await anext(stream)).data
    await until(lambda: server.left == 1)
    assert server.cancels == 1
    billed = server.billed
    if make is cosyvoice:
        assert billed == 7, "of three sentences the first: three Chinese characters and a full stop"
    await asyncio.sleep(0.1)
    assert server.billed == billed


@both
async def test_a_stream_that_came_to_its_end_cancels_nothing(server: DashScopeServer, make: Make) -> None:
    await hear(make(server))
    await until(lambda: server.open == 0)
    assert (server.cancels, server.left) == (0, 0)


# -- errors ----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("code", "retryable", "says"),
    [
        ("InternalError", True, "InternalError"),
        ("Throttling.RateQuota", True, "Throttling.RateQuota"),
        ("Throttling.AllocationQuota", True, "Throttling"),
        ("InvalidApiKey", False, "check api_key"),
        ("Arrearage", False, "top it up"),
        ("AllocationQuota.FreeTierOnly", False, "free quota"),
        ("Model.AccessDenied", False, "may use this model"),
        ("ModelNotFound", False, "check model"),
        ("InvalidParameter", False, "voice belongs to this model"),
        ("invalid_value", False, "check model and voice"),
        ("DataInspectionFailed", False, "does not speak this text"),
        ("<今天的天气真好啊。\n>", True, "no code"),
        ("", True, "no code"),
    ],
)
async def test_codes_of_failures(server: DashScopeServer, make: Make, code: str, retryable: bool, says: str) -> None:
    server.fault, server.code = Fault.ERROR, code
    for server.fails_at_start in (False, True):
        error = await fails(make(server))
        assert error.retryable is retryable
        assert says in str(error)


@both
async def test_a_refused_key_says_what_to_do(server: DashScopeServer, make: Make) -> None:
    server.fault = Fault.UNAUTHORIZED
    error = await fails(make(server))
    assert not error.retryable
    assert str(error) == (
        "the server refused the connection with 401 -> check api_key of this link, and that the key belongs to the"
        " region of url"
    )


@both
async def test_neither_texts_nor_keys_are_logged(
    server: DashScopeServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK and its websocket library would log both, at the level of errors too."""
    caplog.set_level(logging.DEBUG)
    await hear(make(server))
    for server.fault in (Fault.ERROR, Fault.UNAUTHORIZED, Fault.RESET, Fault.JSON):
        await fails(make(server))
    assert {record.name.partition(".")[0] for record in caplog.records} <= {"asyncio", "websockets"}
