"""Qwen-Omni realtime: DashScope's `OmniRealtimeConversation` through its official SDK. One connection per question.

A recorded question goes as sound, as the service's documentation has it. A written one goes as a message of the
conversation, which the SDK can send and the documentation does not know: a model that takes sound alone answers with
an error, and the turn falls back. Threads: see `cloud/sdk_call.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from broadcaster.brain.end_to_end import asking
from broadcaster.brain.end_to_end.events import Reader, is_end
from broadcaster.cloud.sdk_call import SdkCall, made_with_key, silence_sdk
from broadcaster.config.brains import QwenOmni
from broadcaster.errors import BrainError, VoiceError
from broadcaster.types import RawSound, Turn, Usage

URL: Final = "wss://dashscope.aliyuncs.com/api-ws/v1/realtime"
INPUT_RATE: Final = 16_000
CHUNK: Final = INPUT_RATE * 2
"""Bytes of one message of a recorded question: a second."""

CONNECT_S: Final = 5.0


class QwenOmniVoice:
    """Port `EndToEnd`. The SDK is imported when this is made."""

    def __init__(self, link: QwenOmni) -> None:
        import dashscope.audio.qwen_omni  # noqa: F401

        silence_sdk()
        self.name = link.engine
        self._link = link

    async def close(self) -> None:
        """Nothing is kept between questions."""

    async def converse(self, turn: Turn) -> AsyncIterator[RawSound | str | Usage]:
        """24 kHz mono and its transcript. Raises BrainError."""
        recording = await asking.recording_of(turn, INPUT_RATE)
        items = _Conversation(self._link, turn, recording).stream()
        try:
            async for item in items:
                if isinstance(item, BrainError):
                    raise item
                yield item
        except VoiceError as err:
            raise BrainError(str(err), retryable=err.retryable, denied=err.denied) from err
        finally:
            await items.aclose()  # type: ignore[attr-defined]


class _Conversation(SdkCall):
    """One question; also the SDK's callback object (its methods are named by the SDK)."""

    def __init__(self, link: QwenOmni, turn: Turn, recording: bytes | None) -> None:
        from dashscope.audio.qwen_omni import OmniRealtimeConversation

        callback: Any = self  # the SDK's base class would have to be imported to be inherited
        base, _, query = (link.url.get_secret_value() if link.url is not None else URL).partition("?")
        self._sdk = made_with_key(
            link.api_key.get_secret_value(),
            lambda: OmniRealtimeConversation(model=link.model, callback=callback, url=base),
        )
        address = self._sdk.url  # the SDK has put "?model=..." behind it
        super().__init__(f"{address}&{query}" if query else address, CONNECT_S)
        self._link = link
        self._turn = turn
        self._recording = recording
        self._reader = Reader()
        self._asked = False

    # -- SdkCall --------------------------------------------------------------------------------------------------

    def headers(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._sdk._get_websocket_header()
        return found

    def opened(self, app: Any) -> None:
        self._sdk.ws = app
        self.also(self._ask)

    def received(self, app: Any, message: str | bytes) -> None:
        self._sdk._on_message(app, message)

    def farewell(self) -> str | None:
        return '{"event_id": "event_cancel", "type": "response.cancel"}' if self._asked else None

    def _ask(self) -> None:
        """On a thread of its own: a recording is megabytes, and the reading thread must go on reading."""
        from dashscope.audio.qwen_omni import AudioFormat, MultiModality

        sdk, voice = self._sdk, self._turn.prompt.manner.voice or self._link.voice
        system = asking.told(self._turn)
        question = asking.question_of(self._turn)
        if self._recording is not None:
            system = f"{system}\n\n{question}" if system else question
        sdk.update_session(
            output_modalities=[MultiModality.AUDIO, MultiModality.TEXT],
            voice=voice,
            input_audio_format=AudioFormat.PCM_16000HZ_MONO_16BIT,
            output_audio_format=AudioFormat.PCM_24000HZ_MONO_16BIT,
            enable_input_audio_transcription=False,
            enable_turn_detection=False,
            instructions=system,
        )
        if self._recording is None:
            content = [{"type": "input_text", "text": question}]
            sdk.create_item({"type": "message", "role": "user", "content": content})
        else:
            for chunk in asking.chunks_of(self._recording, CHUNK):
                sdk.append_audio(asking.base64_of(chunk))
            sdk.commit()
        self._asked = True
        sdk.create_response()

    # -- the SDK's callbacks, on the websocket thread -------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        """The SDK logs what this raises and goes on, so nothing may be raised."""
        try:
            for item in self._reader.read(event):
                self.bridge.put(item)
            if is_end(event):
                self._reader.end()
                self.bridge.end()
        except BrainError as err:
            self._fail(err)
        except Exception as err:
            self._fail(BrainError(f"the server sent something unreadable ({type(err).__name__})"))

    def on_close(self, _status: Any, _reason: Any) -> None:
        """Never called: the connection is not the SDK's own."""

    def _fail(self, err: BrainError) -> None:
        self.bridge.put(err)
        self.bridge.end()
