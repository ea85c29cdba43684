"""What a server sends -> `RawSound`: one reader per form, chosen by what the answer says of itself. Event loop.

A server may answer in another form than it was asked for (many OpenAI-compatible ones know only MP3 or WAV), so the
Content-Type counts before the request, and a RIFF header before both.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from email.message import Message
from typing import Final, Protocol

from broadcaster.errors import VoiceError
from broadcaster.types import RawSound

PCM_RATE: Final = 24_000
"""What "pcm" means in OpenAI's /audio/speech when nobody says otherwise: 24 kHz, mono, 16 bit."""

_FORMS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/ogg": "opus",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/pcm": "pcm",
    "audio/l16": "pcm",
    "audio/raw": "pcm",
}

_NO_SOUND: Final = ("text/", "application/json", "application/problem", "application/xml", "image/", "video/")


class Reader(Protocol):
    """`rate` and `channels` are 0 until the first sound has come out of it."""

    @property
    def rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes | None: ...


class PcmStream:
    """Sound without a header."""

    def __init__(self, rate: int, channels: int = 1) -> None:
        self.rate = rate
        self.channels = channels

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> None:
        return None


async def sounds(
    chunks: AsyncIterator[bytes], asked: str, content_type: str = "", rate: int = PCM_RATE
) -> AsyncGenerator[RawSound]:
    """The sound in `chunks`. `asked` is the form of the request: pcm, wav, mp3, opus or flac; `rate` is that of pcm
    where the answer does not tell.

    Raises VoiceError: no sound at all, less than promised, an end inside a sample, another form than can be read.
    """
    form, rate, channels = _announced(content_type, asked, rate)
    reader: Reader | None = None
    head = b""
    total = 0
    async with _closed(chunks):
        async for chunk in chunks:
            if reader is None:
                head += chunk
                if len(head) < 4 and b"RIFF".startswith(head):
                    continue
                reader = _reader("wav" if head[:4] == b"RIFF" else form, rate, channels)
                chunk = head
            sound = await _run(reader, chunk)
            if sound:
                total += len(sound)
                yield RawSound(sound, reader.rate, reader.channels)
    if reader is not None:
        sound = await _run(reader, None)
        if sound:
            total += len(sound)
            yield RawSound(sound, reader.rate, reader.channels)
    if reader is None or not total:
        raise VoiceError("the server sent no sound")
    if total % (2 * reader.channels):
        raise VoiceError("the sound ended inside a sample: it was cut off")


@contextlib.asynccontextmanager
async def _closed(chunks: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Closes a generator now; left to the garbage collector it would be closed by a task of its own, later."""
    try:
        yield
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


async def _run(reader: Reader, data: bytes | None) -> bytes:
    if isinstance(reader, PcmStream):
        return data or b""
    if data is None:
        return (await asyncio.to_thread(reader.finish)) or b""
    return await asyncio.to_thread(reader.feed, data)


def _reader(form: str, rate: int, channels: int) -> Reader:
    from broadcaster.speech.remote import decode
    from broadcaster.speech.remote.wav import WavStream

    match form:
        case "pcm":
            return PcmStream(rate, channels)
        case "wav":
            return WavStream()
        case "mp3":
            return decode.Mp3Stream()
        case "opus":
            return decode.OpusStream()
        case _:
            return decode.WholeFile()


def _announced(content_type: str, asked: str, rate: int) -> tuple[str, int, int]:
    """(form, rate, channels) by the Content-Type, as far as it tells. Raises VoiceError for what is no sound."""
    header = Message()
    header["content-type"] = content_type or "application/octet-stream"
    kind = header.get_content_type()
    if content_type and kind.startswith(_NO_SOUND):
        raise VoiceError(f"the server sent {kind} in place of sound -> check its address and its log")
    return _FORMS.get(kind, asked), _number(header.get_param("rate"), rate), _number(header.get_param("channels"), 1)


def _number(value: object, default: int) -> int:
    return int(value) if isinstance(value, str) and value.isdigit() and 0 < int(value) <= 192_000 else default
