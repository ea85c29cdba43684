"""The local voice as the chain sees it: port `VoiceEngine` over the process `voice-local`. Director's event loop.

A connection for each piece: closing it is what cancels the piece. While the model loads, which takes minutes, and
while the process is away, every call fails at once, so that the chain goes on with its other voices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from broadcaster import wire
from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.errors import VoiceError, WireError
from broadcaster.speech.manner import speed_of
from broadcaster.types import Piece, RawSound

IN_HAND: Final = 2 * 1024 * 1024
"""Bytes read ahead of whoever iterates (the library keeps up to twice that): over a minute of sound, so that the
model is never held up by a listener and the process does not take the connection for a dead one."""


class LocalEngine:
    """`socket` is `Paths.local_voice_socket`. The model changes its speed itself; the pitch is left to others."""

    own_speed = True
    own_pitch = False

    def __init__(self, link: CosyVoiceLocal, socket: Path) -> None:
        self.name = link.label
        self._link = link
        self._socket = str(socket)

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        reader, writer = await self._connected()
        try:
            writer.write(wire.encode(self._request(piece)))
            while True:
                answer = await self._answer(reader)
                if isinstance(answer, wire.SynthesisFailed):
                    raise VoiceError(answer.error, retryable=answer.retryable)
                if answer.pcm:
                    yield RawSound(answer.pcm, answer.rate)
                if not answer.more:
                    return
        finally:
            writer.close()

    async def close(self) -> None:
        """Nothing is kept between pieces."""

    def _request(self, piece: Piece) -> wire.Synthesise:
        speed = speed_of(self._link.speed, piece.manner.speed)
        return wire.Synthesise(
            1, 1, piece.text, piece.language, self._link.voice, speed, wish=piece.manner.voice
        )  # fmt: skip

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=IN_HAND)
        except OSError as err:
            raise VoiceError(f"the local voice is not running ({err.strerror})") from err
        hello: wire.AnyMessage | None = None
        try:
            async with asyncio.timeout(self._link.connect_timeout_s):
                hello = await wire.read_message(reader)
        except (OSError, WireError) as err:
            raise VoiceError("the local voice broke the connection") from err
        except TimeoutError:
            raise VoiceError(f"the local voice did not answer for {self._link.connect_timeout_s:g} s") from None
        finally:
            if not isinstance(hello, wire.Hello) or not hello.ready:
                writer.close()
        if not isinstance(hello, wire.Hello):
            raise VoiceError("the local voice broke the connection")
        if not hello.ready:
            raise VoiceError("the local voice still loads its model")
        return reader, writer

    async def _answer(self, reader: asyncio.StreamReader) -> wire.Synthesised | wire.SynthesisFailed:
        try:
            message = await wire.read_message(reader)
        except (OSError, WireError) as err:
            raise VoiceError("the local voice broke the connection") from err
        if message is None:
            raise VoiceError("the local voice ended in the middle of a piece")
        if not isinstance(message, wire.Synthesised | wire.SynthesisFailed):
            raise VoiceError(f"the local voice sent {type(message).__name__}", retryable=False)
        return message
