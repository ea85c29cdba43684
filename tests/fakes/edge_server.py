"""Microsoft Edge's read-aloud service, as edge-tts 7.3 speaks with it: a websocket with headers in its messages."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import unescape

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response

from tests.contract.voice_cases.case import Fault, sound
from tests.fakes.http_wire import ODD, stereo
from tests.fakes.voice_server import encoded

TICKS_PER_S = 10_000_000
CHUNK = 720
"""Bytes of MP3 in a message, as the real service sends them."""

STATUSES = {Fault.UNAUTHORIZED: 401, Fault.TOO_MANY: 429, Fault.SERVER_ERROR: 500}


@dataclass(frozen=True, slots=True)
class EdgeRequest:
    config: dict[str, Any]
    voice: str
    rate: str
    pitch: str
    text: str


class EdgeServer:
    """Protocol `VoiceServer`. `refuse_once` is a status for the next handshake only."""

    rate = 24_000

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.refuse_once: int | None = None
        self.sound = sound(self.rate)
        self.requests: list[EdgeRequest] = []
        self.left = 0
        self.open = 0
        self.handshakes = 0
        self.port = 0
        self._server: Server | None = None

    async def __aenter__(self) -> EdgeServer:
        self._server = await serve(self._session, "127.0.0.1", 0, process_request=self._handshake, close_timeout=1)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/edge/v1?TrustedClientToken=x"

    async def _handshake(self, connection: ServerConnection, request: Handshake) -> Response | None:
        self.handshakes += 1
        if self.fault is Fault.DROPPED:
            connection.transport.abort()
        status = self.refuse_once or STATUSES.get(self.fault) if self.fault else self.refuse_once
        self.refuse_once = None
        if status is None:
            return None
        return connection.respond(HTTPStatus(status), f"no to {request.path}\n")

    async def _session(self, connection: ServerConnection) -> None:
        self.open += 1
        done = False
        try:
            config = json.loads((await connection.recv()).partition("\r\n\r\n")[2])
            ssml = (await connection.recv()).partition("\r\n\r\n")[2]
            self.requests.append(_parsed(config, ssml))
            await self._answer(connection, self.requests[-1])
            done = True
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            self.left += not done
            self.open -= 1

    async def _answer(self, connection: ServerConnection, request: EdgeRequest) -> None:
        match self.fault:
            case Fault.SLOW_START:
                await connection.recv()
            case Fault.ERROR:
                await connection.close(1007, f"Unsupported {request.text}")
                return
            case Fault.JSON:
                await connection.send("X-RequestId:1\r\nPath:error\r\n\r\n" + json.dumps({"error": request.text}))
                return
        await connection.send("X-RequestId:1\r\nPath:turn.start\r\n\r\n{}")
        pcm, channels = self.sound, 1
        if self.fault is Fault.STEREO:
            pcm, channels = stereo(pcm), 2
        rate = 16_000 if self.fault is Fault.OTHER_RATE else self.rate
        mp3 = b"" if self.fault is Fault.EMPTY else encoded("mp3", pcm, rate, channels)
        cut = self.fault in (Fault.SHORT, Fault.TRUNCATED, Fault.RESET, Fault.STALL)
        whole = mp3[: len(mp3) // 2] if cut else mp3
        for metadata in _words(request.text, len(pcm) / 2 / channels / rate):
            await connection.send(f"X-RequestId:1\r\nPath:audio.metadata\r\n\r\n{json.dumps(metadata)}")
        await self._audio(connection, whole)
        match self.fault:
            case Fault.STALL:
                await connection.recv()
            case Fault.TRUNCATED | Fault.RESET:
                connection.transport.abort()
                return
        await connection.send("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}")

    async def _audio(self, connection: ServerConnection, mp3: bytes) -> None:
        at = number = 0
        while at < len(mp3):
            size = ODD[number % len(ODD)] if self.fault is Fault.ODD_CHUNKS else CHUNK
            await connection.send(_binary("Content-Type:audio/mpeg\r\n", mp3[at : at + size]))
            at += size
            number += 1
            await asyncio.sleep(0)
        await connection.send(_binary("", b""))


def _binary(kind: str, data: bytes) -> bytes:
    """Two bytes that count the header, its last line end too, then the header and the data."""
    header = f"X-RequestId:1\r\n{kind}Path:audio\r\n".encode()
    return len(header).to_bytes(2, "big") + header + data


def _parsed(config: dict[str, Any], ssml: str) -> EdgeRequest:
    match = re.search(r"<voice name='(.*?)'><prosody pitch='(.*?)' rate='(.*?)' volume='.*?'>(.*)</prosody>", ssml)
    assert match is not None
    voice, pitch, rate, text = match.groups()
    return EdgeRequest(config, voice, rate, pitch, unescape(text))


def _words(text: str, seconds: float) -> list[dict[str, Any]]:
    """One per character that is spoken, evenly spread over the sound."""
    spoken = [character for character in text if character.isalnum()]
    each = int(seconds * TICKS_PER_S / len(spoken))
    return [
        {
            "Metadata": [
                {
                    "Type": "WordBoundary",
                    "Data": {
                        "Offset": number * each,
                        "Duration": each,
                        "text": {"Text": character, "Length": 1, "BoundaryType": "WordBoundary"},
                    },
                }
            ]
        }
        for number, character in enumerate(spoken)
    ]
