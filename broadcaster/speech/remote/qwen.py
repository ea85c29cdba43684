"""Qwen TTS realtime: DashScope's `QwenTtsRealtime` through its official SDK. One SDK object and connection per piece.

The SDK takes its address only as an argument. Threads: see `sdk_call.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from broadcaster.cloud import cloud_errors
from broadcaster.cloud.sdk_call import SdkCall, made_with_key, silence_sdk
from broadcaster.config.voices import QwenVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.dashscope import factor
from broadcaster.types import Piece, RawSound, VoiceReference

URL: Final = "wss://dashscope.aliyuncs.com/api-ws/v1/realtime"
RATE: Final = 24_000
"""What is asked for; what the server says it will send counts."""

RATES: Final = range(8000, 48_001)
AUDIO: Final = ("response.audio.delta", "response.output_audio.delta")
"""The name of old, and OpenAI's present one for the same thing."""

FAILED: Final = ("failed", "incomplete", "cancelled")


class QwenEngine:
    """Port `VoiceEngine`. The SDK is imported when this is made. It has no word times and takes no recording."""

    own_speed = True
    own_pitch = True

    def __init__(self, link: QwenVoice, reference: VoiceReference | None = None) -> None:
        import dashscope.audio.qwen_tts_realtime  # noqa: F401

        silence_sdk()
        self.name = link.label
        self._link = link

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        """Mono, 24 kHz unless the server says otherwise. Raises VoiceError."""
        sounds = _Session(self._link, piece).stream()
        try:
            async for sound in sounds:
                yield sound
        finally:
            await sounds.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Nothing is kept between pieces."""


class _Session(SdkCall):
    """One piece; also the SDK's callback object (its methods are named by the SDK)."""

    def __init__(self, link: QwenVoice, piece: Piece) -> None:
        from dashscope.audio.qwen_tts_realtime import QwenTtsRealtime

        callback: Any = self  # the SDK's base class would have to be imported to be inherited
        base, _, query = (link.url.get_secret_value() if link.url is not None else URL).partition("?")
        self._sdk = made_with_key(
            link.api_key.get_secret_value(), lambda: QwenTtsRealtime(model=link.model, callback=callback, url=base)
        )
        address = self._sdk.url  # the SDK has put "?model=..." behind it
        super().__init__(f"{address}&{query}" if query else address, link.connect_timeout_s)
        self._link = link
        self._piece = piece
        self._rate = RATE
        self._asked = False

    # -- SdkCall --------------------------------------------------------------------------------------------------

    def headers(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._sdk._get_websocket_header()
        return found

    def opened(self, app: Any) -> None:
        self._sdk.ws = app
        link, manner = self._link, self._piece.manner
        speed = factor(link.speed * manner.speed)
        pitch = factor(2 ** ((link.pitch + manner.pitch) / 12))
        self._sdk.update_session(
            voice=manner.voice or link.voice,
            mode=link.mode,
            language_type=_language(self._piece),
            speech_rate=speed if speed != 1.0 else None,  # the first generation of models refuses both
            pitch_rate=pitch if pitch != 1.0 else None,
        )
        self._sdk.append_text(self._piece.text)
        if link.mode == "commit":
            self._sdk.commit()
        self._sdk.finish()
        self._asked = True

    def received(self, app: Any, message: str | bytes) -> None:
        self._sdk.on_message(app, message)

    def farewell(self) -> str | None:
        return json.dumps({"event_id": "event_cancel", "type": "response.cancel"}) if self._asked else None

    # -- the SDK's callbacks, on the websocket thread -------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        """The SDK logs what this raises and goes on, so nothing may be raised."""
        try:
            self._read(event)
        except Exception as err:
            self.bridge.end(VoiceError(f"the server sent something unreadable ({type(err).__name__})"))

    def on_close(self, _status: Any, _reason: Any) -> None:
        """Never called: the connection is not the SDK's own."""

    def _read(self, event: Any) -> None:
        kind = event["type"]
        if kind in AUDIO:
            self.heard(RawSound(base64.b64decode(event["delta"], validate=True), self._rate))
        elif kind in ("session.created", "session.updated"):
            rate = event["session"].get("sample_rate")
            if isinstance(rate, int) and rate in RATES:
                self._rate = rate
        elif kind == "response.done":
            response = event.get("response") or {}
            if response.get("status") in FAILED:
                details = response.get("status_details") or {}
                self.bridge.end(cloud_errors.failed((details.get("error") or {}).get("code")))
        elif kind == "error":
            self.bridge.end(cloud_errors.failed((event.get("error") or {}).get("code")))
        elif kind == "session.finished":
            self.complete()


def _language(piece: Piece) -> str:
    """The service reads better when it knows the language, but only where there is no more than one."""
    if piece.language == "en":
        return "English"
    return "Auto" if any(c.isascii() and c.isalpha() for c in piece.text) else "Chinese"
