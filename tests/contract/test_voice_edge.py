"""The traps of edge-tts: sentences in place of words, ticks, one stream per object, ends that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from pydantic import ValidationError

from broadcaster.config.voices import EdgeVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.edge import EdgeEngine
from broadcaster.types import Manner, Piece, RawSound
from tests.contract.voice_cases.case import TEXT, Fault
from tests.fakes.edge_server import EdgeServer

pytestmark = pytest.mark.contract


@asynccontextmanager
async def edge(monkeypatch: pytest.MonkeyPatch, **options: float) -> AsyncIterator[tuple[EdgeServer, EdgeEngine]]:
    import edge_tts.communicate

    async with EdgeServer() as server:
        monkeypatch.setattr(edge_tts.communicate, "WSS_URL", server.url)
        engine = EdgeEngine(EdgeVoice(**options), None)
        yield server, engine
        await engine.close()


async def spoken(
    engine: EdgeEngine, text: str = TEXT, language: str = "zh", manner: Manner | None = None
) -> list[RawSound]:
    stream = engine.stream(Piece(text, language, 0, manner or Manner()))
    async with asyncio.timeout(10), aclosing(stream) as heard:
        return [chunk async for chunk in heard]


async def test_words_are_asked_for_and_sentences_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch) as (server, engine):
        await spoken(engine)
        options = server.requests[0].config["context"]["synthesis"]["audio"]["metadataoptions"]
        assert options == {"sentenceBoundaryEnabled": "false", "wordBoundaryEnabled": "true"}


async def test_ticks_of_100_ns_become_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch) as (_, engine):
        words = [word for chunk in await spoken(engine, "一二三四") for word in chunk.words]
        assert [(word.text, word.start, word.end) for word in words] == [
            ("一", 0.0, 0.1), ("二", 0.1, 0.2), ("三", 0.2, pytest.approx(0.3)), ("四", pytest.approx(0.3), 0.4),
        ]  # fmt: skip


async def test_speed_is_a_percentage_and_pitch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch, speed=0.8, pitch=3.0) as (server, engine):
        await spoken(engine)
        await spoken(engine, manner=Manner(speed=1.375, pitch=-2))
        assert [(request.rate, request.pitch) for request in server.requests] == [("-20%", "+0Hz"), ("+10%", "+0Hz")]


async def test_a_message_may_ask_for_a_voice_of_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch) as (server, engine):
        for voice in ("zh-CN-YunxiNeural", "en-US-AvaNeural", "zf_xiaoxiao"):
            await spoken(engine, manner=Manner(voice=voice))
        spoke = [request.voice.partition("(")[2].rstrip(")") for request in server.requests]
        assert spoke == ["zh-CN, YunxiNeural", "zh-CN, XiaoxiaoNeural", "zh-CN, XiaoxiaoNeural"]


async def test_text_is_data_in_its_ssml(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch) as (server, engine):
        await spoken(engine, "一 < 二 & <break time='9s'/>")
        assert server.requests[0].text == "一 < 二 & <break time='9s'/>"


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.RESET], ids=str)
async def test_a_connection_that_is_lost_is_no_end(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge(monkeypatch) as (server, engine):
        server.fault = fault
        with pytest.raises(VoiceError, match="broke off") as caught:
            await spoken(engine)
        assert caught.value.retryable


async def test_a_clock_that_is_wrong_is_set_by_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_tts.drm import DRM

    monkeypatch.setattr(DRM, "clock_skew_seconds", 3600.0)
    async with edge(monkeypatch) as (server, engine):
        server.refuse_once = 403
        assert await spoken(engine)
        assert (server.handshakes, len(server.requests)) == (2, 1)
        assert abs(DRM.clock_skew_seconds) < 60


def test_a_name_that_is_no_voice_of_the_service_is_refused_when_it_is_configured() -> None:
    with pytest.raises(ValidationError):
        EdgeVoice(voice="xiaoxiao")
