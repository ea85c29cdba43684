"""The read-aloud voices of Microsoft Edge, through the package edge-tts. Director's event loop.

An unofficial consumer service: nobody promises that it is there, and its terms are between you and Microsoft. The
package is LGPL-3.0, so it is an extra that you install yourself (`pip install 'broadcaster[edge]'`) and never part
of what we ship.

What its SDK makes of trouble, and what is done about it here:
- A connection that is lost in mid-sentence looks like an end. Only the SDK's own count of bytes tells whether the
  service ended its turn; a turn that was not ended is an error.
- Its inner generator is closed by nobody, and closing a websocket waits 10 s for the other side. So it runs in a
  task with a connector of its own, and whoever leaves cancels the one and closes the other.
- A 403 makes it set its clock by the server's and ask once more by itself, with a connector that its first session
  has closed: this one is not closed by sessions.
- The words come as sentences unless asked for, their times in units of 100 ns, and one object speaks once.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from broadcaster.config.voices import EdgeVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.remote.http import status_error
from broadcaster.speech.remote.readers import sounds
from broadcaster.types import Piece, RawSound, TimedWord, VoiceReference

RATE: Final = 24_000
"""The service sends one format only: MP3, 24 kHz, mono, 48 kbit/s."""

TICKS_PER_S: Final = 10_000_000

MESSAGES_LIMIT: Final = 4096
"""Messages of one piece that wait to be decoded. A minute of speech is under 1000; more is a fault, and an error."""

_PLACE: Final = "the Edge service"

_VOICE: Final = re.compile(r"([a-z]{2,})-[A-Z]{2,}-[A-Za-z-]+Neural")


class EdgeEngine:
    """Port `VoiceEngine`, with word times. Speed is a percentage of its prosody.

    Pitch is left to the caller: the service takes Hz, and how many Hz a semitone is depends on the voice.
    """

    own_speed = True
    own_pitch = False

    def __init__(self, link: EdgeVoice, reference: VoiceReference | None) -> None:
        import aiohttp
        import edge_tts

        self.name = link.label
        self._link = link
        self._aiohttp = aiohttp
        self._edge = edge_tts
        self._connector = _connector_class()

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        connector = self._connector()
        waiting: asyncio.Queue[Any] = asyncio.Queue()
        task: asyncio.Task[None] | None = None
        words: list[TimedWord] = []
        try:
            communicate = self._communicate(piece, connector)
            task = asyncio.create_task(self._fill(communicate, waiting), name="edge voice")
            async with aclosing(sounds(_audio(waiting, words), "mp3")) as heard:
                async for sound in heard:
                    said, words[:] = tuple(words), []
                    yield replace(sound, words=said)
            if words:
                yield RawSound(b"", RATE, 1, tuple(words))
        finally:
            if task is not None:
                task.cancel()
            await connector.end()
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Nothing is kept between pieces: the service wants a connection for each."""

    def _communicate(self, piece: Piece, connector: Any) -> Any:
        link = self._link
        match = _VOICE.fullmatch(piece.manner.voice)
        voice = piece.manner.voice if match and match[1] == piece.language else link.voice
        percent = round((link.speed * piece.manner.speed - 1) * 100)
        try:
            made = self._edge.Communicate(
                piece.text, voice, rate=f"{percent:+d}%", boundary="WordBoundary", connector=connector
            )
        except ValueError as err:
            raise VoiceError(
                "the service has no voice of that name -> check voice of this link", denied=True
            ) from err
        # Its own parameters are whole seconds, and the sound is timed by whoever iterates.
        made.session_timeout = self._aiohttp.ClientTimeout(
            total=None, connect=link.connect_timeout_s, sock_connect=link.connect_timeout_s, sock_read=None
        )
        return made

    async def _fill(self, communicate: Any, waiting: asyncio.Queue[Any]) -> None:
        """Puts every message of the service, then None or a VoiceError."""
        try:
            await self._listen(communicate, waiting)
        except VoiceError as err:
            waiting.put_nowait(err)
        except self._edge.exceptions.NoAudioReceived:
            waiting.put_nowait(VoiceError("the service sent no sound -> can this voice speak this language?"))
        except self._aiohttp.ClientResponseError as err:
            waiting.put_nowait(status_error(_PLACE, err.status))
        except (self._aiohttp.ClientConnectorError, self._aiohttp.ConnectionTimeoutError):
            seconds = self._link.connect_timeout_s
            waiting.put_nowait(VoiceError(f"no connection to {_PLACE} in {seconds:g} s"))
        except Exception as err:  # it raises whatever its parsing stumbles over
            waiting.put_nowait(VoiceError(f"{_PLACE} broke off ({type(err).__name__})"))

    async def _listen(self, communicate: Any, waiting: asyncio.Queue[Any]) -> None:
        received = 0
        async for message in communicate.stream():
            if waiting.qsize() >= MESSAGES_LIMIT:
                raise VoiceError("the service sent far more sound than the text has", retryable=False)
            received += len(message.get("data", b""))
            waiting.put_nowait(message)
        if communicate.state["cumulative_audio_bytes"] != received:
            raise VoiceError(f"{_PLACE} broke off in the middle of its answer")
        waiting.put_nowait(None)


@functools.cache
def _connector_class() -> Any:
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        """Closed by `end`, not by the sessions that use it."""

        async def close(self, *, abort_ssl: bool = False) -> None:
            pass

        async def end(self) -> None:
            await super().close(abort_ssl=True)

    return functools.partial(Connector, force_close=True)


async def _audio(waiting: asyncio.Queue[Any], words: list[TimedWord]) -> AsyncIterator[bytes]:
    """The MP3 as it comes; words are laid into `words` on the way."""
    while (message := await waiting.get()) is not None:
        if isinstance(message, VoiceError):
            raise message
        if message["type"] == "audio":
            yield message["data"]
        elif message["type"] == "WordBoundary":
            start = message["offset"] / TICKS_PER_S
            words.append(TimedWord(message["text"], start, start + message["duration"] / TICKS_PER_S))
