"""CosyVoice and Qwen through the official SDK: what is asked for on the wire, and the times of words. On loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from broadcaster.types import Manner
from tests.contract.voice_cases.case import sound
from tests.fakes.dashscope_server import DashScopeServer
from tests.fakes.dashscope_talk import RATE
from tests.support.cloud_voice import ONE, THREE, cosyvoice, data_of, hear, qwen

pytestmark = pytest.mark.integration


@pytest.fixture
async def server() -> AsyncIterator[DashScopeServer]:
    async with DashScopeServer() as server:
        yield server


async def test_what_cosyvoice_is_asked_for(server: DashScopeServer) -> None:
    engine = cosyvoice(server, model="cosyvoice-v3-plus", speed=1.2, pitch=2.0)
    await hear(engine)
    await hear(engine, manner=Manner(speed=0.5, pitch=-4.0, voice="longwan"))
    await hear(engine, manner=Manner(speed=2.0, pitch=6.0))
    first, second, third = (request.parameters for request in server.requests)
    assert first["model"] == "cosyvoice-v3-plus"
    assert (first["format"], first["sample_rate"], first["voice"]) == ("pcm", 24_000, "longanyang")
    assert (first["rate"], first["pitch"]) == (1.2, pytest.approx(2 ** (2 / 12), abs=1e-4))
    assert (second["rate"], second["voice"]) == (0.6, "longwan")
    assert second["pitch"] == pytest.approx(2 ** (-2 / 12), abs=1e-4)
    assert (third["rate"], third["pitch"]) == (2.0, pytest.approx(2 ** (8 / 12), abs=1e-4))
    assert not {"enable_ssml", "word_timestamp_enabled", "language_hints", "instruction"} & set(first)


@pytest.mark.parametrize("ssml", [True, False])
async def test_ssml_is_for_links_that_want_it_and_texts_that_are_it(server: DashScopeServer, ssml: bool) -> None:
    engine = cosyvoice(server, ssml=ssml)
    marked = '<speak>重<phoneme alphabet="py" ph="qing4">庆</phoneme>。真好。</speak>'
    await hear(engine, marked)
    await hear(engine, ONE)
    assert [request.parameters.get("enable_ssml") for request in server.requests] == [True if ssml else None, None]
    assert [(request.text, request.texts) for request in server.requests] == [(marked, 1), (ONE, 1)]


async def test_what_qwen_is_asked_for(server: DashScopeServer) -> None:
    engine = qwen(server, speed=1.2)
    await hear(engine)
    await hear(engine, "我用 GPT 写。", Manner(pitch=-3.0, voice="Ethan"))
    await hear(qwen(server), "Good morning.", language="en")
    first, second, third = (request.parameters for request in server.requests)
    assert (first["model"], first["voice"], first["mode"]) == ("qwen3-tts-flash-realtime", "Cherry", "commit")
    assert (first["response_format"], first["sample_rate"]) == ("pcm", 24_000)
    assert (first["speech_rate"], first.get("pitch_rate")) == (1.2, None)
    assert (second["voice"], second["pitch_rate"]) == ("Ethan", pytest.approx(2**-0.25, abs=1e-4))
    assert [first["language_type"], second["language_type"], third["language_type"]] == ["Chinese", "Auto", "English"]
    assert not {"speech_rate", "pitch_rate"} & set(third), "the first generation of models refuses them"


async def test_the_two_modes_of_qwen(server: DashScopeServer) -> None:
    await hear(qwen(server))
    await hear(qwen(server, mode="server_commit"))
    begin = ["session.update", "input_text_buffer.append"]
    assert server.actions == [*begin, "input_text_buffer.commit", "session.finish", *begin, "session.finish"]


@pytest.mark.parametrize("name", ["response.audio.delta", "response.output_audio.delta"])
async def test_both_names_of_qwens_sound(server: DashScopeServer, name: str) -> None:
    server.audio_event = name
    assert data_of(await hear(qwen(server))) == server.sound


async def test_a_query_in_the_address_is_kept_beside_the_model(server: DashScopeServer) -> None:
    await hear(qwen(server, url=SecretStr(server.qwen_url + "?token=abc"), model="m-1"))
    assert server.requests[0].path.endswith("/realtime?model=m-1&token=abc")


@pytest.mark.parametrize("relative", [False, True])
async def test_words_of_several_sentences_are_timed_from_the_piece(server: DashScopeServer, relative: bool) -> None:
    server.sound = sound(RATE, 3.8)
    server.relative_times = relative
    chunks = await hear(cosyvoice(server, word_times=True), THREE)
    words = [word for chunk in chunks for word in chunk.words]
    assert "".join(word.text for word in words) == "大家好今天的天气真好啊我们开始吧"
    assert data_of(chunks) == server.sound
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert words[0].start == 0
    assert words[3].start == pytest.approx(3.8 * 4 / len(THREE), abs=0.02)
    assert words[-1].end == pytest.approx(3.8, abs=0.02)
    assert [len(chunk.words) for chunk in chunks if not chunk.data] == [5], "what came behind the last sound"


async def test_words_that_make_no_sense_cost_the_words_and_not_the_piece(server: DashScopeServer) -> None:
    server.broken_words = True
    chunks = await hear(cosyvoice(server, word_times=True), THREE)
    assert data_of(chunks) == server.sound
    assert not [word for chunk in chunks for word in chunk.words]


async def test_without_word_times_none_are_asked_for_or_given(server: DashScopeServer) -> None:
    chunks = await hear(cosyvoice(server), THREE)
    assert all(chunk.data and not chunk.words for chunk in chunks)
