"""ChatTTS behind HTTP: its own example (a ZIP of MP3 files), and a process that streams WAV."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from broadcaster.config import voices
from tests.contract.voice_cases.case import (
    BROKEN,
    OTHER_RATE,
    OVER_HTTP,
    SECRET,
    Fault,
    Outcome,
    VoiceCase,
    VoiceServer,
)
from tests.fakes.voice_server import ChatTTSServer


class ChatTTSCase(VoiceCase):
    engine = "chattts"

    def __init__(self, form: str) -> None:
        self.setting = form
        self.exact = self.streams = form == "wav"  # the directory of a ZIP is at its end
        self.outcomes = {
            **OVER_HTTP,
            Fault.OTHER_RATE: Outcome("all", "well", rate=OTHER_RATE),
            Fault.STEREO: Outcome("all", "well", channels=2),
        }
        if form == "zip":
            self.outcomes[Fault.SHORT] = self.outcomes[Fault.HALF_SAMPLE] = BROKEN

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        server = ChatTTSServer()
        server.form = self.setting
        return server

    def link(self, server: VoiceServer, **options: Any) -> voices.LinkBase:
        assert isinstance(server, ChatTTSServer)
        return voices.ChatTTSVoice(url=f"http://host:{SECRET}@127.0.0.1:{server.port}/generate_voice", **options)

    def text_of(self, request: Any) -> str:
        (text,) = request.fields["text"]
        return text

    def speed_of(self, request: Any) -> float | None:
        return request.fields.get("speed")


CASES = [ChatTTSCase("wav"), ChatTTSCase("zip")]
