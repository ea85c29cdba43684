"""GPT-SoVITS's `api_v2.py`: POST /tts. Director's event loop.

What can be told here: a refusal (every one is a 400 with JSON, running out of memory too), a connection that breaks,
a header that is no WAV, a whole file (`streaming_mode` 0) that is shorter than its header says, a stream that ends
inside a sample. What cannot: a failure in the middle of a stream that the server, or a proxy before it, ends
properly, and a run that failed inside: the server then sends one second of silence at 16 kHz in place of (or behind)
the speech. Both are only improbable sound, which `FinishedVoice` refuses by length and by silence.

The server speaks one piece after the other; the only way to stop it is to close the connection, which leaving
`stream` does. The reference recording is not sent: its path must be right *on the server* (`reference_on_server`),
and it must be 3 to 10 s long.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from broadcaster.config.voices import GptSoVitsVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.http import SoundClient
from broadcaster.speech.remote.readers import sounds
from broadcaster.speech.remote.zero_shot import missing
from broadcaster.types import Piece, RawSound, VoiceReference

RATE: Final = 32_000
"""Never used with a right answer: the rate is in its WAV header (32000; 24000 for v3, 48000 for v4)."""

_FAILED: Final = "tts failed"
"""The message of a run that went wrong, in memory or in the model: the only refusal that may pass."""

_SETTINGS: Final = {
    "ref_audio_path": "reference_on_server",
    "prompt_lang": "reference_language",
    "text_lang": "languages",
    "text_split_method": "split_method",
    "streaming_mode": "streaming_mode",
}
"""Word in the server's refusal -> key of the configuration that it is about."""


class GptSoVitsEngine:
    """Port `VoiceEngine`. Speed is the server's `speed_factor`; it has no pitch."""

    own_speed = True
    own_pitch = False

    def __init__(self, link: GptSoVitsVoice, reference: VoiceReference | None) -> None:
        self.name = link.label
        self._link = link
        self._reference = reference
        self._client = SoundClient(link.url, link.connect_timeout_s)

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        request = self._request(piece)
        async with self._client.answer("/tts", _refused, json=request) as response:
            kind = response.headers.get("content-type", "")
            async with aclosing(sounds(response.aiter_bytes(), "wav", kind, RATE)) as heard:
                async for sound in heard:
                    yield sound

    async def close(self) -> None:
        await self._client.close()

    def _request(self, piece: Piece) -> dict[str, Any]:
        link, reference = self._link, self._reference
        path = link.reference_on_server or (str(reference.recording) if reference else "")
        text = link.reference_text or (reference.text if reference else "")
        if not path or not text:
            raise missing()
        from_avatar = reference is not None and not link.reference_on_server
        return {
            "text": piece.text,
            "text_lang": piece.language,
            "ref_audio_path": path,
            "prompt_text": text,
            "prompt_lang": reference.language if reference and from_avatar else link.reference_language,
            "text_split_method": link.split_method,
            "batch_size": 1,
            "media_type": "wav",
            "streaming_mode": link.streaming_mode,
            "speed_factor": round(link.speed * piece.manner.speed, 3),
        }


def _refused(status: int, body: bytes) -> VoiceError | None:
    """By the message of the JSON, which is never shown as it is."""
    if status != 400:
        return None
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return None
    if message == _FAILED:
        return VoiceError(
            "the server answered 400: its run failed -> see its log; often the reference recording, which must lie "
            "on the server and be 3 to 10 s long, or its memory"
        )
    word = next((word for word in _SETTINGS if isinstance(message, str) and word in message), None)
    if word is None:
        return None
    return VoiceError(
        f"the server answered 400 and refused {word} -> check {_SETTINGS[word]} of this link", denied=True
    )
