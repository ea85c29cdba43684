"""Any server with OpenAI's /audio/speech, through the openai SDK. Director's event loop.

The SDK asks again by itself (twice) and waits ten minutes for an answer; both are switched off here: a voice that
does not answer is left to the chain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from broadcaster.config.voices import OpenAISpeechVoice
from broadcaster.errors import VoiceError
from broadcaster.hosts import is_here, place_of
from broadcaster.speech.remote.http import status_error
from broadcaster.speech.remote.readers import sounds
from broadcaster.types import Piece, RawSound, VoiceReference

OPENAI: Final = "https://api.openai.com/v1"

_SETTINGS: Final = frozenset({"model", "voice", "response_format"})

VOICES: Final = frozenset("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())
"""OpenAI's own; a message may ask for one of them. Other servers know others, which only their settings can name."""


class OpenAISpeechEngine:
    """Port `VoiceEngine`. Speed is that of the request; there is no pitch. The SDK is imported when this is made."""

    own_speed = True
    own_pitch = False

    def __init__(self, link: OpenAISpeechVoice, reference: VoiceReference | None) -> None:
        import httpx2
        import openai

        self.name = link.label
        self._link = link
        self._openai = openai
        self._broken = (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
        self._refused = httpx2.ConnectError
        self._silent = httpx2.ConnectTimeout
        url = link.base_url or OPENAI
        self._place = place_of(url)
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=link.api_key.get_secret_value() if link.api_key else "none",
            timeout=httpx2.Timeout(None, connect=link.connect_timeout_s),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not is_here(url)),
        )

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        link = self._link
        request: dict[str, Any] = {
            "model": link.model,
            "voice": piece.manner.voice if self._knows(piece.manner.voice) else link.voice,
            "input": piece.text,
            "response_format": link.response_format,
            "speed": round(link.speed * piece.manner.speed, 3),
        }
        begun = False
        try:
            async with self._client.audio.speech.with_streaming_response.create(**request) as response:
                begun = True
                kind = response.headers.get("content-type", "")
                async with aclosing(sounds(response.iter_bytes(), link.response_format, kind)) as heard:
                    async for sound in heard:
                        yield sound
        except self._openai.APIStatusError as err:
            raise self._status(err) from err
        except self._openai.APIConnectionError as err:
            if isinstance(err.__cause__, self._silent):
                raise VoiceError(f"no connection to {self._place} in {link.connect_timeout_s:g} s") from err
            if isinstance(err.__cause__, self._refused):
                raise VoiceError(f"no connection to {self._place} -> is the server running?") from err
            raise VoiceError(f"{self._place} broke off before it answered") from err
        except self._broken as err:
            where = "in the middle of its answer" if begun else "before it answered"
            raise VoiceError(f"{self._place} broke off {where} ({type(err).__name__})") from err

    async def close(self) -> None:
        await self._client.close()

    def _status(self, err: Any) -> VoiceError:
        """By the status, and by the two words of the error's body that name a setting or the account."""
        if err.status_code == 400 and err.param in _SETTINGS:
            return VoiceError(f"{self._place} refused {err.param} -> check {err.param} of this link", denied=True)
        if err.code == "insufficient_quota":
            return VoiceError(
                f"{self._place} answered {err.status_code}: no credit -> top up the account", denied=True
            )
        return status_error(self._place, err.status_code)

    def _knows(self, voice: str) -> bool:
        return self._link.base_url is None and voice in VOICES
