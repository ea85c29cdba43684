"""GPT-SoVITS's api_v2, streaming (mode 1: a WAV header without a size) and whole (mode 0: one with it)."""

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
from tests.fakes.voice_server import GptSoVitsServer


class GptSoVitsCase(VoiceCase):
    engine = "gpt_sovits"
    rate = 32_000
    needs_reference = True

    def __init__(self, mode: int) -> None:
        self.setting = f"mode{mode}"
        self.mode = mode
        self.outcomes = {
            **OVER_HTTP,
            Fault.ERROR: Outcome("none", "retry", says="400"),
            Fault.OTHER_RATE: Outcome("all", "well", rate=OTHER_RATE),
            Fault.STEREO: Outcome("all", "well", channels=2),
        }
        if mode == 0:
            self.outcomes[Fault.SHORT] = BROKEN

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        return GptSoVitsServer()

    def link(self, server: VoiceServer, **options: Any) -> voices.LinkBase:
        assert isinstance(server, GptSoVitsServer)
        return voices.GptSoVitsVoice(
            url=f"http://host:{SECRET}@127.0.0.1:{server.port}",
            streaming_mode=self.mode,
            reference_on_server=server.knows,
            **options,
        )

    def text_of(self, request: Any) -> str:
        return request.fields["text"]

    def speed_of(self, request: Any) -> float | None:
        return request.fields.get("speed_factor")


CASES = [GptSoVitsCase(1), GptSoVitsCase(0)]
