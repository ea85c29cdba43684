"""OpenAI's /audio/speech through its SDK, in every response format."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import SecretStr

from broadcaster.config import voices
from tests.contract.voice_cases.case import (
    BROKEN,
    OTHER_RATE,
    OVER_HTTP,
    SECRET,
    UNSEEN,
    Fault,
    Outcome,
    VoiceCase,
    VoiceServer,
    sound,
)
from tests.fakes.voice_server import OpenAISpeechServer


class OpenAISpeechCase(VoiceCase):
    engine = "openai_speech"

    def __init__(self, form: str) -> None:
        self.setting = form
        self.exact = form in ("pcm", "wav", "flac")
        self.streams = form != "flac"  # FFmpeg's parser would hold ten frames back
        self.rate = 48_000 if form == "opus" else 24_000
        self.outcomes = {
            **OVER_HTTP,
            Fault.ERROR: Outcome("none", "retry", says="503"),
            Fault.OTHER_RATE: Outcome("all", "well", rate=OTHER_RATE),
            Fault.STEREO: Outcome("all", "well", channels=2),
        }
        if form in ("mp3", "opus"):
            self.outcomes[Fault.HALF_SAMPLE] = UNSEEN
        if form == "opus":
            self.impossible = {Fault.OTHER_RATE: "Opus is 48 kHz, whatever went into it"}
            del self.outcomes[Fault.OTHER_RATE]
        if form == "flac":
            self.outcomes[Fault.SHORT] = self.outcomes[Fault.HALF_SAMPLE] = BROKEN  # half a frame cannot be decoded

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        server = OpenAISpeechServer()
        server.rate = self.rate
        server.sound = sound(self.rate)
        return server

    def link(self, server: VoiceServer, **options: Any) -> voices.LinkBase:
        assert isinstance(server, OpenAISpeechServer)
        return voices.OpenAISpeechVoice(
            base_url=f"http://127.0.0.1:{server.port}/v1",
            api_key=SecretStr(SECRET),
            response_format=self.setting,
            **options,
        )

    def text_of(self, request: Any) -> str:
        return request.fields["input"]

    def speed_of(self, request: Any) -> float | None:
        return request.fields.get("speed")


CASES = [OpenAISpeechCase(form) for form in ("pcm", "wav", "mp3", "opus", "flac")]
