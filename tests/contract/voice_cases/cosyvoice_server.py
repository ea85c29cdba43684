"""CosyVoice's FastAPI server in all five modes. The wire tells neither a rate nor channels."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from broadcaster.config import voices
from tests.contract.voice_cases.case import OVER_HTTP, SECRET, Fault, VoiceCase, VoiceServer, sound
from tests.fakes.voice_server import CosyVoiceServer


class CosyVoiceCase(VoiceCase):
    engine = "cosyvoice_server"
    outcomes = OVER_HTTP
    impossible = {
        Fault.OTHER_RATE: "the answer does not tell its rate; what is set counts",
        Fault.STEREO: "the answer does not tell its channels; the models make one",
    }

    def __init__(self, mode: str) -> None:
        self.setting = mode
        self.version = 1 if mode == "instruct" else 2
        self.rate = 22_050 if self.version == 1 else 24_000
        self.needs_reference = mode in ("zero_shot", "cross_lingual", "instruct2")

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        server = CosyVoiceServer()
        server.rate = self.rate
        server.sound = sound(self.rate)
        return server

    def link(self, server: VoiceServer, **options: Any) -> voices.LinkBase:
        assert isinstance(server, CosyVoiceServer)
        return voices.CosyVoiceServer(
            url=f"http://host:{SECRET}@127.0.0.1:{server.port}",
            mode=self.setting,
            version=self.version,
            voice="中文女" if self.setting in ("sft", "instruct") else "",
            instruct="用四川话说这句话" if self.setting.startswith("instruct") else "",
            **options,
        )

    def text_of(self, request: Any) -> str:
        return request.fields["tts_text"]

    def speed_of(self, request: Any) -> float | None:
        return request.fields.get("speed")


CASES = [CosyVoiceCase(mode) for mode in ("sft", "zero_shot", "cross_lingual", "instruct", "instruct2")]
