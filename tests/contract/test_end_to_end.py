"""One suite over every end-to-end voice: its real SDK against a local server that speaks its wire, right or wrong."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from broadcaster.brain.end_to_end.openai_realtime import OpenAIRealtimeVoice
from broadcaster.brain.end_to_end.qwen_omni import QwenOmniVoice
from broadcaster.config.brains import OpenAIRealtime, QwenOmni
from broadcaster.errors import BrainError
from broadcaster.ports import EndToEnd
from broadcaster.registry import END_TO_END, resolve
from broadcaster.types import Inbound, Message, Origin, PromptKind, RawSound, Turn, Usage
from tests.fakes.realtime_server import LINES, Fault, RealtimeServer, sound
from tests.support.waiting import until

pytestmark = pytest.mark.contract

KEY = "sk-canary-0123456789abcdef"
QUESTION = "明天的天气怎么样？"
ENGINES: dict[str, Any] = {"openai_realtime": OpenAIRealtimeVoice, "qwen_omni": QwenOmniVoice}
NAMES = sorted(ENGINES)


def made(name: str, server: RealtimeServer) -> EndToEnd:
    engine: EndToEnd
    if name == "openai_realtime":
        engine = OpenAIRealtimeVoice(OpenAIRealtime(base_url=server.http_url, api_key=SecretStr(KEY), model="talk-1"))
    else:
        engine = QwenOmniVoice(QwenOmni(url=SecretStr(server.ws_url), api_key=SecretStr(KEY), model="talk-1"))
    return engine


def turn(recording: Path | None = None) -> Turn:
    prompt = Inbound("p1", PromptKind.ASK, QUESTION, Origin("test"), recording=recording)
    said = (Message("user", "早上好"), Message("assistant", "早上好呀。"))
    return Turn(prompt, "你是小播。", (*said, Message("user", QUESTION)))


async def read(engine: EndToEnd, asked: Turn) -> tuple[bytes, str, list[Usage]]:
    data, text, usage = b"", "", []
    async with aclosing(engine.converse(asked)) as items:  # type: ignore[type-var]
        async for item in items:
            match item:
                case RawSound():
                    assert (item.rate, item.channels) == (24_000, 1)
                    data += item.data
                case Usage():
                    usage.append(item)
                case _:
                    text += item
    return data, text, usage


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with RealtimeServer() as running:
        yield running


@pytest.fixture(params=NAMES)
async def engine(request: pytest.FixtureRequest, server: RealtimeServer) -> AsyncIterator[EndToEnd]:
    engine = made(request.param, server)
    yield engine
    await engine.close()


def test_every_registered_voice_is_in_this_suite() -> None:
    assert {name: resolve(END_TO_END, name, "end-to-end voice") for name in END_TO_END} == ENGINES


@pytest.mark.parametrize("old", [True, False], ids=["names of before", "names of today"])
async def test_sound_transcript_and_usage_come_whole(server: RealtimeServer, engine: EndToEnd, old: bool) -> None:
    server.old = old
    data, text, usage = await read(engine, turn())
    assert data == server.sound
    assert text == "".join(LINES)
    assert usage == [Usage(30, 70, 10)]
    assert server.cancels == 0
    assert engine.name in ENGINES


async def test_it_is_told_who_it_is_what_was_said_and_the_question(server: RealtimeServer, engine: EndToEnd) -> None:
    await read(engine, turn())
    (asked,) = server.requests
    told = str(asked.session) + str(asked.items)
    assert "model=talk-1" in asked.path
    assert asked.key == f"Bearer {KEY}"
    assert all(part in told for part in ("你是小播。", "早上好", "早上好呀。"))
    last = asked.items[-1]
    assert (last["role"], last["content"][0]) == ("user", {"type": "input_text", "text": QUESTION})


async def test_a_recorded_question_goes_as_sound(server: RealtimeServer, engine: EndToEnd, tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(wav(sound(1.5), 24_000))
    data, _, _ = await read(engine, turn(path))
    (asked,) = server.requests
    assert data == server.sound
    assert QUESTION in str(asked.session) + str(asked.items)
    if engine.name == "qwen_omni":
        assert asked.committed
        assert abs(len(asked.audio) / 2 / 16_000 - 1.5) < 0.01
    else:
        audio = asked.items[-1]["content"][1]
        assert audio["type"] == "input_audio"
        assert len(audio["audio"]) == len(sound(1.5)) * 4 // 3


async def test_a_recording_that_is_gone_is_no_crash(server: RealtimeServer, engine: EndToEnd, tmp_path: Path) -> None:
    with pytest.raises(BrainError, match="recorded question") as caught:
        await read(engine, turn(tmp_path / "gone.wav"))
    assert not caught.value.retryable
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "denied"),
    [
        (Fault.UNAUTHORIZED, "", False, True),
        (Fault.TOO_MANY, "", True, False),
        (Fault.SERVER_ERROR, "", True, False),
        (Fault.ERROR, "server_error", True, False),
        (Fault.ERROR, "insufficient_quota", False, True),
        (Fault.ERROR, "invalid_value", False, False),
        (Fault.FAILED, "server_error", True, False),
        (Fault.FAILED, "content_filter", False, False),
        (Fault.DROPPED, "", True, False),
        (Fault.GARBAGE, "", True, False),
        (Fault.LIST, "", True, False),
        (Fault.SILENT, "", True, False),
    ],
)
async def test_a_failure_is_named_and_gives_nothing_away(
    server: RealtimeServer, engine: EndToEnd, fault: Fault, code: str, retryable: bool, denied: bool
) -> None:
    server.fault, server.code = fault, code
    async with asyncio.timeout(5):
        with pytest.raises(BrainError) as caught:
            await read(engine, turn())
    err = caught.value
    assert (err.retryable, err.denied) == (retryable, denied), err
    assert KEY not in str(err)
    assert QUESTION not in str(err)
    if fault is Fault.TOO_MANY and engine.name == "openai_realtime":
        assert err.retry_after_s == 7.0


async def test_a_server_that_is_not_there(engine: EndToEnd, server: RealtimeServer) -> None:
    await server.__aexit__()
    with pytest.raises(BrainError, match=r"connection"):
        await read(engine, turn())


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.STALL])
async def test_closing_cancels_the_answer(server: RealtimeServer, engine: EndToEnd, fault: Fault) -> None:
    server.fault = fault
    items = engine.converse(turn())
    if fault is Fault.STALL:
        assert isinstance(await anext(items), str)
    else:
        waiting = asyncio.ensure_future(anext(items))
        await until(lambda: len(server.requests) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await items.aclose()  # type: ignore[attr-defined]
    await until(lambda: server.cancels == 1 and server.open == 0)


async def test_two_at_once_do_not_mix(server: RealtimeServer, engine: EndToEnd) -> None:
    both = await asyncio.gather(read(engine, turn()), read(engine, turn()))
    assert [text for _, text, _ in both] == ["".join(LINES)] * 2
    assert [data for data, _, _ in both] == [server.sound] * 2


async def test_a_model_that_takes_no_text_says_so_and_can_still_be_asked_by_voice(tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(wav(sound(), 24_000))
    async with RealtimeServer(text_items=False) as server:
        engine = made("qwen_omni", server)
        with pytest.raises(BrainError, match="unknown_event"):
            await read(engine, turn())
        data, _, _ = await read(engine, turn(path))
        assert data == server.sound


def wav(pcm: bytes, rate: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()
