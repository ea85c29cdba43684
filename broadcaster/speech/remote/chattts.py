"""ChatTTS as an HTTP process of its own: its licence (AGPL) keeps it out of this one. Director's event loop.

The form of the request is that of ChatTTS's own examples/api/main.py, POST to the address of the link:

    {"text": ["..."], "stream": false, "lang": "zh", "audio_seed": 2, "text_seed": ..., "skip_refine_text": true,
     ..., "params_refine_text": {...}, "params_infer_code": {...}}

The answer says by its Content-Type what it is: application/zip is what that example sends, one MP3 per text, which
can only be taken as a whole; a process of your own may stream audio/wav (a header without a size, then s16le),
audio/mpeg, or audio/l16;rate=24000. (ChatTTS's examples/api/openai_api.py is a server for `openai_speech`.)
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import httpx

from broadcaster.config.voices import ChatTTSVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.decode import DECODED_LIMIT, decoded
from broadcaster.speech.remote.http import SoundClient
from broadcaster.speech.remote.readers import sounds
from broadcaster.types import Piece, RawSound, VoiceReference

RATE: Final = 24_000
"""Of ChatTTS, for an answer that does not tell."""

ZIP_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a ZIP: some 40 minutes of MP3, where a piece is seconds."""

_REFINE: Final = {
    "prompt": "",
    "top_P": 0.7,
    "top_K": 20,
    "temperature": 0.7,
    "repetition_penalty": 1.0,
    "max_new_token": 384,
    "min_new_token": 0,
    "show_tqdm": False,
    "ensure_non_empty": True,
}
_INFER: Final = {
    "prompt": "[speed_5]",
    "top_P": 0.7,
    "top_K": 20,
    "temperature": 0.3,
    "repetition_penalty": 1.05,
    "max_new_token": 2048,
    "min_new_token": 0,
    "show_tqdm": False,
    "ensure_non_empty": True,
    "spk_emb": None,
}


class ChatTTSEngine:
    """Port `VoiceEngine`. Its [speed_0] to [speed_9] are no factors, so speed and pitch are left to the caller.

    A message's voice is a number, the seed of another speaker.
    """

    own_speed = False
    own_pitch = False

    def __init__(self, link: ChatTTSVoice, reference: VoiceReference | None) -> None:
        self.name = link.label
        self._link = link
        self._client = SoundClient(link.url, link.connect_timeout_s)

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        async with self._client.answer("", json=self._request(piece)) as response:
            kind = response.headers.get("content-type", "")
            if kind.startswith(("application/zip", "application/x-zip")):
                for sound in await asyncio.to_thread(_unpacked, await _whole(response)):
                    yield sound
                return
            async with aclosing(sounds(response.aiter_bytes(), "wav", kind, RATE)) as heard:
                async for sound in heard:
                    yield sound

    async def close(self) -> None:
        await self._client.close()

    def _request(self, piece: Piece) -> dict[str, Any]:
        voice = piece.manner.voice
        seed = int(voice) if voice.isascii() and voice.isdigit() and len(voice) < 10 else self._link.seed
        return {
            "text": [piece.text],
            "stream": False,
            "lang": piece.language,
            "skip_refine_text": True,
            "refine_text_only": False,
            "use_decoder": True,
            "do_text_normalization": False,  # the text comes as it is to be read
            "do_homophone_replacement": False,
            "audio_seed": seed,
            "text_seed": seed,
            "params_refine_text": _REFINE,
            "params_infer_code": _INFER,
        }


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ZIP_LIMIT:
            raise VoiceError("the server sent far more sound than the text has", retryable=False)
    return bytes(body)


def _unpacked(archive: bytes) -> list[RawSound]:
    """The files of a ZIP in the order of their numbers. Blocks; raises VoiceError."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            infos = sorted(files.infolist(), key=lambda info: (len(info.filename), info.filename))
            if sum(info.file_size for info in infos) > DECODED_LIMIT:
                raise VoiceError("the server sent far more sound than the text has", retryable=False)
            found = [decoded(files.read(info)) for info in infos if not info.is_dir()]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as err:
        raise VoiceError("the ZIP that the server sent is damaged or cut off") from err
    if not any(pcm for pcm, _, _ in found):
        raise VoiceError("the server sent no sound")
    return [RawSound(pcm, rate, channels) for pcm, rate, channels in found if pcm]
