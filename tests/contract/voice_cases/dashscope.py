"""CosyVoice in the cloud, through the official SDK."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import SecretStr

from broadcaster.config.voices import DashScopeVoice
from tests.contract.voice_cases.case import (
    BROKEN,
    NOTHING,
    SECRET,
    UNSEEN,
    WHOLE,
    Fault,
    Outcome,
    VoiceCase,
    VoiceServer,
)
from tests.fakes.dashscope_server import Asked, DashScopeServer

OVER_THE_SDK: Mapping[Fault, Outcome] = {
    Fault.ODD_CHUNKS: WHOLE,
    Fault.TRUNCATED: BROKEN,
    Fault.SHORT: UNSEEN,
    Fault.HALF_SAMPLE: Outcome("any", "retry", says="inside a sample"),
    Fault.ERROR: Outcome("none", "retry", says="InternalError"),
    Fault.JSON: NOTHING,
    Fault.UNAUTHORIZED: Outcome("none", "final", says="401 -> check api_key"),
    Fault.TOO_MANY: Outcome("none", "retry", says="429"),
    Fault.SERVER_ERROR: Outcome("none", "retry", says="500"),
    Fault.DROPPED: NOTHING,
    Fault.RESET: BROKEN,
    Fault.EMPTY: Outcome("none", "retry", says="no sound"),
}


class DashScopeCase(VoiceCase):
    engine = "dashscope"
    outcomes = OVER_THE_SDK
    impossible: Mapping[Fault, str] = {
        Fault.OTHER_RATE: "headerless PCM of the rate that was asked for: the wire has no place to tell another",
        Fault.STEREO: "headerless PCM: the wire has no place to tell a second channel",
    }

    def __init__(self, setting: str = "", **options: Any) -> None:
        self.setting = setting
        self._options = options
        self.words = bool(options.get("word_times"))

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        return DashScopeServer()

    def link(self, server: VoiceServer, **options: Any) -> DashScopeVoice:
        assert isinstance(server, DashScopeServer)
        return DashScopeVoice(
            api_key=SecretStr(SECRET),
            url=SecretStr(server.tts_url),
            voice="longanyang",
            **{**self._options, **options},
        )

    def text_of(self, request: Asked) -> str:
        return request.text

    def speed_of(self, request: Asked) -> float | None:
        speed: float | None = request.parameters.get("rate")
        return speed


CASES = [DashScopeCase(), DashScopeCase("word-times", word_times=True)]
