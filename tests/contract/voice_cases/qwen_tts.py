"""Qwen TTS realtime, through the official SDK."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import SecretStr

from broadcaster.config.voices import QwenVoice
from tests.contract.voice_cases.case import OTHER_RATE, SECRET, Fault, Outcome, VoiceCase, VoiceServer
from tests.contract.voice_cases.dashscope import OVER_THE_SDK
from tests.fakes.dashscope_server import Asked, DashScopeServer


class QwenCase(VoiceCase):
    engine = "qwen_tts"
    outcomes: Mapping[Fault, Outcome] = {**OVER_THE_SDK, Fault.OTHER_RATE: Outcome("all", "well", rate=OTHER_RATE)}
    impossible: Mapping[Fault, str] = {Fault.STEREO: "the wire has no place to tell a second channel"}

    def __init__(self, mode: str) -> None:
        self.setting = mode

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        return DashScopeServer()

    def link(self, server: VoiceServer, **options: Any) -> QwenVoice:
        assert isinstance(server, DashScopeServer)
        return QwenVoice(api_key=SecretStr(SECRET), url=SecretStr(server.qwen_url), mode=self.setting, **options)

    def text_of(self, request: Asked) -> str:
        return request.text

    def speed_of(self, request: Asked) -> float | None:
        speed: float | None = request.parameters.get("speech_rate")
        return speed


CASES = [QwenCase("commit"), QwenCase("server_commit")]
