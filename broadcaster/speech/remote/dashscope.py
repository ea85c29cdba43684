"""CosyVoice in the cloud: DashScope's `tts_v2` through its official SDK. One SDK object and connection per piece.

The whole piece goes out as one text followed at once by "finish", so the service's limit of 23 s between texts
cannot be met, and SSML, of which it takes one message, needs nothing special. The SDK's own "complete" is never
called: it waits up to 600 s for a socket that is dead. Threads: see `sdk_call.py`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from broadcaster.cloud import cloud_errors
from broadcaster.cloud.sdk_call import SdkCall, made_with_key, silence_sdk
from broadcaster.config.voices import DashScopeVoice
from broadcaster.types import Piece, RawSound, TimedWord, VoiceReference

URL: Final = "wss://dashscope.aliyuncs.com/api-ws/v1/inference"
RATE: Final = 24_000
LOWEST, HIGHEST = 0.5, 2.0
"""What the service takes for speed and for pitch, both as factors."""

SSML: Final = "<speak"


class DashScopeEngine:
    """Port `VoiceEngine`. The SDK is imported when this is made. A recording is not used: clone the voice there."""

    own_speed = True
    own_pitch = True

    def __init__(self, link: DashScopeVoice, reference: VoiceReference | None = None) -> None:
        import dashscope.audio.tts_v2  # noqa: F401

        silence_sdk()
        self.name = link.label
        self._link = link

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        """24 kHz mono. Raises VoiceError."""
        sounds = _Task(self._link, piece).stream()
        try:
            async for sound in sounds:
                yield sound
        finally:
            await sounds.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Nothing is kept between pieces."""


class _Task(SdkCall):
    """One piece; also the SDK's callback object (its methods are named by the SDK)."""

    def __init__(self, link: DashScopeVoice, piece: Piece) -> None:
        url = link.url.get_secret_value() if link.url is not None else URL
        super().__init__(url, link.connect_timeout_s)
        self._text = piece.text
        self._started = False
        self._times = _WordTimes() if link.word_times else None
        self._words: tuple[TimedWord, ...] = ()
        self._sdk = made_with_key(link.api_key.get_secret_value(), lambda: self._made(link, piece, url))

    def _made(self, link: DashScopeVoice, piece: Piece, url: str) -> Any:
        from dashscope.audio.tts_v2 import AudioFormat, SpeechSynthesizer

        callback: Any = self  # the SDK's base class would have to be imported to be inherited
        extras: dict[str, Any] = {}
        if link.word_times:
            extras["word_timestamp_enabled"] = True
        if link.ssml and piece.text.lstrip().startswith(SSML):
            extras["enable_ssml"] = True
        return SpeechSynthesizer(
            model=link.model,
            voice=piece.manner.voice or link.voice,
            format=AudioFormat.PCM_24000HZ_MONO_16BIT,
            speech_rate=factor(link.speed * piece.manner.speed),
            pitch_rate=factor(2 ** ((link.pitch + piece.manner.pitch) / 12)),
            callback=callback,
            url=url,
            additional_params=extras or None,
        )

    # -- SdkCall --------------------------------------------------------------------------------------------------

    def headers(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._sdk.request.get_websocket_headers(headers=None, workspace=None)
        return found

    def opened(self, app: Any) -> None:
        self._sdk.ws = app  # it connects by itself only when it has none
        self.also(self._ask)

    def received(self, app: Any, message: str | bytes) -> None:
        self._sdk.on_message(app, message)

    def farewell(self) -> str | None:
        cancel: str = self._sdk.request.get_finish_request(directive="cancel")
        return cancel if self._started else None

    def release(self) -> None:
        self._sdk.start_event.set()

    def _ask(self) -> None:
        """On a thread of its own: waits until the server has started the task."""
        from dashscope.common.error import RequestFailure

        try:
            self._sdk.streaming_call(self._text)
            self._sdk.ws.send(self._sdk.request.get_finish_request())
        except RequestFailure as err:  # the task was refused; `on_error` comes a moment later or earlier
            self.bridge.end(cloud_errors.failed(err.name))

    # -- the SDK's callbacks, on the websocket thread but for `on_open` -------------------------------------------

    def on_open(self) -> None:
        """The task has started; the text is not sent yet."""
        self._started = True

    def on_data(self, data: bytes) -> None:
        words, self._words = self._words, ()
        if self._times is not None:
            self._times.bytes += len(data)
        self.heard(RawSound(bytes(data), RATE, words=words))

    def on_event(self, message: str) -> None:
        if self._times is not None:
            self._words += self._times.read(message)

    def on_complete(self) -> None:
        if self._words:
            self.heard(RawSound(b"", RATE, words=self._words))
        self.complete()

    def on_error(self, message: str) -> None:
        code = None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            code = json.loads(message)["header"]["error_code"]
        self.bridge.end(cloud_errors.failed(code))

    def on_close(self) -> None:
        """Follows `on_complete` and `on_error`; a lost connection never comes here."""


class _WordTimes:
    """Word times of the service, which are milliseconds, as seconds from the first sample of the piece.

    Words come whole with the end of each sentence. Whether a later sentence's times start from zero again is not
    documented; they do if its first word would lie well before the sentence's first sample.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._begins = 0.0
        self._until = 0.0

    def read(self, message: str) -> tuple[TimedWord, ...]:
        """The words of an event; none where it has none or they make no sense."""
        try:
            output = json.loads(message)["payload"]["output"]
            kind = output.get("type")
            if kind == "sentence-begin":
                self._begins = self.bytes / 2 / RATE
            if kind in ("sentence-begin", "sentence-synthesis"):
                return ()
            found = [
                (str(word["text"]), word["begin_time"] / 1000, word["end_time"] / 1000)
                for word in output["sentence"]["words"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            return ()
        if not found:
            return ()
        shift = self._begins if found[0][1] < self._begins / 2 else 0.0
        words = []
        for text, start, end in found:
            if start + shift >= self._until and end >= start:
                self._until = end + shift
                words.append(TimedWord(text, start + shift, end + shift))
        return tuple(words)


def factor(value: float) -> float:
    """`value` within what the service takes."""
    return round(min(max(value, LOWEST), HIGHEST), 4)
