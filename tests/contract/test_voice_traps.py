"""What only one of the engines over HTTP has: fields of its request, traps of its server or SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from broadcaster.config import voices
from broadcaster.errors import VoiceError
from broadcaster.ports import VoiceEngine
from broadcaster.speech.remote.chattts import ChatTTSEngine
from broadcaster.speech.remote.cosyvoice import CosyVoiceEngine
from broadcaster.speech.remote.gpt_sovits import GptSoVitsEngine
from broadcaster.speech.remote.openai_speech import OpenAISpeechEngine
from broadcaster.types import Manner, Piece, RawSound, VoiceReference
from tests.contract.voice_cases.case import AGAIN, TEXT, Fault, reference, sound
from tests.fakes.http_wire import HttpVoice, Refusal, Request, wav
from tests.fakes.voice_server import ChatTTSServer, CosyVoiceServer, GptSoVitsServer, OpenAISpeechServer

pytestmark = pytest.mark.contract


@pytest.fixture
def speaker(tmp_path: Path) -> VoiceReference:
    return reference(tmp_path)


async def spoken(engine: VoiceEngine, text: str = TEXT, manner: Manner | None = None) -> list[RawSound]:
    async with asyncio.timeout(10), aclosing(engine.stream(Piece(text, "zh", 0, manner or Manner()))) as stream:
        return [chunk async for chunk in stream]


async def failure(engine: VoiceEngine) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await spoken(engine)
    return caught.value


@asynccontextmanager
async def closing(engine: VoiceEngine) -> AsyncIterator[VoiceEngine]:
    try:
        yield engine
    finally:
        await engine.close()


def data(chunks: list[RawSound]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)


# -- CosyVoice ------------------------------------------------------------------------------------------------------


def cosyvoice(server: HttpVoice, speaker: VoiceReference | None, **options: Any) -> CosyVoiceEngine:
    link = voices.CosyVoiceServer(url=f"http://127.0.0.1:{server.port}", **options)
    return CosyVoiceEngine(link, speaker)


async def test_cosyvoice_gets_the_recording_on_each_call(speaker: VoiceReference) -> None:
    async with CosyVoiceServer() as server, closing(cosyvoice(server, speaker)) as engine:
        await spoken(engine)
        await spoken(engine, AGAIN)
        recording = speaker.recording.read_bytes()
        assert [request.files for request in server.requests] == [{"prompt_wav": recording}] * 2
        assert server.connections == 1, "and over one connection"


@pytest.mark.parametrize(
    ("options", "rate"),
    [({"version": 1}, 22_050), ({}, 24_000), ({"version": 3}, 24_000), ({"sample_rate": 16_000}, 16_000)],
    ids=["1", "2", "3", "set"],
)
async def test_cosyvoice_does_not_tell_its_rate_so_the_settings_do(
    options: dict[str, Any], rate: int, speaker: VoiceReference
) -> None:
    async with CosyVoiceServer() as server, closing(cosyvoice(server, speaker, **options)) as engine:
        assert {chunk.rate for chunk in await spoken(engine)} == {rate}


PROMPT = "You are a helpful assistant."
END = "<|endofprompt|>"


@pytest.mark.parametrize(
    ("version", "mode", "expected"),
    [
        (2, "zero_shot", {"prompt_text": "这是一段参考录音。", "tts_text": TEXT}),
        (3, "zero_shot", {"prompt_text": f"{PROMPT}{END}这是一段参考录音。", "tts_text": TEXT}),
        (2, "cross_lingual", {"tts_text": TEXT}),
        (3, "cross_lingual", {"tts_text": f"{PROMPT}{END}{TEXT}"}),
        (2, "instruct2", {"instruct_text": f"轻声地说{END}", "tts_text": TEXT}),
        (3, "instruct2", {"instruct_text": f"{PROMPT} 轻声地说{END}", "tts_text": TEXT}),
        (1, "instruct", {"instruct_text": f"轻声地说{END}", "spk_id": "中文女", "tts_text": TEXT}),
        (1, "sft", {"spk_id": "中文女", "tts_text": TEXT}),
    ],
)
async def test_cosyvoice_3_speaks_only_behind_an_end_of_prompt(
    version: int, mode: str, expected: dict[str, str], speaker: VoiceReference
) -> None:
    options = {"version": version, "mode": mode, "voice": "中文女", "instruct": "轻声地说"}
    async with CosyVoiceServer() as server, closing(cosyvoice(server, speaker, **options)) as engine:
        await spoken(engine)
        (request,) = server.requests
        assert request.fields == expected


@pytest.mark.parametrize(("version", "mode"), [(2, "instruct"), (1, "instruct2")])
def test_a_mode_that_a_version_lacks_is_refused_when_it_is_configured(version: int, mode: str) -> None:
    with pytest.raises(ValidationError, match=r"-> use instruct"):
        voices.CosyVoiceServer(url="http://h", version=version, mode=mode, voice="中文女", instruct="轻声地说")


async def test_a_recording_that_is_gone_is_an_error_for_good(tmp_path: Path) -> None:
    gone = VoiceReference(tmp_path / "gone.wav", "没有了。", "zh")
    async with CosyVoiceServer() as server, closing(cosyvoice(server, gone)) as engine:
        error = await failure(engine)
        assert error.denied
        assert "broadcaster voice add" in str(error)
        assert not server.requests


# -- GPT-SoVITS -----------------------------------------------------------------------------------------------------


def sovits(server: HttpVoice, speaker: VoiceReference | None, **options: Any) -> GptSoVitsEngine:
    options.setdefault("reference_on_server", GptSoVitsServer.knows)
    link = voices.GptSoVitsVoice(url=f"http://127.0.0.1:{server.port}", **options)
    return GptSoVitsEngine(link, speaker)


async def test_gpt_sovits_is_asked_by_post_with_a_path_of_its_own_machine(speaker: VoiceReference) -> None:
    async with GptSoVitsServer() as server, closing(sovits(server, speaker, speed=1.1)) as engine:
        await spoken(engine)
        (request,) = server.requests
        assert (request.method, request.path) == ("POST", "/tts")
        assert request.fields == {
            "text": TEXT,
            "text_lang": "zh",
            "ref_audio_path": GptSoVitsServer.knows,
            "prompt_text": speaker.text,
            "prompt_lang": "zh",
            "text_split_method": "cut0",
            "batch_size": 1,
            "media_type": "wav",
            "streaming_mode": 1,
            "speed_factor": 1.1,
        }


async def test_gpt_sovits_on_this_machine_reads_the_avatars_recording_where_it_lies(speaker: VoiceReference) -> None:
    async with GptSoVitsServer() as server, closing(sovits(server, speaker, reference_on_server="")) as engine:
        server.knows = str(speaker.recording)
        await spoken(engine)
        assert server.requests[0].fields["ref_audio_path"] == str(speaker.recording)


async def test_gpt_sovits_with_a_recording_of_its_own_needs_no_avatar() -> None:
    options = {"reference_text": "Somebody said this.", "reference_language": "en"}
    async with GptSoVitsServer() as server, closing(sovits(server, None, **options)) as engine:
        assert data(await spoken(engine)) == server.sound
        asked = server.requests[0].fields
        assert (asked["prompt_text"], asked["prompt_lang"]) == ("Somebody said this.", "en")


@pytest.mark.parametrize("rate", [24_000, 32_000, 48_000])
async def test_gpt_sovits_models_differ_in_rate_and_the_header_is_believed(
    rate: int, speaker: VoiceReference
) -> None:
    async with GptSoVitsServer() as server, closing(sovits(server, speaker)) as engine:
        server.rate = rate
        assert {chunk.rate for chunk in await spoken(engine)} == {rate}


async def test_gpt_sovits_out_of_memory_may_pass_but_a_wrong_setting_does_not(speaker: VoiceReference) -> None:
    async with GptSoVitsServer() as server:
        async with closing(sovits(server, speaker)) as engine:
            server.fault = Fault.ERROR
            memory = await failure(engine)
            server.fault = None
        async with closing(sovits(server, speaker, split_method="cut9")) as engine:
            setting = await failure(engine)
        async with closing(sovits(server, speaker, reference_on_server="/nowhere.wav")) as engine:
            path = await failure(engine)
    assert (memory.retryable, memory.denied) == (True, False)
    assert (setting.retryable, setting.denied) == (False, True)
    assert "check split_method" in str(setting)
    assert path.retryable
    assert "must lie on the server" in str(path)


async def test_gpt_sovits_that_failed_inside_sends_a_second_of_silence(speaker: VoiceReference) -> None:
    """Which is a right answer on the wire: only `FinishedVoice`, which listens, can refuse it."""
    async with GptSoVitsServer() as server, closing(sovits(server, speaker, streaming_mode=0)) as engine:
        server.rate, server.sound = 16_000, bytes(32_000)
        chunks = await spoken(engine)
        assert (data(chunks), chunks[0].rate) == (bytes(32_000), 16_000)


# -- OpenAI's /audio/speech -----------------------------------------------------------------------------------------


def speech(server: HttpVoice, **options: Any) -> OpenAISpeechEngine:
    link = voices.OpenAISpeechVoice(base_url=f"http://127.0.0.1:{server.port}/v1", **options)
    return OpenAISpeechEngine(link, None)


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.SERVER_ERROR, Fault.DROPPED], ids=str)
async def test_the_openai_sdk_does_not_ask_again_by_itself(fault: Fault) -> None:
    async with OpenAISpeechServer() as server, closing(speech(server)) as engine:
        server.fault = fault
        assert (await failure(engine)).retryable
        assert (len(server.requests), server.connections) == (1, 1)


async def test_the_openai_sdk_waits_for_the_caller_and_not_by_a_clock_of_its_own() -> None:
    link = voices.OpenAISpeechVoice(base_url="http://127.0.0.1:1/v1", connect_timeout_s=1.5)
    async with closing(OpenAISpeechEngine(link, None)) as engine:
        timeout = engine._client.timeout
        assert (timeout.connect, timeout.read) == (1.5, None)  # type: ignore[union-attr]


@pytest.mark.parametrize("always", ["wav", "mp3"])
async def test_a_server_that_knows_one_format_is_understood_all_the_same(always: str) -> None:
    async with OpenAISpeechServer() as server, closing(speech(server)) as engine:
        server.always = always
        chunks = await spoken(engine)
        assert server.requests[0].fields["response_format"] == "pcm"
        assert {chunk.rate for chunk in chunks} == {24_000}
        assert len(data(chunks)) == pytest.approx(len(server.sound), abs=2 * 24_000 * 0.1)


async def test_a_wav_that_is_called_a_stream_of_bytes_is_no_pcm() -> None:
    class Unlabelled(OpenAISpeechServer):
        def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
            return wav(pcm, 16_000, channels), "application/octet-stream"

    async with Unlabelled() as server, closing(speech(server)) as engine:
        server.fault = Fault.ODD_CHUNKS
        chunks = await spoken(engine)
        assert (data(chunks), {chunk.rate for chunk in chunks}) == (server.sound, {16_000})


async def test_pcm_without_a_rate_is_24_khz() -> None:
    async with OpenAISpeechServer() as server, closing(speech(server)) as engine:
        server.announces = False
        chunks = await spoken(engine)
        assert (data(chunks), chunks[0].rate, chunks[0].channels) == (server.sound, 24_000, 1)


@pytest.mark.parametrize(
    ("status", "error", "denied", "says"),
    [
        (400, {"param": "voice", "code": None}, True, "check voice of this link"),
        (400, {"param": "input", "code": None}, False, "answered 400"),
        (404, {"param": None, "code": "model_not_found"}, True, "answered 404"),
        (429, {"param": None, "code": "insufficient_quota"}, True, "top up the account"),
        (401, {"param": None, "code": "invalid_api_key"}, True, "check the key"),
    ],
)
async def test_a_setting_or_an_account_that_is_wrong_is_denied_for_good(
    status: int, error: dict[str, Any], denied: bool, says: str
) -> None:
    class Refusing(OpenAISpeechServer):
        def check(self, request: Request) -> Refusal | None:
            return Refusal(status, json.dumps({"error": {"message": self.echo(request), **error}}).encode())

    key = "sk-canary-9876543210"
    async with Refusing() as server, closing(speech(server, api_key=SecretStr(key))) as engine:
        found = await failure(engine)
        assert (found.denied, found.retryable) == (denied, False)
        assert says in str(found)
        assert key not in str(found)


async def test_a_message_may_ask_for_a_voice_that_is_surely_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with OpenAISpeechServer() as server, closing(speech(server, voice="local-host")) as engine:
        await spoken(engine, manner=Manner(voice="nova"))
        monkeypatch.setattr("broadcaster.speech.remote.openai_speech.OPENAI", f"http://127.0.0.1:{server.port}/v1")
        async with closing(OpenAISpeechEngine(voices.OpenAISpeechVoice(), None)) as own:
            await spoken(own, manner=Manner(voice="nova"))
            await spoken(own, manner=Manner(voice="zf_xiaoxiao"))
        assert [request.fields["voice"] for request in server.requests] == ["local-host", "nova", "alloy"]


# -- ChatTTS --------------------------------------------------------------------------------------------------------


def chattts(server: HttpVoice, **options: Any) -> ChatTTSEngine:
    return ChatTTSEngine(voices.ChatTTSVoice(url=f"http://127.0.0.1:{server.port}/generate_voice", **options), None)


async def test_chattts_draws_its_speaker_from_the_seed_or_from_the_messages() -> None:
    async with ChatTTSServer() as server, closing(chattts(server, seed=7)) as engine:
        await spoken(engine)
        await spoken(engine, manner=Manner(voice="42"))
        await spoken(engine, manner=Manner(voice="Cherry"))
        assert [request.fields["audio_seed"] for request in server.requests] == [7, 42, 7]
        assert not any(request.fields["do_text_normalization"] for request in server.requests)


async def test_chattts_parts_are_spoken_in_the_order_of_their_numbers() -> None:
    from tests.fakes.voice_server import encoded, zipped

    parts = [sound(24_000, 0.1 + number * 0.01) for number in range(11)]

    class Many(ChatTTSServer):
        def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
            return zipped([encoded("flac", part, rate) for part in parts]), "application/zip"

    async with Many() as server, closing(chattts(server)) as engine:
        assert [chunk.data for chunk in await spoken(engine)] == parts


# -- all of them ----------------------------------------------------------------------------------------------------


async def test_a_proxy_for_the_way_out_does_not_catch_a_server_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, speaker: VoiceReference
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with CosyVoiceServer() as local, OpenAISpeechServer() as other:
        async with closing(cosyvoice(local, speaker)) as engine:
            assert data(await spoken(engine)) == local.sound
        async with closing(speech(other)) as engine:
            assert data(await spoken(engine)) == other.sound


async def test_pieces_of_one_engine_may_be_made_at_the_same_time(speaker: VoiceReference) -> None:
    async with CosyVoiceServer() as server, closing(cosyvoice(server, speaker)) as engine:
        made = await asyncio.gather(spoken(engine), spoken(engine, AGAIN))
        assert [data(chunks) for chunks in made] == [server.sound] * 2
        assert {request.fields["tts_text"] for request in server.requests} == {TEXT, AGAIN}
