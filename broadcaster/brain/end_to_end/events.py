"""What a realtime server tells, in the names of today and of before: sound, transcript, usage, end, failure. Pure.

OpenAI renamed its events when the API left its beta; Qwen-Omni and many servers that speak the protocol kept the old
names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from broadcaster.brain.end_to_end.asking import number
from broadcaster.errors import BrainError
from broadcaster.types import RawSound, Usage

RATE: Final = 24_000
"""Of the sound that comes: pcm16, which both protocols send at 24 kHz."""

_AUDIO: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TRANSCRIPT: Final = frozenset({"response.output_audio_transcript.delta", "response.audio_transcript.delta"})

_DENIED: Final = (
    "invalid_api_key", "invalidapikey", "insufficient_quota", "arrearage", "accessdenied", "access_denied",
    "permission", "model_not_found", "modelnotfound", "unpurchased", "freetieronly", "billing",
)  # fmt: skip
"""Parts of codes that every question would meet until settings or account are changed."""

_REFUSED: Final = ("invalid_request", "invalid_value", "invalidparameter", "datainspection", "content", "unknown_")
"""Parts of codes that this question would meet again."""


class Reader:
    """One answer's events in, what they bring out. `read` raises BrainError when the answer failed."""

    def __init__(self) -> None:
        self.samples = 0

    def read(self, event: Any) -> list[RawSound | str | Usage]:
        if not isinstance(event, Mapping):
            raise BrainError("the server sent something unreadable")
        kind = event.get("type")
        if kind in _AUDIO:
            return [self._sound(event.get("delta"))]
        if kind in _TRANSCRIPT:
            delta = event.get("delta")
            return [delta] if isinstance(delta, str) and delta else []
        if kind == "error":
            raise failed(_code(event.get("error")))
        if kind == "response.done":
            return self._done(event.get("response"))
        return []

    def end(self) -> None:
        """Raises BrainError when what came is no answer."""
        if self.samples == 0:
            raise BrainError("the answer had no sound")

    def _sound(self, delta: Any) -> RawSound:
        try:
            data = base64.b64decode(delta, validate=True)
        except (TypeError, ValueError, binascii.Error) as err:
            raise BrainError("the server sent something unreadable") from err
        self.samples += len(data) // 2
        return RawSound(data, RATE)

    def _done(self, response: Any) -> list[RawSound | str | Usage]:
        response = response if isinstance(response, Mapping) else {}
        status = response.get("status", "completed")
        if status != "completed":
            details = response.get("status_details")
            details = details if isinstance(details, Mapping) else {}
            code = _code(details.get("error")) or str(details.get("reason") or status)
            raise failed(code)
        usage = response.get("usage")
        if not isinstance(usage, Mapping):
            return []
        details = usage.get("input_token_details") or usage.get("input_tokens_details")
        cached = number(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
        return [Usage(number(usage.get("input_tokens")), number(usage.get("output_tokens")), cached)]


def is_end(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "response.done"


def failed(code: str) -> BrainError:
    """The server ended the answer with `code`; its message, which may quote anything, is left out."""
    shown = "".join(char for char in code if char.isascii() and (char.isalnum() or char in "._-"))[:64] or "no code"
    lowered = shown.lower()
    denied = any(part in lowered for part in _DENIED)
    refused = any(part in lowered for part in _REFUSED)
    return BrainError(f"the server failed with {shown}", retryable=not refused, denied=denied)


def _code(error: Any) -> str:
    if not isinstance(error, Mapping):
        return ""
    return str(error.get("code") or error.get("type") or "")
