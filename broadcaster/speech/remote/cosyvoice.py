"""CosyVoice's own FastAPI server (runtime/python/fastapi/server.py), all five modes. Director's event loop.

What the server does not tell has to be set: its answer is headerless s16le without a rate. It splits a text by itself
and sends what it has of each split at once, so the first sound of a piece comes when all of a short piece is done.
An error after the headers shows only as a broken connection; its reason is in the server's log. Peaks that the
server lets wrap (it scales to 2**15 without a limit) cannot be told from sound here; `FinishedVoice` looks for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from broadcaster.config.voices import CosyVoiceServer
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.http import SoundClient
from broadcaster.speech.remote.readers import sounds
from broadcaster.speech.remote.zero_shot import Speaker, speaker_of
from broadcaster.types import Piece, RawSound, VoiceReference

END_OF_PROMPT: Final = "<|endofprompt|>"
"""What divides instructions from text; without it CosyVoice 3 speaks nothing, and the others read them aloud."""

ASSISTANT: Final = "You are a helpful assistant."
"""CosyVoice 3 was trained with this in front of every prompt."""

_SPOKEN_LIKE: Final = frozenset({"zero_shot", "cross_lingual", "instruct2"})


class CosyVoiceEngine:
    """Port `VoiceEngine`. The server has no speed and no pitch; a message's voice is not known to it either."""

    own_speed = False
    own_pitch = False

    def __init__(self, link: CosyVoiceServer, reference: VoiceReference | None) -> None:
        self.name = link.label
        self._link = link
        self._reference = reference
        self._speaker: Speaker | None = None
        self._client = SoundClient(link.url, link.connect_timeout_s)

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        fields = await self._form(piece)
        files = None
        if self._link.mode in _SPOKEN_LIKE:
            speaker = await self._speaker_now()
            # On each call: the server keeps nothing of it.
            files = {"prompt_wav": ("prompt.wav", speaker.recording, "application/octet-stream")}
        path = f"/inference_{self._link.mode}"
        async with self._client.answer(path, data=fields, files=files) as response:
            kind = response.headers.get("content-type", "")
            async with aclosing(sounds(response.aiter_bytes(), "pcm", kind, self._link.rate)) as heard:
                async for sound in heard:
                    yield sound

    async def close(self) -> None:
        await self._client.close()

    async def _form(self, piece: Piece) -> dict[str, str]:
        link = self._link
        text = {"tts_text": piece.text}
        match link.mode:
            case "sft":
                return text | {"spk_id": link.voice}
            case "zero_shot":
                prompt = (await self._speaker_now()).text
                return text | {"prompt_text": self._opening() + prompt}
            case "cross_lingual":
                return {"tts_text": self._opening() + piece.text}
            case "instruct":
                return text | {"spk_id": link.voice, "instruct_text": _ended(link.instruct)}
            case "instruct2":
                begin = f"{ASSISTANT} " if link.version == 3 and not link.instruct.startswith(ASSISTANT) else ""
                return text | {"instruct_text": begin + _ended(link.instruct)}
        raise VoiceError(f"there is no mode {link.mode}", denied=True)

    def _opening(self) -> str:
        return ASSISTANT + END_OF_PROMPT if self._link.version == 3 else ""

    async def _speaker_now(self) -> Speaker:
        if self._speaker is None:
            self._speaker = await speaker_of(self._reference)
        return self._speaker


def _ended(instruct: str) -> str:
    return instruct if instruct.endswith(END_OF_PROMPT) else instruct + END_OF_PROMPT
